"""How often a model is right on single clips."""
