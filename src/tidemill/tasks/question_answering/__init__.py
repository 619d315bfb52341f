"""Extractive question answering: a question and a text in, the span of the text that answers it out."""
