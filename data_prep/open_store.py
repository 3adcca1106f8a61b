"""Open a store of whatever content: audio or features."""

from __future__ import annotations

from pathlib import Path

from data_prep.feature_store import LOG_MEL, FeatureStore
from data_prep.store import INFO_FILE, Store, content_of, read_info
from data_prep.store_folder import LOG_MEL_FILE, part_of


def open_store(path: str | Path) -> Store | FeatureStore:
    """Open a store of audio or of features, by what it says it holds.

    Raises
    ------
    StoreError
        If there is no finished store, or it is damaged.
    """
    path = Path(path)
    return FeatureStore.open(path) if _holds_features(path) else Store.open(path)


def _holds_features(path: Path) -> bool:
    if (path / INFO_FILE).exists():
        return content_of(read_info(path)) == LOG_MEL
    return (part_of(path) / LOG_MEL_FILE).exists()
