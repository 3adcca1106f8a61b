"""A store of clips whose words lie where they are said to lie, not where trimming would find them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from data_prep.clip import Clip
from data_prep.store import Store
from data_prep.store_folder import digest_of_rows, measure_durations
from data_prep.store_writer import StoreWriter
from speechcmd import __version__


def write_store(path: Path, clips: Iterable[Clip], settings: dict[str, Any]) -> Store:
    """Write `path` anew; `settings` are kept in it."""
    with StoreWriter(path, settings) as writer:
        done = writer.done
        for clip in clips:
            if clip.row.path not in done:
                writer.append([clip])
        rows = writer.rows
        return writer.finish(
            {
                "tool_version": __version__,
                "length": "mean",
                "statistics": measure_durations(rows),
                "settings": settings,
                "data_digest": digest_of_rows(rows),
                "unused_recordings": 0,
                "skipped": [],
            }
        )
