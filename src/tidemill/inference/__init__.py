"""The predictor: a model's folder in, predictions out."""
