"""The log-mel of a store of audio, computed once and kept as a feature store.

For training without a GPU, where the front end costs more than a small network. Augmentation then
works on log-mel instead of the waveform.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_prep.feature_store import FeatureStore, check_free, move_feature_store, write_feature_store
from data_prep.row_source import AnyStore
from data_prep.store import Row, Store
from models.frontend import FrontEndConfig, LogMel
from speechcmd import __version__
from speechcmd.arrays import HalfArray
from speechcmd.audio.samples import Waveform, int16_to_float32
from speechcmd.errors import StoreError
from speechcmd.files import remove_leftovers, scratch_folder
from speechcmd.progress import Progress

CACHE_FRAMES = 128  # of a clip in a cache, or a multiple: one cache for every window of up to 1.3 s
CACHE_VERSION = 2  # raise it when the same store and settings give other features
_BLOCK = 128  # windows in memory at a time


@dataclass(frozen=True)
class CachedWindow:
    """A window to be computed: the row it gets, and the samples of the source that go into it.

    What the source does not fill is filled with noise at the source's own floor.
    """

    row: Row
    source: Row
    first: int


def take_cached(
    stores: Sequence[AnyStore],
    frontend: FrontEndConfig,
    window_frames: int,
    folder: Path,
    on_progress: Progress | None = None,
) -> list[AnyStore]:
    """The stores, those of audio replaced by their log-mel in a cache, computed where it is not there."""
    n_frames = -(-window_frames // CACHE_FRAMES) * CACHE_FRAMES
    return [
        store
        if isinstance(store, FeatureStore)
        else cached_features(store, frontend, n_frames, folder, on_progress)
        for store in stores
    ]


def cached_features(
    store: Store, frontend: FrontEndConfig, n_frames: int, folder: Path, on_progress: Progress | None = None
) -> FeatureStore:
    """The features of `store`, of `n_frames` frames a clip, from `folder` or computed and kept there.

    A word is kept from its first sample; of one that is longer than the window, the part around its
    centre. A recording is kept as consecutive windows, "NAME#0" and so on, and comes back as one. A damaged
    cache, or one of another store, front end or length, is not used. `on_progress(done, total)` counts
    windows. Several processes may want the same cache at once: each computes it for itself, and that of the
    first is kept.

    Raises
    ------
    StoreError
        If something else than a feature store has the name of the cache, or `folder` cannot be written.
    """
    settings = {
        "store": store.digest,
        "front_end": asdict(frontend),
        "n_frames": n_frames,
        "version": CACHE_VERSION,
    }
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / key
    try:
        found = _open_if_same(path, settings)
        kept = found or _compute_into(path, store, frontend, n_frames, settings, on_progress)
    except OSError as error:
        raise StoreError(
            f"cannot keep a feature cache ({error.strerror}); expected a folder that can be "
            "written and has room",
            path=folder,
            advice="choose another --feature-cache",
        ) from error
    return FeatureStore(kept.path, join_windows(kept.rows, frontend), kept.info)


def join_windows(rows: Sequence[Row], frontend: FrontEndConfig) -> tuple[Row, ...]:
    """The rows with one for each recording instead of one for each of its windows.

    Windows lie one behind the other in the file, so a window may begin in one and end in the next.

    Raises
    ------
    StoreError
        If a recording does not begin with its first window.
    """
    joined: list[Row] = []
    for row in rows:
        if row.kind == "word":
            joined.append(row)
            continue
        name, _, number = row.path.rpartition("#")
        if number == "0":
            joined.append(replace(row, path=name))
            continue
        if not joined or joined[-1].path != name:
            raise StoreError(
                "expected the windows of a recording in their order", path=row.path, advice="delete the cache"
            )
        # from the first frame of a window to that of the next: a whole number of frames
        before = joined[-1]
        n_before = frontend.n_frames(before.n_samples) + frontend.n_frames(row.n_samples)
        n_samples = frontend.n_samples(n_before)
        joined[-1] = replace(before, n_samples=n_samples, speech_end=n_samples, centre=n_samples // 2)
    return tuple(joined)


def _open_if_same(path: Path, settings: dict[str, Any]) -> FeatureStore | None:
    try:
        found = FeatureStore.open(path)
    except StoreError:
        return None
    return found if found.info.get("settings") == settings else None


def _compute_into(
    path: Path,
    store: Store,
    frontend: FrontEndConfig,
    n_frames: int,
    settings: dict[str, Any],
    on_progress: Progress | None,
) -> FeatureStore:
    check_free(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    windows = plan_windows(store.rows, frontend, n_frames)
    # a folder of its own: another process may write the same cache
    with scratch_folder(path) as own:
        written = write_feature_store(
            own / path.name,
            [window.row for window in windows],
            _blocks(store, windows, frontend, n_frames, on_progress),
            scale=1.0,
            offset=0.0,
            front_end=asdict(frontend),
            # the store's own durations: a clip's last part of a frame is cut off here
            info={
                "tool_version": __version__,
                "length": store.info["length"],
                "statistics": store.info["statistics"],
                "settings": settings,
            },
        )
        return _open_if_same(path, settings) or move_feature_store(written, path)


def plan_windows(rows: Sequence[Row], frontend: FrontEndConfig, n_frames: int) -> list[CachedWindow]:
    """The windows to compute: one of each word, consecutive ones of each recording."""
    windows: list[CachedWindow] = []
    for row in rows:
        if row.kind == "word":
            windows.append(_window_of_word(row, frontend, n_frames))
        elif row.n_samples:
            windows += _windows_of_recording(row, frontend, n_frames)
    return windows


def _window_of_word(row: Row, frontend: FrontEndConfig, n_frames: int) -> CachedWindow:
    n_window = frontend.n_samples(n_frames)
    first = min(max(0, row.centre - n_window // 2), max(0, row.n_samples - n_window))
    n_samples = _covered(row.n_samples - first, frontend, n_frames)
    start, end, centre = (
        min(max(0, position - first), n_samples)
        for position in (row.speech_start, row.speech_end, row.centre)
    )
    kept = replace(row, n_samples=n_samples, speech_start=start, speech_end=end, centre=centre)
    return CachedWindow(kept, row, first)


def _windows_of_recording(row: Row, frontend: FrontEndConfig, n_frames: int) -> list[CachedWindow]:
    """Consecutive windows to the last frame: the last one is as long as what is left."""
    windows = []
    for number in range(max(1, -(-frontend.n_frames(row.n_samples) // n_frames))):
        first = number * n_frames * frontend.hop_length
        n_samples = _covered(row.n_samples - first, frontend, n_frames)
        own = replace(row, path=f"{row.path}#{number}", n_samples=n_samples)
        whole = replace(own, speech_start=0, speech_end=n_samples, centre=n_samples // 2)
        windows.append(CachedWindow(whole, row, first))
    return windows


def _covered(n_samples: int, frontend: FrontEndConfig, n_frames: int) -> int:
    """Samples that the valid frames cover; of what is shorter than a frame one frame, mostly filling."""
    return frontend.n_samples(min(n_frames, max(1, frontend.n_frames(n_samples))))


def _blocks(
    store: Store,
    windows: Sequence[CachedWindow],
    frontend: FrontEndConfig,
    n_frames: int,
    on_progress: Progress | None,
) -> Iterator[HalfArray]:
    log_mel = LogMel(frontend)
    n_window = frontend.n_samples(n_frames)
    for first in range(0, len(windows), _BLOCK):
        block = windows[first : first + _BLOCK]
        waveform = np.stack(
            [_samples_of(store, window, n_window, first + number) for number, window in enumerate(block)]
        )
        with torch.inference_mode():
            yield log_mel(torch.from_numpy(waveform)).to(torch.float16).numpy()
        if on_progress:
            on_progress(first + len(block), len(windows))


def _samples_of(store: Store, window: CachedWindow, n_window: int, number: int) -> Waveform:
    """The samples of one window, filled up as a window of audio is in training. Shape: (n_window,)."""
    samples = store.samples_of(window.source)[window.first : window.first + n_window]
    waveform = np.empty(n_window, dtype=np.float32)
    waveform[: len(samples)] = int16_to_float32(samples)
    n_filled = n_window - len(samples)
    if n_filled:
        noise = np.random.Generator(np.random.PCG64(number)).standard_normal(n_filled, dtype=np.float32)
        waveform[len(samples) :] = noise * np.float32(10.0 ** (window.source.floor_db / 20.0))
    return waveform
