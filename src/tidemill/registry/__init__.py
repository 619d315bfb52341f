"""Runs and versions: the only room that knows MLflow."""
