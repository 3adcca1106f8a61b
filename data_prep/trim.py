"""Find the spoken word in a clip: floor-aware and click-proof.

`librosa.effects.trim` compares every frame with the loudest one, so a click sets its reference, a
noisy clip is never trimmed and a soft consonant at -35 dB is cut. Here a frame counts as speech if
it stands out from the clip's own noise floor *and* is not too far below a robust peak; lone short
bursts far from the word are clicks; soft onsets and tails survive because the level is also taken
after pre-emphasis, which lifts /s/ and /f/ and lowers hum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import librosa
import numpy as np
import numpy.typing as npt

from speechcmd.audio import SAMPLE_RATE, Waveform

Levels = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

PRE_EMPHASIS = 0.97
SILENT_DB = -90.0  # one step of int16; keeps the logarithm finite


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
    n_samples = len(waveform)
    if n_samples == 0:
        return Speech(0, 0, 0, SILENT_DB, "near_silent")
    hop = round(config.hop_s * sample_rate)
    plain, lifted = frame_levels(waveform, sample_rate, config)
    floor_db, peak_db = floor_and_peak(plain, config)
    active = _find_active(plain, floor_db, peak_db, config)
    active |= _find_active(lifted, *floor_and_peak(lifted, config), config)
    if peak_db < config.near_silent_db:
        return Speech(0, n_samples, n_samples // 2, floor_db, "near_silent")
    if peak_db - floor_db < config.least_contrast_db:
        return Speech(0, n_samples, n_samples // 2, floor_db, "low_contrast")
    active = _drop_clicks(active, config)
    frames = np.flatnonzero(active)
    if len(frames) == 0:
        return Speech(0, n_samples, n_samples // 2, floor_db, "low_contrast")
    margin = round(config.margin_s * sample_rate)
    # frames are centred: frame k looks at the hop around sample k * hop
    start = max(0, int(frames[0]) * hop - hop // 2 - margin)
    end = min(n_samples, int(frames[-1]) * hop + hop // 2 + margin)
    centre = _centre_of_energy(plain, active, hop)
    return Speech(start, end, min(max(centre, start), end), floor_db, "")


def frame_levels(
    waveform: Waveform, sample_rate: int, config: TrimConfig = TrimConfig()
) -> tuple[Levels, Levels]:
    """Level in dB of each centred frame, plain and after pre-emphasis. Shape: (n_frames,) each."""
    frame, hop = round(config.frame_s * sample_rate), round(config.hop_s * sample_rate)
    before, part = frame // 2, math.gcd(frame, hop)
    n_parts = -(-(len(waveform) + frame) // part)
    both = np.zeros((2, n_parts * part), dtype=np.float32)
    inside = both[:, before : before + len(waveform)]
    np.subtract(waveform, waveform.mean(), out=inside[0])
    np.multiply(inside[0, :-1], np.float32(-PRE_EMPHASIS), out=inside[1, 1:])
    inside[1, 1:] += inside[0, 1:]
    # frames share their parts: each sample is squared and summed once, not frame / hop times
    parts = both.reshape(2, n_parts, part)
    energy = np.einsum("cpn,cpn->cp", parts, parts)
    frames = librosa.util.frame(energy, frame_length=frame // part, hop_length=hop // part)
    power = frames.sum(axis=1) / np.float32(frame)
    levels = 10.0 * np.log10(np.maximum(power, np.float32(10 ** (SILENT_DB / 10))))
    return levels[0], levels[1]


def floor_and_peak(levels: Levels, config: TrimConfig = TrimConfig()) -> tuple[float, float]:
    """Level of the background and a peak that no click reaches, in dB.

    The floor is the 10th percentile of the frames. The peak is the loudest level that lasts for
    `shortest_word_s` in all: a click is over before that.
    """
    n_frames = round((config.shortest_word_s + config.frame_s) / config.hop_s)
    ranked = np.sort(levels)
    return float(ranked[len(ranked) // 10]), float(ranked[-min(n_frames, len(ranked))])


def _find_active(levels: Levels, floor_db: float, peak_db: float, config: TrimConfig) -> Mask:
    """Frames that stand out from the floor and are near enough to the robust peak."""
    # where the word fills the clip its own quiet parts pose as floor: never ask for more than this
    floor_db = min(floor_db, peak_db - 2 * config.above_floor_db)
    threshold = max(floor_db + config.above_floor_db, peak_db - config.below_peak_db, SILENT_DB + 3)
    mask: Mask = levels > threshold
    return mask


def runs_of(mask: Mask) -> list[tuple[int, int]]:
    """Runs of True as (first, end) frame indices, end excluded."""
    padded = np.zeros(len(mask) + 2, dtype=np.bool_)
    padded[1:-1] = mask
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _drop_clicks(active: Mask, config: TrimConfig) -> Mask:
    """Keep long runs, and short ones only where they lie close to a long run."""
    # a burst of no length lights every frame that sees it
    seen_by = round(config.frame_s / config.hop_s)
    shortest = round(config.shortest_word_s / config.hop_s) + seen_by
    gap = round(config.consonant_gap_s / config.hop_s)
    runs = runs_of(active)
    words = [run for run in runs if run[1] - run[0] >= shortest]
    if len(words) == len(runs):
        return active
    kept = np.zeros_like(active)
    for first, end in runs:
        near = any(first - b <= gap and a - end <= gap for a, b in words)
        if end - first >= shortest or near:
            kept[first:end] = True
    return kept


def _centre_of_energy(levels: Levels, active: Mask, hop: int) -> int:
    frames = np.flatnonzero(active)
    power = 10.0 ** (levels[frames] / 10.0)
    return int(round(float((frames * power).sum() / power.sum()) * hop))
