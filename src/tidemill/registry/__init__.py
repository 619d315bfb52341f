"""Versions of models in MLflow's registry: how they are made, compared, decided on, signed and found again."""
