"""From a run to one model file."""
