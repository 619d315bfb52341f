"""Text regression: a text in, a number out."""
