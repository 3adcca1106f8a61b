"""Microphones: which there are, what comes from them, what is wrong with them."""
