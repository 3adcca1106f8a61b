"""Import the published log-mel images of Speech Commands: an example of bringing one's own features.

usage: python -m data_prep.log_mel_images FOLDER --store STORE

FOLDER holds `training.npz` and `validation.npz`, each with `images` (uint8, (n, 98, 40)), `words` and
`names` ("004ae714_nohash_0"). Bringing other features takes the same four steps: say how they were
computed (`FRONT_END`, `SCALE`, `OFFSET`), make a `Row` a clip (`_rows_of`), find the words in them
(`find_words`), and hand both to `write_feature_store`.

The images are 10 ln(mel power + 5e-7) + 146.3, rounded, and went through JPEG. They are kept as they
are, but for the digital silence that a shorter clip was padded with to a second: it would tell the
source, so the clip's own quiet frames take its place (flag "padded").
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import librosa
import numpy as np

from data_prep.feature_store import FeatureStore, write_feature_store
from data_prep.speaker import speaker_of
from data_prep.split import hashed_split
from data_prep.store import Row
from data_prep.trim import Speech, TrimConfig, find_speech_by_level
from speechcmd import __version__
from speechcmd.arrays import BoolArray, ByteArray, DoubleArray, FloatArray, TextArray
from speechcmd.audio.samples import SAMPLE_RATE
from speechcmd.audio.word_boundaries import PRE_EMPHASIS, SILENT_POWER, level_db
from speechcmd.errors import CorpusError, SpeechcmdError

SPLITS = ("training", "validation")
N_FRAMES = 98
SCALE, OFFSET = 0.1, -14.63  # log-mel = (pixel - 146.3) / 10
# the front end of this project but for the floor under the logarithm, which is half of ours: the same
# sound reads up to ln 2 = 0.7 lower where it is quiet, and equal where it is loud
FRONT_END: dict[str, Any] = {
    "sample_rate": SAMPLE_RATE,
    "n_fft": 512,
    "win_length": 480,
    "hop_length": 160,
    "n_mels": 40,
    "f_min_hz": 0.0,
    "f_max_hz": 4000.0,
    "log_floor": 5e-7,
}
SILENT_GREY = 8.0  # a frame darker than this on average is digital silence: under -93 dB of full scale
_EDGE_FRAMES = 2  # so many frames beside silence look at a part of it
_QUIET_FRAMES = 10
_HANN_POWER = 0.375  # mean square of a Hann window
_BLOCK = 512  # clips in memory as floats at a time


@dataclass(frozen=True)
class ImageSet:
    """The images of one split: uint8 (n, 98, 40), their words and names (n,)."""

    split: str
    images: ByteArray
    words: TextArray
    names: TextArray


def import_images(folder: Path, path: Path, config: TrimConfig = TrimConfig(frame_s=0.03)) -> FeatureStore:
    """Write the images under `folder` as the feature store `path`.

    Raises
    ------
    CorpusError
        If a file is missing or not what it should be, or a speaker lies in the wrong split.
    StoreError
        If `path` is something else than a feature store or nothing.
    """
    sets = [read_images(folder / f"{split}.npz", split) for split in SPLITS]
    is_padded = [fill_silent_ends(images.images) for images in sets]
    rows = [row for pair in zip(sets, is_padded, strict=True) for row in _rows_of(*pair, config)]
    info = {"tool_version": __version__, "settings": {"trim": asdict(config), "split_rule": "hash"}}
    features = (images.images for images in sets if len(images.images))
    return write_feature_store(
        path, rows, features, scale=SCALE, offset=OFFSET, front_end=FRONT_END, info=info
    )


def read_images(path: Path, split: str) -> ImageSet:
    """Read one file of images and check that its speakers belong to the split.

    Raises
    ------
    CorpusError
        If the file is missing or not what it should be, or a speaker lies in the wrong split.
    """
    try:
        # opened here: numpy leaves a file open that turns out to be no archive
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            images, words, names = arrays["images"], arrays["words"], arrays["names"]
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise CorpusError(
            f"{path}: cannot read images, words and names: {reason}; give the folder of the .npz files"
        ) from error
    expected = (len(names), N_FRAMES, FRONT_END["n_mels"])
    if images.dtype != np.uint8 or images.shape != expected or words.shape != names.shape:
        raise CorpusError(
            f"{path}: expected images of uint8 {expected} and as many words, "
            f"got {images.dtype} {images.shape} and {len(words)} words"
        )
    misplaced = [name for name in names.tolist() if hashed_split(speaker_of(name)) != split]
    if misplaced:
        raise CorpusError(
            f"{path}: {len(misplaced)} clips belong to another split by the official rule, the first is "
            f"{misplaced[0]} ({hashed_split(speaker_of(misplaced[0]))}); leave them out"
        )
    return ImageSet(split, images, words, names)


def fill_silent_ends(images: ByteArray) -> BoolArray:
    """Put quiet frames of each clip in the place of digital silence at its ends, in place.

    A clip that is silent nearly all along is left as it is.

    Shape: (n_clips, n_frames, n_mels) -> whether a clip was filled: (n_clips,).
    """
    grey = images.mean(axis=2)
    is_silent = grey < SILENT_GREY
    is_filled = np.zeros(len(images), dtype=np.bool_)
    for number in np.flatnonzero(is_silent[:, 0] | is_silent[:, -1]).tolist():
        sounding = np.flatnonzero(~is_silent[number])
        if len(sounding) == 0:
            continue
        first = sounding[0] + _EDGE_FRAMES if is_silent[number, 0] else 0
        end = sounding[-1] + 1 - _EDGE_FRAMES if is_silent[number, -1] else images.shape[1]
        if end - first < _QUIET_FRAMES:
            continue
        quiet = first + np.argsort(grey[number, first:end], kind="stable")[:_QUIET_FRAMES]
        drawn = np.random.Generator(np.random.PCG64(number)).choice(quiet, size=images.shape[1])
        clip = images[number]
        clip[:first], clip[end:] = clip[drawn[:first]], clip[drawn[end:]]
        is_filled[number] = True
    return is_filled


def _rows_of(images: ImageSet, is_padded: BoolArray, config: TrimConfig) -> list[Row]:
    rows = []
    n_samples = _covered_samples(N_FRAMES, FRONT_END)
    for first in range(0, len(images.images), _BLOCK):
        block = slice(first, first + _BLOCK)
        log_mel = images.images[block].astype(np.float32) * np.float32(SCALE) + np.float32(OFFSET)
        columns = (images.words[block].tolist(), images.names[block].tolist(), is_padded[block].tolist())
        for word, name, padded, speech in zip(*columns, find_words(log_mel, FRONT_END, config), strict=True):
            flags = tuple(flag for flag in ("padded" if padded else "", speech.reason) if flag)
            rows.append(
                Row(
                    "word", word, speaker_of(name), images.split, "", f"{word}/{name}", 0, n_samples,
                    speech.start, speech.end, speech.centre, round(speech.floor_db, 1), flags, "",
                )
            )  # fmt: skip
    return rows


def find_words(log_mel: FloatArray, front_end: dict[str, Any], config: TrimConfig) -> list[Speech]:
    """Where the word lies in each clip, by the rules for audio. Shape: (n_clips, n_frames, n_mels).

    Positions are in samples, as if the audio were there.
    """
    n_samples = _covered_samples(log_mel.shape[1], front_end)
    plain, lifted = frame_levels_of(log_mel, front_end)
    return [
        find_speech_by_level(
            n_samples, *levels, front_end["sample_rate"], config, first_centre=front_end["win_length"] // 2
        )
        for levels in zip(plain, lifted, strict=True)
    ]


def frame_levels_of(log_mel: FloatArray, front_end: dict[str, Any]) -> tuple[FloatArray, FloatArray]:
    """Level of each frame in dB of full scale, plain and after pre-emphasis.

    Mel filters without normalisation overlap to one, so their powers sum to the power below
    `f_max_hz`; what lies above is not in them, so noisy frames read lower than in the audio.

    Shape: (n_clips, n_frames, n_mels) -> (n_clips, n_frames) twice.
    """
    power = np.maximum(np.exp(log_mel) - np.float32(front_end["log_floor"]), np.float32(0.0))
    # the power spectrum of a windowed frame, one-sided, of a signal of mean square one
    full_scale = front_end["n_fft"] / 2 * front_end["win_length"] * _HANN_POWER
    bands_hz = librosa.mel_frequencies(
        front_end["n_mels"] + 2, fmin=front_end["f_min_hz"], fmax=front_end["f_max_hz"], htk=True
    )[1:-1]
    angle = 2.0 * np.pi * bands_hz / front_end["sample_rate"]
    lift = 1.0 + PRE_EMPHASIS**2 - 2.0 * PRE_EMPHASIS * np.cos(angle)

    def level_of(weights: DoubleArray) -> FloatArray:
        mean_square = power @ (weights / full_scale).astype(np.float32)
        return level_db(np.maximum(mean_square, np.float32(SILENT_POWER)))

    return level_of(np.ones_like(lift)), level_of(lift)


def _covered_samples(n_frames: int, front_end: dict[str, Any]) -> int:
    return int(front_end["win_length"] + (n_frames - 1) * front_end["hop_length"])


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m data_prep.log_mel_images",
        description="Import the published log-mel images of Speech Commands as a feature store.",
    )
    parser.add_argument("folder", type=Path, help="folder that holds training.npz and validation.npz")
    parser.add_argument("--store", type=Path, required=True, help="feature store to write")
    given = parser.parse_args(arguments)
    try:
        store = import_images(given.folder, given.store)
    except SpeechcmdError as error:
        parser.exit(1, f"error: {error}\n")
    n_words = len({row.word for row in store.rows})
    mean_s = store.length_samples("mean") / SAMPLE_RATE
    sys.stderr.write(
        f"{store.path}: {len(store.rows):,} clips of {n_words} words, {mean_s:.2f} s a word on average\n"
    )


if __name__ == "__main__":
    main()
