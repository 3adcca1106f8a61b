"""Network definitions: a log-mel front end, one file an architecture, and their registry."""

from models.registry import create_model, list_architectures

__all__ = ["create_model", "list_architectures"]
