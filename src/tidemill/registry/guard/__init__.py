"""What the guarded MLflow server allows: `table` lists it, and both hooks refuse everything else."""
