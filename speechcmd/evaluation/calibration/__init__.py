"""Thresholds that keep a promised rate, and scores that mean what they say."""
