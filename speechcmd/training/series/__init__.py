"""Several trainings that are looked at together."""
