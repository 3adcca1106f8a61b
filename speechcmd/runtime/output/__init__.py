"""Detections as text."""
