"""What several benchmarks take on the command line."""

from __future__ import annotations

import argparse
from pathlib import Path


def model_and_store(description: str | None) -> argparse.ArgumentParser:
    """A model file and a store."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("store")
    parser.add_argument("--split", default="validation")
    return parser


def trainings(description: str | None, epochs: int) -> argparse.ArgumentParser:
    """Stores of audio and of images, and where runs and the feature cache lie."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("audio", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=epochs)
    return parser
