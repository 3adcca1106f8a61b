"""Find the spoken word in a clip: floor-aware and click-proof.

`librosa.effects.trim` compares every frame with the loudest one, so a click sets its reference, a
noisy clip is never trimmed and a soft consonant at -35 dB is cut. Here a frame counts as speech if
it stands out from the clip's own noise floor *and* is not too far below a robust peak; lone short
bursts far from the word are clicks; soft onsets and tails survive because the level is also taken
after pre-emphasis, which lifts /s/ and /f/ and lowers hum.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from librosa.util import frame as frame_signal  # loaded before the workers are forked: it takes a second

from speechcmd.arrays import BoolArray, FloatArray
from speechcmd.audio.samples import SAMPLE_RATE, Waveform

PRE_EMPHASIS = 0.97
SILENT_DB = -90.0  # one step of int16; keeps the logarithm finite
_RUN = re.compile(b"\x01+")


@dataclass(frozen=True)
class TrimConfig:
    """How the word is found. Times in seconds, levels in dB."""

    frame_s: float = 0.025
    hop_s: float = 0.010
    above_floor_db: float = 6.0
    below_peak_db: float = 35.0
    margin_s: float = 0.05
    shortest_word_s: float = 0.05  # a burst shorter than this is a click or a stop consonant
    consonant_gap_s: float = 0.15  # ... and counts as a consonant only this close to the word
    near_silent_db: float = -60.0
    least_contrast_db: float = 9.0  # peak over floor; below it nothing can be told apart


@dataclass(frozen=True)
class Speech:
    """The word in a clip, in samples from the clip's start, margins included.

    `centre` is the centre of energy of the word, `floor_db` the level of the clip's background.
    `reason` says why the clip was kept whole: "near_silent", "low_contrast", or "" if it was trimmed.
    """

    start: int
    end: int
    centre: int
    floor_db: float
    reason: str


def find_speech(
    waveform: Waveform, sample_rate: int = SAMPLE_RATE, config: TrimConfig = TrimConfig()
) -> Speech:
    """Return where the word lies. `waveform`: (n_samples,) float32 in [-1, 1].

    A clip in which no word stands out is kept whole and says why.
    """
    energy = part_energy(waveform, sample_rate, config)
    return find_speech_in([energy], [len(waveform)], sample_rate, config)[0]


def find_speech_in(
    energies: Sequence[FloatArray],
    n_samples: Sequence[int],
    sample_rate: int = SAMPLE_RATE,
    config: TrimConfig = TrimConfig(),
) -> list[Speech]:
    """`find_speech` for many clips at once, from their `part_energy` and lengths."""
    levels = _levels_of(energies, sample_rate, config)
    return [
        find_speech_by_level(n, *pair, sample_rate, config) for n, pair in zip(n_samples, levels, strict=True)
    ]


def find_speech_by_level(
    n_samples: int,
    plain: FloatArray,
    lifted: FloatArray,
    sample_rate: int = SAMPLE_RATE,
    config: TrimConfig = TrimConfig(),
    first_centre: int = 0,
) -> Speech:
    """Where the word lies, from the levels of its frames, plain and after pre-emphasis.

    `plain`, `lifted`: (n_frames,) in dB; frame k looks at the hop around sample
    `first_centre` + k * hop. For those who have levels but no waveform; see `find_speech`.
    """
    if n_samples == 0:
        return Speech(0, 0, 0, SILENT_DB, "near_silent")
    floor_db, peak_db = floor_and_peak(plain, config)
    if peak_db < config.near_silent_db:
        return Speech(0, n_samples, n_samples // 2, floor_db, "near_silent")
    if peak_db - floor_db < config.least_contrast_db:
        return Speech(0, n_samples, n_samples // 2, floor_db, "low_contrast")
    active = _find_active(plain, floor_db, peak_db, config)
    active |= _find_active(lifted, *floor_and_peak(lifted, config), config)
    runs = _drop_clicks(runs_of(active), config)
    if not runs:
        return Speech(0, n_samples, n_samples // 2, floor_db, "low_contrast")
    hop, margin = round(config.hop_s * sample_rate), round(config.margin_s * sample_rate)
    start = max(0, first_centre + runs[0][0] * hop - hop // 2 - margin)
    end = min(n_samples, first_centre + (runs[-1][1] - 1) * hop + hop // 2 + margin)
    centre = first_centre + _centre_of_energy(plain, runs, hop)
    return Speech(start, end, min(max(centre, start), end), floor_db, "")


def frame_levels(
    waveform: Waveform, sample_rate: int, config: TrimConfig = TrimConfig()
) -> tuple[FloatArray, FloatArray]:
    """Level in dB of each centred frame, plain and after pre-emphasis. Shape: (n_frames,) each."""
    return _levels_of([part_energy(waveform, sample_rate, config)], sample_rate, config)[0]


def part_energy(
    waveform: Waveform,
    sample_rate: int = SAMPLE_RATE,
    config: TrimConfig = TrimConfig(),
    mean: np.float32 | None = None,
) -> FloatArray:
    """Energy of the short parts that frames are made of, plain and after pre-emphasis.

    Frames share their parts: each sample is squared and summed once, not frame / hop times.
    The mean is taken off; give it if it is known. Shape: (n_samples,) -> (2, n_parts); half a frame of
    nothing lies before and after the clip.
    """
    frame, part, _ = _frame_grid(sample_rate, config)
    n_parts = -(-(len(waveform) + frame) // part)
    both = np.zeros((2, n_parts * part), dtype=np.float32)
    if len(waveform):
        inside = both[:, frame // 2 : frame // 2 + len(waveform)]
        np.subtract(waveform, waveform.mean() if mean is None else mean, out=inside[0])
        np.multiply(inside[0, :-1], np.float32(-PRE_EMPHASIS), out=inside[1, 1:])
        inside[1, 1:] += inside[0, 1:]
    parts = both.reshape(2, n_parts, part)
    energy: FloatArray = np.einsum("cpn,cpn->cp", parts, parts)
    return energy


def _frame_grid(sample_rate: int, config: TrimConfig) -> tuple[int, int, int]:
    """Samples of a frame, samples of the parts that make up frames and hops, parts of a hop."""
    frame, hop = round(config.frame_s * sample_rate), round(config.hop_s * sample_rate)
    part = math.gcd(frame, hop)
    return frame, part, hop // part


def _levels_of(
    energies: Sequence[FloatArray], sample_rate: int, config: TrimConfig
) -> list[tuple[FloatArray, FloatArray]]:
    """Levels of the frames of several clips, computed in one go; see `frame_levels`."""
    frame, part, hop_parts = _frame_grid(sample_rate, config)
    # laid end to end, each clip begins on a hop; frames that reach into the next clip are left out
    lengths = [-(-energy.shape[1] // hop_parts) * hop_parts for energy in energies]
    line = np.zeros((2, sum(lengths) + frame // part), dtype=np.float32)
    first = 0
    for energy, length in zip(energies, lengths, strict=True):
        line[:, first : first + energy.shape[1]] = energy
        first += length
    frames = frame_signal(line, frame_length=frame // part, hop_length=hop_parts)
    power = frames.sum(axis=1) / np.float32(frame)
    levels = 10.0 * np.log10(np.maximum(power, np.float32(10 ** (SILENT_DB / 10))))
    found: list[tuple[FloatArray, FloatArray]] = []
    first = 0
    for energy, length in zip(energies, lengths, strict=True):
        end = first + 1 + (energy.shape[1] - frame // part) // hop_parts
        found.append((levels[0, first:end], levels[1, first:end]))
        first += length // hop_parts
    return found


def floor_and_peak(levels: FloatArray, config: TrimConfig = TrimConfig()) -> tuple[float, float]:
    """Level of the background and a peak that no click reaches, in dB.

    The floor is the 10th percentile of the frames. The peak is the loudest level that lasts for
    `shortest_word_s` in all: a click is over before that.
    """
    n_frames = round((config.shortest_word_s + config.frame_s) / config.hop_s)
    ranked = np.sort(levels)
    return float(ranked[len(ranked) // 10]), float(ranked[-min(n_frames, len(ranked))])


def _find_active(levels: FloatArray, floor_db: float, peak_db: float, config: TrimConfig) -> BoolArray:
    """Frames that stand out from the floor and are near enough to the robust peak."""
    # where the word fills the clip its own quiet parts pose as floor: never ask for more than this
    floor_db = min(floor_db, peak_db - 2 * config.above_floor_db)
    threshold = max(floor_db + config.above_floor_db, peak_db - config.below_peak_db, SILENT_DB + 3)
    mask: BoolArray = levels > threshold
    return mask


def runs_of(mask: BoolArray) -> list[tuple[int, int]]:
    """Runs of True as (first, end) frame indices, end excluded."""
    return [match.span() for match in _RUN.finditer(mask.tobytes())]


def _drop_clicks(runs: list[tuple[int, int]], config: TrimConfig) -> list[tuple[int, int]]:
    """Keep long runs, and short ones only where they lie close to a long run."""
    # a burst of no length lights every frame that sees it
    seen_by = round(config.frame_s / config.hop_s)
    shortest = round(config.shortest_word_s / config.hop_s) + seen_by
    gap = round(config.consonant_gap_s / config.hop_s)
    words = [run for run in runs if run[1] - run[0] >= shortest]
    return [
        (first, end)
        for first, end in runs
        if end - first >= shortest or any(first - b <= gap and a - end <= gap for a, b in words)
    ]


def _centre_of_energy(levels: FloatArray, runs: Sequence[tuple[int, int]], hop: int) -> int:
    if len(runs) == 1:
        frames = np.arange(*runs[0])
    else:
        frames = np.concatenate([np.arange(first, end) for first, end in runs])
    power = 10.0 ** (levels[frames] / 10.0)
    return round(float(np.add.reduce(frames * power) / np.add.reduce(power)) * hop)
