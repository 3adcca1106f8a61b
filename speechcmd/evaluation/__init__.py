"""How often a model will be wrong: clips, streams, thresholds, robustness, reports. Without torch."""
