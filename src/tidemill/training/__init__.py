"""Finding the weights, and going on after a kill as if it had not been."""
