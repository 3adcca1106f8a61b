"""Training and export: torch lives here and in `models`, nowhere else."""
