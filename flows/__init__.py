"""Prefect flows: when and in what order the stages that DVC keeps are run."""
