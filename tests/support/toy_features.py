"""Feature stores of the toy's words: their log-mel as a cache keeps it, and as grey levels of pictures."""

from __future__ import annotations

import functools
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from toy_run import temporary_folder, toy_store

from data_prep.feature_store import FeatureStore, write_feature_store
from models.frontend import FrontEndConfig
from speechcmd.training.augment.image_channel import PIXEL_FLOOR, PIXEL_OFFSET, PIXEL_SCALE, log_mel_to_pixels
from speechcmd.training.data.feature_cache import cached_features

FRONT_END = FrontEndConfig()
IMAGE_FRONT_END = replace(FRONT_END, log_floor=PIXEL_FLOOR)
CACHED_FRAMES = 128


@functools.cache
def toy_cache_path() -> Path:
    """A folder of caches that holds the toy's."""
    folder = temporary_folder()
    cached_features(toy_store(), FRONT_END, CACHED_FRAMES, folder)
    return folder


def toy_features() -> FeatureStore:
    """The log-mel of the toy's words and noises in float16, opened."""
    return cached_features(toy_store(), FRONT_END, CACHED_FRAMES, toy_cache_path())


@functools.cache
def toy_images_path() -> Path:
    """The words, without noises, in 8 bits and with another floor; spoken by other people, it says."""
    store = toy_features()
    rows = [replace(row, speaker=f"pictured {row.speaker}") for row in store.select("word")]
    log_mel = torch.from_numpy(np.stack([store.log_mel_of(row) for row in rows]))
    pixels = log_mel_to_pixels(log_mel, FRONT_END).numpy().astype(np.uint8)
    path = temporary_folder() / "images"
    write_images(path, rows, pixels)
    return path


def write_images(path: Path, rows: Any, pixels: Any, **front_end: Any) -> FeatureStore:
    """A store of grey levels; settings of the front end may be changed."""
    meaning = {**asdict(IMAGE_FRONT_END), **front_end}
    scale, offset = 1 / PIXEL_SCALE, -PIXEL_OFFSET / PIXEL_SCALE
    return write_feature_store(
        path, rows, [pixels], scale=scale, offset=offset, front_end=meaning, info={"tool_version": "toy"}
    )


def toy_images() -> FeatureStore:
    """That store, opened."""
    return FeatureStore.open(toy_images_path())
