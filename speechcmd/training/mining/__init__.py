"""Passes over running speech: what a network takes for words there, and which it finds."""
