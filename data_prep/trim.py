"""Find the spoken word in a clip by the rule of `speechcmd.audio.word_boundaries`.

`librosa.effects.trim` compares every frame with the loudest one, so a click sets its reference, a
noisy clip is never trimmed and a soft consonant at -35 dB is cut. Here lone short bursts far from the word
are clicks, and soft onsets and tails survive because the level is also taken after pre-emphasis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speechcmd.arrays import FloatArray
from speechcmd.audio.samples import SAMPLE_RATE, Waveform
from speechcmd.audio.word_boundaries import (
    PRE_EMPHASIS,
    SILENT_DB,
    SILENT_POWER,
    Run,
    SoundRule,
    find_sounds,
    level_db,
    ranked_level,
)


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

    @property
    def rule(self) -> SoundRule:
        """When a frame is sound. A word that fills its clip poses as the floor."""
        return SoundRule(self.above_floor_db, self.below_peak_db, 2 * self.above_floor_db, SILENT_DB + 3)

    def sounds(self, levels: FloatArray, lifted: FloatArray) -> list[Run]:
        """Runs of frames that are sound, plain or after pre-emphasis; none of them is a click."""
        is_sound = np.zeros(len(levels), dtype=np.bool_)
        for one in (levels, lifted):
            is_sound |= one > self.rule.threshold_db(*floor_and_peak(one, self))
        # a burst of no length lights every frame that sees it
        seen_by = round(self.frame_s / self.hop_s)
        return find_sounds(
            is_sound,
            shortest=round(self.shortest_word_s / self.hop_s) + seen_by,
            near=round(self.consonant_gap_s / self.hop_s),
        )


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
    runs = config.sounds(plain, lifted)
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
    frames = np.lib.stride_tricks.sliding_window_view(line, frame // part, axis=1)[:, ::hop_parts]
    power = frames.sum(axis=2) / np.float32(frame)
    levels = level_db(np.maximum(power, np.float32(SILENT_POWER)))
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
    return ranked_level(ranked, len(ranked) // 10), ranked_level(
        ranked, len(ranked) - min(n_frames, len(ranked))
    )


def _centre_of_energy(levels: FloatArray, runs: Sequence[tuple[int, int]], hop: int) -> int:
    if len(runs) == 1:
        frames = np.arange(*runs[0])
    else:
        frames = np.concatenate([np.arange(first, end) for first, end in runs])
    power = 10.0 ** (levels[frames] / 10.0)
    return round(float(np.add.reduce(frames * power) / np.add.reduce(power)) * hop)
