"""The seconds around each hit and near miss, as flac files in a folder of bounded size.

Audio is counted in samples since listening began; samples that were lost count as well, so that a
position means the same moment here and in the decoder.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from speechcmd.audio.reading import encode_flac
from speechcmd.audio.samples import Int16, Waveform, finite_samples, float32_to_int16
from speechcmd.runtime.listening.clip_folder import ClipFolder

NEAR_MISS_DISTANCE_S = 1.0  # of near misses that follow more closely only the first is kept
LATEST_MARK_S = 4.0  # a mark that comes this long after its middle still finds all its audio

_LONGEST_LABEL = 40  # characters in a file name
_FLAC_OVERHEAD_BYTES, _JSON_OVERHEAD_BYTES = 1_000, 1_000
_GAP_S = 1.0  # lost audio becomes zeros in parts of this length


@dataclass(frozen=True, slots=True)
class Moment:
    """A word that was heard, or nearly; positions are seconds since listening began."""

    kind: Literal["hit", "near_miss"]
    label: str
    score: float
    start_s: float
    end_s: float
    decided_s: float


@dataclass(frozen=True, slots=True)
class _Clip:
    """A clip to be written, in samples since listening began."""

    moment: Moment
    time: datetime
    first: int
    end: int


class ClipSaver:
    """Save clips as flac, each with a JSON file of the same name, and delete the oldest beyond a limit.

    A folder that cannot be written any more does not end listening: see `take_problems`.

    Parameters
    ----------
    folder
        Made if it does not exist. Files in it that are not named as ours are never touched.
    sample_rate
        Of the audio that is fed, in Hz.
    limit_bytes
        Most that all clips in the folder may take together, those of earlier runs included.
    details
        Goes into each JSON file: model, thresholds, device.
    clip_s
        Length of a clip in seconds.

    Raises
    ------
    SpeechcmdError
        If the folder cannot be written or the limit is too small for one clip.
    """

    def __init__(
        self,
        folder: Path,
        *,
        sample_rate: int,
        limit_bytes: int,
        details: dict[str, Any],
        clip_s: float = 2.0,
    ) -> None:
        self._sample_rate = sample_rate
        self._details = details
        self._clip_samples = round(clip_s * sample_rate)
        self._kept_samples = round((clip_s / 2 + LATEST_MARK_S) * sample_rate)
        self._audio: Int16 = np.zeros(0, dtype=np.int16)
        self._end = 0  # position after the last sample of `_audio`
        self._gaps: list[tuple[int, int]] = []
        self._pending: list[_Clip] = []
        self._last_near_miss_s: float | None = None
        self._folder = ClipFolder(folder, limit_bytes, self._largest_bytes())

    @property
    def n_saved(self) -> int:
        """Clips written so far."""
        return self._folder.n_saved

    @property
    def n_failed(self) -> int:
        """Clips that could not be written."""
        return self._folder.n_failed

    def feed(self, waveform: Waveform) -> None:
        """Take the next audio. Shape: (n_samples,), n_samples may be 0."""
        self._append(float32_to_int16(finite_samples(waveform)))

    def skip(self, n_samples: int) -> None:
        """Count samples that were lost: zeros in a clip, and its JSON says how many."""
        if n_samples <= 0:
            return
        self._gaps.append((self._end, self._end + n_samples))
        part = round(_GAP_S * self._sample_rate)
        while n_samples and (self._pending or n_samples <= self._kept_samples):
            n_zeros = min(n_samples, part)
            self._append(np.zeros(n_zeros, dtype=np.int16))
            n_samples -= n_zeros
        if n_samples:  # a device was away for long: nothing before or in the gap is asked for any more
            self._end += n_samples
            self._audio = np.zeros(self._kept_samples, dtype=np.int16)

    def mark(self, moment: Moment) -> None:
        """Save a clip around the middle of the moment as soon as the audio after it has come."""
        if moment.kind == "near_miss":
            last_s = self._last_near_miss_s
            if last_s is not None and moment.decided_s - last_s < NEAR_MISS_DISTANCE_S:
                return
            self._last_near_miss_s = moment.decided_s
        middle = round((moment.start_s + moment.end_s) / 2 * self._sample_rate)
        first = middle - self._clip_samples // 2
        clip = _Clip(moment, datetime.now().astimezone(), max(0, first), first + self._clip_samples)
        self._pending.append(clip)
        self._write_complete()

    def close(self) -> None:
        """Write the clips that still wait for audio with what there is."""
        self._write_complete(at_end=True)

    def take_problems(self) -> list[str]:
        """Return what went wrong since the last call, one line each, each kind once and for all."""
        return self._folder.take_problems()

    def _append(self, samples: Int16) -> None:
        """Forget what no mark can ask for any more, then add: the newest call is kept whole."""
        oldest = min([self._end - self._kept_samples, *(clip.first for clip in self._pending)])
        n_old = max(0, oldest - (self._end - len(self._audio)))
        self._gaps = [gap for gap in self._gaps if gap[1] > oldest]
        self._audio = np.concatenate([self._audio[n_old:], samples])
        self._end += len(samples)
        self._write_complete()

    def _write_complete(self, at_end: bool = False) -> None:
        """Write the clips whose audio is there, in the order in which it came."""
        if not self._pending:
            return
        ready = [clip for clip in self._pending if at_end or clip.end <= self._end]
        self._pending = [clip for clip in self._pending if clip not in ready]
        for clip in sorted(ready, key=lambda one: one.end):
            self._write(clip)

    def _write(self, clip: _Clip) -> None:
        begin = self._end - len(self._audio)
        first, end = max(clip.first, begin), min(clip.end, self._end)
        if end <= first:
            self._folder.fail("late", "a clip was not saved (its audio is gone)")
            return
        flac = encode_flac(self._audio[first - begin : end - begin], self._sample_rate)
        self._folder.write(_stem_of(clip), flac, _json_bytes(self._about(clip, first, end)))

    def _about(self, clip: _Clip, first: int, end: int) -> dict[str, Any]:
        """Content of the JSON file of a clip that holds the samples first to end."""
        moment, clip_start_s = clip.moment, first / self._sample_rate
        n_missing = sum(max(0, min(end, gap_end) - max(first, gap)) for gap, gap_end in self._gaps)
        times_s = {
            "start_s": moment.start_s,
            "end_s": moment.end_s,
            "decided_s": moment.decided_s,
            "clip_start_s": clip_start_s,
            "start_in_clip_s": moment.start_s - clip_start_s,
            "end_in_clip_s": moment.end_s - clip_start_s,
        }
        return {
            "label": moment.label,
            "kind": moment.kind,
            "score": round(moment.score, 4),
            **{name: round(value, 3) for name, value in times_s.items()},
            "time": clip.time.isoformat(timespec="milliseconds"),
            "sample_rate": self._sample_rate,
            "n_samples": end - first,
            "n_missing_samples": n_missing,
            "details": self._details,
        }

    def _largest_bytes(self) -> int:
        """Noise does not compress: flac then takes as much as wav, and a little more."""
        n_flac = 2 * self._clip_samples * 101 // 100 + _FLAC_OVERHEAD_BYTES
        return n_flac + len(_json_bytes(self._details)) + _JSON_OVERHEAD_BYTES


def _json_bytes(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "replace")


def _stem_of(clip: _Clip) -> str:
    time = clip.time
    stamp = f"{time:%Y-%m-%dT%H-%M-%S}.{time.microsecond // 1000:03d}"
    return f"{stamp}_{_safe_label(clip.moment.label)}_{clip.moment.kind}"


def _safe_label(label: str) -> str:
    """Letters, digits and _ of any script, all else as -: a name that every file system takes."""
    composed = unicodedata.normalize("NFKC", label)
    safe = "".join(
        char if char == "_" or unicodedata.category(char)[0] in "LMN" else "-" for char in composed
    )
    return safe[:_LONGEST_LABEL] or "-"
