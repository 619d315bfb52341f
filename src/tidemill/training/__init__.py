"""Training with Lightning, and resuming after a kill as if it had not happened."""
