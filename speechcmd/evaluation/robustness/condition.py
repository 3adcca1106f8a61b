"""The conditions that robustness is measured in: what is done to the clips, and how strongly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speechcmd.audio.samples import Waveform
from speechcmd.evaluation.clips.answers import Distort
from speechcmd.evaluation.robustness.codec import (
    Codec,
    code_and_decode,
    g711,
    gsm,
    mp3,
    opus,
    vorbis,
    why_missing,
)
from speechcmd.evaluation.robustness.distortion import (
    TELEPHONE_BAND_HZ,
    TELEPHONE_RATE,
    WordPlace,
    add_noise,
    change_gain,
    clip_share,
    limit_band,
    limit_rate,
    shift_time,
)
from speechcmd.evaluation.robustness.noise_source import (
    COLOURS,
    NoiseFiles,
    NoiseSource,
    make_coloured,
    read_noise,
)
from speechcmd.evaluation.robustness.reverberation import (
    DIRECT_TO_REVERBERANT_DB,
    Response,
    make_room,
    read_response,
    reverberate,
    reverberate_level,
)
from speechcmd.evaluation.robustness.time_stretch import change_rate

Change = Callable[[Waveform, np.random.Generator], Waveform]

SNR_DB = (20.0, 15.0, 10.0, 5.0, 0.0, -5.0)
GAIN_DB = (-30.0, -20.0, -10.0, 0.0, 10.0)
CLIPPED_SHARES = (0.01, 0.05, 0.2)
RT60_S = (0.2, 0.4, 0.8)
SHIFT_MS = (-300.0, -200.0, -100.0, 100.0, 200.0, 300.0)
RATES = (0.8, 0.9, 1.1, 1.25)
MP3_KBIT_S = (32.0, 16.0, 8.0)
OPUS_KBIT_S = (12.0, 6.0)
VORBIS_QUALITY = (5.0, 0.0)
_LONG_DELAY_MS = 50.0


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """What must be known of a clip before anything is done to it."""

    seed: int
    """Of its random numbers: of the clip itself, whatever clips are beside it."""
    word: WordPlace
    """Its level is never 0."""


@dataclass(frozen=True)
class ConditionPoint:
    """One strength of a condition."""

    value: float
    distort: Distort


@dataclass(frozen=True)
class Condition:
    """One thing that is done to the clips, at one or more strengths."""

    name: str
    axis: str
    points: tuple[ConditionPoint, ...]
    note: str = ""


def make_conditions(
    clips: Sequence[ClipFacts],
    *,
    noises: Sequence[NoiseFiles] = (),
    responses: Sequence[Path] = (),
    seed: int = 0,
) -> list[Condition]:
    """All conditions, in the order of the report.

    Parameters
    ----------
    clips
        In the order in which they are classified.
    noises
        Noise to use instead of the built-in colours.
    responses
        Impulse responses to use instead of the simulated rooms.
    seed
        Of the choice among many recordings of noise.

    Raises
    ------
    AudioError
        If a file cannot be read.
    EvaluationError
        If a file holds only silence.
    """
    sources = [read_noise(files, seed) for files in noises] or [make_coloured(colour) for colour in COLOURS]
    conditions = [_noise_condition(source, clips) for source in sources]
    conditions += _level_conditions(clips)
    if responses:
        conditions += [_response_condition(read_response(path), clips) for path in responses]
    else:
        conditions.append(_room_condition(clips))
    return [*conditions, *_time_conditions(clips), *_band_conditions(clips), *_coding_conditions(clips)]


def _seeded(change: Change, clips: Sequence[ClipFacts]) -> Distort:
    """Give each clip its own random numbers, whatever is done before it; a clip without samples stays so."""

    def distort(waveform: Waveform, index: int) -> Waveform:
        return change(waveform, np.random.default_rng(clips[index].seed)) if len(waveform) else waveform

    return distort


def _points(
    values: Iterable[float], change: Callable[[float], Change], clips: Sequence[ClipFacts]
) -> tuple[ConditionPoint, ...]:
    return tuple(ConditionPoint(value, _seeded(change(value), clips)) for value in values)


def _noise_condition(source: NoiseSource, clips: Sequence[ClipFacts]) -> Condition:
    def at(snr_db: float) -> Distort:
        def distort(waveform: Waveform, index: int) -> Waveform:
            if not len(waveform):
                return waveform
            clip = clips[index]
            noise = source.draw(len(waveform), np.random.default_rng(clip.seed))
            return add_noise(waveform, noise, snr_db, clip.word)

        return distort

    points = tuple(ConditionPoint(snr_db, at(snr_db)) for snr_db in SNR_DB)
    note = (
        "the rms of the word over that of the noise under it, boundary to boundary; what lies below 50 Hz is "
        "no noise, and recorded noise is evened out; silence counts as the median word"
    )
    return Condition(f"noise: {source.name}", "signal-to-noise ratio, dB", points, note)


def _level_conditions(clips: Sequence[ClipFacts]) -> Iterator[Condition]:
    gains = _points(GAIN_DB, lambda gain_db: lambda waveform, _: change_gain(waveform, gain_db), clips)
    yield Condition("gain", "gain, dB", gains, "rounded to 16 bits, clipped at full scale")
    shares = _points(CLIPPED_SHARES, lambda share: lambda waveform, _: clip_share(waveform, share), clips)
    yield Condition(
        "clipping", "share of samples clipped", shares, "of all samples of a clip; its rms is kept"
    )


def _room_condition(clips: Sequence[ClipFacts]) -> Condition:
    def at(rt60_s: float) -> Change:
        return lambda waveform, rng: reverberate(waveform, make_room(rt60_s, rng))

    note = (
        f"simulated rooms, direct-to-reverberant ratio {DIRECT_TO_REVERBERANT_DB:g} dB, another for each clip"
    )
    return Condition("reverberation", "RT60, s", _points(RT60_S, at, clips), note)


def _response_condition(response: Response, clips: Sequence[ClipFacts]) -> Condition:
    point = ConditionPoint(
        round(response.rt60_s, 2), _seeded(lambda waveform, _: reverberate_level(waveform, response), clips)
    )
    delay_ms = response.delay_ms
    note = f"{delay_ms:.0f} ms of it come before its strongest sample" if delay_ms > _LONG_DELAY_MS else ""
    return Condition(f"reverberation: {response.name}", "RT60, s", (point,), note)


def _time_conditions(clips: Sequence[ClipFacts]) -> Iterator[Condition]:
    def shifted(shift_ms: float) -> Change:
        return lambda waveform, rng: shift_time(waveform, shift_ms, rng)

    def faster(rate: float) -> Change:
        return lambda waveform, rng: change_rate(waveform, rate, rng)

    shift_note = "what leaves the clip is lost; noise at the clip's own floor comes in"
    yield Condition("time shift", "time shift, ms", _points(SHIFT_MS, shifted, clips), shift_note)
    rate_note = "times as fast, at the same pitch (WSOLA), in a clip of the same length"
    yield Condition("speaking rate", "speaking rate", _points(RATES, faster, clips), rate_note)


def _band_conditions(clips: Sequence[ClipFacts]) -> Iterator[Condition]:
    axis = "upper end of the band, Hz"
    sampled = ConditionPoint(TELEPHONE_RATE / 2, _seeded(lambda waveform, _: limit_rate(waveform), clips))
    yield Condition("band: sampled at 8 kHz", axis, (sampled,))
    low_hz, high_hz = TELEPHONE_BAND_HZ
    telephone = ConditionPoint(high_hz, _seeded(lambda waveform, _: limit_band(waveform), clips))
    yield Condition(f"band: telephone, {low_hz:.0f} Hz up", axis, (telephone,))


def _coding_conditions(clips: Sequence[ClipFacts]) -> Iterator[Condition]:
    rate, quality = "bit rate, kbit/s", "quality"
    kinds: list[tuple[str, str, dict[float, Codec]]] = [
        ("coding: MP3", rate, {kbit_s: mp3(kbit_s) for kbit_s in MP3_KBIT_S}),
        ("coding: Opus", rate, {kbit_s: opus(kbit_s) for kbit_s in OPUS_KBIT_S}),
        ("coding: G.711 µ-law, 8 kHz", rate, {64.0: g711()}),
        ("coding: GSM 06.10, 8 kHz", rate, {13.0: gsm()}),
        ("coding: Vorbis", quality, {value: vorbis(value) for value in VORBIS_QUALITY}),
    ]
    for name, axis, codecs in kinds:
        missing = next(filter(None, map(why_missing, codecs.values())), "")
        points = (
            () if missing else tuple(_coding_point(value, codec, clips) for value, codec in codecs.items())
        )
        note = f"not measured: {missing}" if missing else "nominal bit rate" if "Opus" in name else ""
        yield Condition(name, axis, points, note)


def _coding_point(value: float, codec: Codec, clips: Sequence[ClipFacts]) -> ConditionPoint:
    return ConditionPoint(value, _seeded(lambda waveform, _: code_and_decode(waveform, codec), clips))
