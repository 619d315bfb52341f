"""What the guarded MLflow server allows: `table` lists it, `hooks` refuses everything else."""
