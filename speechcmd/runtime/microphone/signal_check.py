"""What a few seconds from a microphone say about it: pure functions on a waveform.

Levels are rms in decibels relative to full scale (dBFS): a full-scale sine has -3 dBFS.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from speechcmd.arrays import DoubleArray
from speechcmd.audio.samples import Waveform
from speechcmd.runtime.microphone.advice import advise

Status = Literal["ok", "problem", "skipped"]

# speech at arm's length lies at -20 to -35 dBFS; at -50 quiet consonants reach the noise of cheap converters
LEAST_LEVEL_DBFS = -50.0
# speech beside the microphone stands 20 dB and more over the room; at 10 dB its consonants are gone
LEAST_SPEECH_OVER_NOISE_DB = 10.0
# full scale of int16 is 0.99997; some drivers leave a little room
CLIPPED_AMPLITUDE = 0.99
# a lone peak may touch full scale, a flat top stays there
CLIPPED_RUN_SAMPLES = 3
# one knock on the table stays below, a clipped word does not
MOST_CLIPPED_SHARE = 0.001
# a sound converter stays below 0.001; at 0.01 the offset is as loud as quiet speech
LARGEST_OFFSET = 0.01
# below the rest of the noise hum does no harm that the noise does not do
MOST_HUM_OVER_NOISE_DB = 6.0
# 30 dB under quiet speech hum harms nothing, however pure it is
LEAST_HUM_DBFS = -65.0
MAINS_HZ = (50, 60)
HUM_HARMONICS = 8
# speech has 20 to 35 dB less above 4 kHz than below, a telephone band ends in nothing
LEAST_HIGH_BAND_DB = -55.0

_FRAME_S = 0.02  # for levels: as long as speech stays the same
_LOUD_PERCENTILE, _FLOOR_PERCENTILE = 95, 10  # in three seconds: the loudest 150 ms, the quietest 300 ms
_QUIET_FRAME_S = (
    0.2  # a whole number of periods of 50 and of 60 Hz, and short enough for pauses between words
)
_QUIET_HOP_S = 0.05
_QUIETEST_SHARE = 0.1
_FIRST_BIN = 2  # the window smears what moves more slowly over the bins below
_SPEECH_BAND_HZ, _HIGH_BAND_HZ = (300.0, 3_400.0), (4_500.0, 7_500.0)
_BAND_FRAME = 512
_TINY_POWER = 1e-20
_BLUETOOTH_NAMES = (
    "bluetooth",
    "bluez",
    "hands-free",
    "handsfree",
    "headset-head-unit",
    "hfp",
    "airpods",
    "buds",
)
_TELEPHONE_RATE = 16_000


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: Status
    measured: str
    """What was found, with units; why it was skipped."""
    advice: str = ""
    """What to do about a problem."""
    values: dict[str, float] = field(default_factory=dict)
    """The measured numbers, units in their names."""


def judge(name: str, is_ok: bool, found: str, problem: str, advice: str, values: dict[str, float]) -> Check:
    """What was found, or the problem and what to do about it."""
    if is_ok:
        return Check(name, "ok", found, values=values)
    return Check(name, "problem", problem, advice, values)


def check_signal(waveform: Waveform, sample_rate: int, device_name: str, default_rate: int) -> list[Check]:
    """Run all checks of a recording. Shape: (n_samples,), not empty.

    A microphone that delivers digital zero is reported once; nothing else can be judged then.
    """
    zeros = check_zeros(waveform)
    checks: dict[str, Callable[[], Check]] = {
        "level": lambda: check_level(waveform, sample_rate),
        "noise": lambda: check_noise(waveform, sample_rate),
        "clipping": lambda: check_clipping(waveform),
        "offset": lambda: check_offset(waveform, sample_rate),
        "hum": lambda: check_hum(waveform, sample_rate),
        "bandwidth": lambda: check_bandwidth(waveform, sample_rate, device_name, default_rate),
    }
    if zeros.status == "problem":
        return [zeros, *(Check(name, "skipped", "no sound to judge") for name in checks)]
    return [zeros, *(check() for check in checks.values())]


def check_zeros(waveform: Waveform) -> Check:
    """Exact digital zero throughout: no room is that quiet. Shape: (n_samples,)."""
    share = float(np.mean(waveform == 0.0))
    problem = "nothing but digital zero: the system withholds the sound, or the microphone is muted"
    values = {"zero_share": share}
    return judge("permission", share < 1.0, "sound arrives", problem, advise("permission"), values)


def check_level(waveform: Waveform, sample_rate: int) -> Check:
    """Level of the loudest parts, where somebody speaks. Shape: (n_samples,)."""
    level = float(np.percentile(_levels_dbfs(waveform, sample_rate), _LOUD_PERCENTILE))
    found = f"loudest parts at {level:.0f} dBFS"
    problem = f"too quiet: {found}, expected at least {LEAST_LEVEL_DBFS:.0f} dBFS"
    values = {"level_dbfs": level}
    return judge("level", level >= LEAST_LEVEL_DBFS, found, problem, advise("level"), values)


def check_noise(waveform: Waveform, sample_rate: int) -> Check:
    """How far the loudest parts stand over the quietest. Shape: (n_samples,)."""
    levels = _levels_dbfs(waveform, sample_rate)
    floor, loud = (float(level) for level in np.percentile(levels, (_FLOOR_PERCENTILE, _LOUD_PERCENTILE)))
    found = f"loudest parts {loud - floor:.0f} dB over the noise ({floor:.0f} dBFS)"
    return judge(
        "noise",
        loud - floor >= LEAST_SPEECH_OVER_NOISE_DB,
        found,
        f"{found}, expected at least {LEAST_SPEECH_OVER_NOISE_DB:.0f} dB",
        "speak while the check runs; if you did, come closer, or quieten what makes the noise",
        {"noise_dbfs": floor, "speech_over_noise_db": loud - floor},
    )


def check_clipping(waveform: Waveform) -> Check:
    """Share of samples in flat tops at full scale. Shape: (n_samples,)."""
    is_full = np.abs(waveform) >= CLIPPED_AMPLITUDE
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_full, [False]])))
    runs = edges[1::2] - edges[::2]
    share = float(runs[runs >= CLIPPED_RUN_SAMPLES].sum() / len(waveform))
    found = f"{share:.2%} of the samples clipped"
    problem = f"{found}, expected at most {MOST_CLIPPED_SHARE:.1%}"
    advice = "lower the input volume, or keep more distance"
    return judge("clipping", share <= MOST_CLIPPED_SHARE, found, problem, advice, {"clipped_share": share})


def check_offset(waveform: Waveform, sample_rate: int) -> Check:
    """Mean of the quietest frames, which should be zero (clipped speech has a mean). Shape: (n_samples,)."""
    offset = float(_quietest(waveform, sample_rate).mean())
    problem = f"direct current of {offset:+.3f} of full scale, expected at most {LARGEST_OFFSET}"
    advice = "try another socket, cable or microphone: this converter is faulty or wrongly powered"
    found = f"{offset:+.4f} of full scale"
    return judge("offset", abs(offset) <= LARGEST_OFFSET, found, problem, advice, {"offset": offset})


def check_hum(waveform: Waveform, sample_rate: int) -> Check:
    """Mains hum against the other noise, in the quietest frames only. Shape: (n_samples,).

    Hum never pauses, voices do: a voice at 100 or 120 Hz is absent from the quietest tenth.
    """
    spectrum = _quiet_spectrum(waveform, sample_rate)
    if spectrum is None:
        return Check("hum", "skipped", f"needs {_QUIET_FRAME_S} s of sound")
    mains_hz = max(MAINS_HZ, key=lambda hz: _hum_power(spectrum, hz))
    hum = _hum_power(spectrum, mains_hz)
    rest = float(spectrum[_FIRST_BIN:].sum()) - hum
    level, over = _decibels(hum), _decibels(hum) - _decibels(rest)
    values = {"mains_hz": float(mains_hz), "hum_dbfs": level, "hum_over_noise_db": over}
    found = f"{mains_hz} Hz and harmonics at {level:.0f} dBFS, {over:+.0f} dB to other noise"
    advice = (
        "move the cable away from power cords and chargers, try another socket or cable; on a laptop, unplug "
        "the charger to see whether it is the cause"
    )
    is_ok = level < LEAST_HUM_DBFS or over <= MOST_HUM_OVER_NOISE_DB
    return judge("hum", is_ok, found, found, advice, values)


def check_bandwidth(waveform: Waveform, sample_rate: int, device_name: str, default_rate: int) -> Check:
    """Telephone quality: a Bluetooth device at a telephone's rate, or nothing above 4 kHz.

    Shape: (n_samples,).
    """
    name = device_name.casefold()
    if default_rate <= _TELEPHONE_RATE and any(part in name for part in _BLUETOOTH_NAMES):
        measured = f"a Bluetooth device in telephone mode ({default_rate} Hz)"
        return Check("bandwidth", "problem", measured, advise("telephone"), {"rate_hz": float(default_rate)})
    if sample_rate < 2 * _HIGH_BAND_HZ[1] or len(waveform) < _BAND_FRAME:
        return Check("bandwidth", "skipped", f"{sample_rate} Hz holds nothing above 4 kHz")
    density = _mean_spectrum(waveform)
    bins_hz = np.fft.rfftfreq(_BAND_FRAME, 1 / sample_rate)
    low, high = (
        float(density[(bins_hz >= band[0]) & (bins_hz <= band[1])].mean())
        for band in (_SPEECH_BAND_HZ, _HIGH_BAND_HZ)
    )
    ratio = _decibels(high) - _decibels(low)
    problem = f"nothing above 4 kHz ({ratio:+.0f} dB): telephone quality"
    values = {"high_band_db": ratio}
    found = f"{ratio:+.0f} dB above 4 kHz"
    return judge("bandwidth", ratio >= LEAST_HIGH_BAND_DB, found, problem, advise("telephone"), values)


def _levels_dbfs(waveform: Waveform, sample_rate: int) -> DoubleArray:
    """Level of each 20 ms without its offset. Shape: (n_samples,) -> (n_frames,)."""
    frames = _frames(waveform, round(_FRAME_S * sample_rate), round(_FRAME_S * sample_rate))
    power = np.maximum(frames.var(axis=1, dtype=np.float64), _TINY_POWER)
    return np.asarray(10 * np.log10(power))


def _frames(waveform: Waveform, length: int, hop: int) -> Waveform:
    """Shape: (n_samples,) -> (n_frames, length); all of a waveform that is shorter is one frame."""
    if len(waveform) <= length:
        return waveform[None, :]
    return np.lib.stride_tricks.sliding_window_view(waveform, length)[::hop]


def _quietest(waveform: Waveform, sample_rate: int) -> DoubleArray:
    """The quietest tenth of all frames of 0.2 s. Shape: (n_samples,) -> (n_frames, length)."""
    frames = _frames(waveform, round(_QUIET_FRAME_S * sample_rate), round(_QUIET_HOP_S * sample_rate))
    n_quiet = math.ceil(_QUIETEST_SHARE * len(frames))
    return frames[np.argsort(frames.var(axis=1))[:n_quiet]].astype(np.float64)


def _quiet_spectrum(waveform: Waveform, sample_rate: int) -> DoubleArray | None:
    """Mean power in each 5 Hz over the quietest frames; sums to their mean square. Shape: (n_bins,)."""
    length = round(_QUIET_FRAME_S * sample_rate)
    if len(waveform) < length:
        return None
    quietest = _quietest(waveform, sample_rate)
    quietest = quietest - quietest.mean(axis=1, keepdims=True)
    window = np.hanning(length + 1)[:-1]
    power = 2 * np.abs(np.fft.rfft(quietest * window)) ** 2 / (length * np.sum(window**2))
    return np.asarray(power.mean(axis=0))


def _hum_power(spectrum: DoubleArray, mains_hz: int) -> float:
    """Power of a mains frequency and its harmonics: a steady sine fills three bins of the window."""
    centres = [round(mains_hz * harmonic * _QUIET_FRAME_S) for harmonic in range(1, HUM_HARMONICS + 1)]
    return float(sum(spectrum[centre - 1 : centre + 2].sum() for centre in centres))


def _mean_spectrum(waveform: Waveform) -> DoubleArray:
    """Mean power in each bin of short frames, loud ones weigh most. Shape: (n_samples,) -> (n_bins,)."""
    frames = _frames(waveform, _BAND_FRAME, _BAND_FRAME // 2).astype(np.float64)
    return np.asarray((np.abs(np.fft.rfft(frames * np.hanning(_BAND_FRAME))) ** 2).mean(axis=0))


def _decibels(power: float) -> float:
    return 10 * math.log10(max(power, _TINY_POWER))
