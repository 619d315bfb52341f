"""The MLflow run of a training, and the store in which runs and versions are recorded."""
