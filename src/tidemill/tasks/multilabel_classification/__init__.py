"""Multilabel classification: a text in, any number of labels out, or none."""
