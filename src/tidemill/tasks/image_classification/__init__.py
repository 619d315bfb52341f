"""Image classification: a picture in, one of several labels out."""
