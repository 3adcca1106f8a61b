"""The settings of a training: what they are, their ranges, where they come from."""
