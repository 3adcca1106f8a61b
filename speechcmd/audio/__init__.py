"""Reading audio and what is done to it: rates, channels, pipes, loudness, noise."""
