"""Image regression: a picture in, a number out."""
