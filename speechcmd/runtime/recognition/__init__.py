"""From a waveform to posteriors, and from these to words."""
