"""What benchmarks of a model on a store take on the command line."""

from __future__ import annotations

import argparse


def model_and_store(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("store")
    parser.add_argument("--split", default="validation")
    return parser
