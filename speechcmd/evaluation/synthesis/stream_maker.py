"""Make a recording of which it is known what is said when: the audio of a `StreamPlan`, and its labels.

The audio is written section by section, so an hour takes no more memory than a minute. Levels are rms
over the word from boundary to boundary, of the word and of the very noise under it, never peaks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from data_prep.store import Store
from speechcmd.audio.loudness import measure_rms
from speechcmd.audio.reading import openable
from speechcmd.audio.samples import SAMPLE_RATE, Waveform, float32_to_int16, int16_to_float32
from speechcmd.errors import EvaluationError
from speechcmd.evaluation.streams.annotation import Annotation, Word, write_audacity, write_json
from speechcmd.evaluation.synthesis.stream_background import StreamBackground, equal_power_fade
from speechcmd.evaluation.synthesis.stream_files import FORMATS, check_target, label_paths, put_in_place
from speechcmd.evaluation.synthesis.stream_plan import Event, Section, StreamPlan, StreamSettings, plan_stream
from speechcmd.files import scratch_folder

LOUDEST_PEAK = 0.6  # of what is said: with the loudest noise, cross-faded, it stays below full scale
MOST_CHANGE_DB = 15.0  # by which a word may be louder or softer than its section, to keep the ratio
_RAMP_S = 0.25
_FADE_SAMPLES, _SHORTEST_FADE_SAMPLES = round(0.02 * SAMPLE_RATE), round(0.005 * SAMPLE_RATE)
_LEAST_RMS = 1e-5
_LEAST_NOISE = 6e-5  # rms of white noise that is always there: two steps of 16 bit


@dataclass(frozen=True)
class MadeStream:
    """What was written, and where."""

    path: Path
    annotation: Annotation

    @property
    def label_paths(self) -> tuple[Path, Path]:
        """Our labels, and those for Audacity."""
        return label_paths(self.path)


def make_stream(
    store: Store,
    path: Path,
    settings: StreamSettings,
    on_progress: Callable[[float], None] = lambda seconds: None,
) -> MadeStream:
    """Write a recording (.wav or .flac: 16 kHz, mono, 16 bit) and its labels (.json, .txt) beside it.

    Parameters
    ----------
    store
        Where words, speech and noise come from.
    path
        The recording; it and its labels appear when all is done, or not at all.
    settings
        What it shall hold.
    on_progress
        Called with the seconds of audio that came to it.

    Raises
    ------
    EvaluationError
        If the suffix is another, something else lies under the name (`check_target`), the split lacks
        noise, a keyword or what a share is asked of, or no keyword fits in.
    OSError
        If a file cannot be written.
    """
    check_target(path)
    plan = plan_stream(store, settings)
    # a name of its own: the asked one may be as long as names can be
    with scratch_folder(path) as folder:
        part = folder / f"stream{path.suffix}"
        annotation = _write_audio(store, plan, part, on_progress)
        if annotation is None:
            raise EvaluationError("could not be written whole", path=path.name, advice="is the disk full?")
        made = MadeStream(part, annotation)
        write_json(made.annotation, made.label_paths[0])
        write_audacity(made.annotation.words, made.label_paths[1])
        put_in_place((*made.label_paths, part), (*label_paths(path), path))
    return MadeStream(path, made.annotation)


def render_sections(store: Store, plan: StreamPlan) -> Iterator[tuple[Waveform, list[Word]]]:
    """Yield the audio of each section, (n_samples,), and what is said in it, with the ratio that came out."""
    background = StreamBackground(store, plan.pieces, plan.settings.seed)
    rng = np.random.default_rng([plan.settings.seed, 3])
    for section in plan.sections:
        noise = background.read(section.start, section.end) * noise_level(plan, section.start, section.end)
        noise += np.float32(_LEAST_NOISE) * rng.standard_normal(len(noise), dtype=np.float32)
        mixed, words = noise.copy(), []
        for event in section.events:
            measured_db = _add(event, section, store, noise, mixed)
            words.append(_label(event, measured_db, background.sources(event.start, event.end)))
        yield mixed, words


def _write_audio(
    store: Store, plan: StreamPlan, path: Path, on_progress: Callable[[float], None]
) -> Annotation | None:
    """Return what is said in it; None if not all could be written: libsndfile never says why."""
    import soundfile

    said: list[Word] = []
    n_samples = plan.settings.n_samples
    name, audio_format = openable(path), FORMATS[path.suffix.lower()]
    try:
        with soundfile.SoundFile(name, "w", SAMPLE_RATE, 1, subtype="PCM_16", format=audio_format) as file:
            for waveform, words in render_sections(store, plan):
                file.write(float32_to_int16(waveform))
                said += words
                on_progress(len(waveform) / SAMPLE_RATE)
        if soundfile.info(name).frames != n_samples:
            return None
    except soundfile.SoundFileError:
        return None
    return Annotation(
        tuple(word for word in said if word.attributes["kind"] == "keyword"),
        tuple(word for word in said if word.attributes["kind"] != "keyword"),
        n_samples / SAMPLE_RATE,
        {"store": str(store.path), "store_digest": store.digest, **asdict(plan.settings)},
    )


def noise_level(plan: StreamPlan, start: int, end: int) -> Waveform:
    """Amplitude of the noise from `start` to `end`, (end - start,): it never changes under a word."""
    half = round(min(_RAMP_S, plan.settings.gap_s[0]) / 2 * SAMPLE_RATE)
    times, levels_db = [0], [plan.sections[0].noise_db]
    for before, after in pairwise(plan.sections):
        times += [after.start - half, after.start + half]
        levels_db += [before.noise_db, after.noise_db]
    level_db = np.interp(np.arange(start, end), times, levels_db)
    amplitude: Waveform = (10 ** (level_db / 20)).astype(np.float32)
    return amplitude


def _add(event: Event, section: Section, store: Store, noise: Waveform, mixed: Waveform) -> float:
    """Lay what is said over the section's noise and return the ratio of the two in dB."""
    spoken = event.spoken
    (first, last), (start, end) = spoken.cut, spoken.boundaries
    waveform = _faded(int16_to_float32(store.samples_of(spoken.row)[first:last]), start - first, last - end)
    begin = event.start - section.start
    spoken_rms = max(measure_rms(waveform[start - first : end - first]), _LEAST_RMS)
    noise_rms = measure_rms(noise[begin : begin + end - start])
    usual_rms = _amplitude(section.noise_db + event.snr_db)
    change = np.clip(
        noise_rms * _amplitude(event.snr_db) / usual_rms,
        _amplitude(-MOST_CHANGE_DB),
        _amplitude(MOST_CHANGE_DB),
    )
    gain = min(
        usual_rms * float(change) / spoken_rms, LOUDEST_PEAK / max(float(np.abs(waveform).max()), _LEAST_RMS)
    )
    place = begin - (start - first)
    mixed[place : place + len(waveform)] += np.float32(gain) * waveform
    return 20 * math.log10(gain * spoken_rms / noise_rms)


def _faded(waveform: Waveform, n_before: int, n_after: int) -> Waveform:
    """Fade in and out, outside the word where its clip goes on there: its noise must not click."""
    faded: Waveform = waveform - waveform.mean()
    for part, n_free in ((faded, n_before), (faded[::-1], n_after)):
        fade = equal_power_fade(min(max(_SHORTEST_FADE_SAMPLES, min(_FADE_SAMPLES, n_free)), len(faded)))
        part[: len(fade)] *= fade
    return faded


def _label(event: Event, measured_db: float, noises: list[str]) -> Word:
    row = event.spoken.row
    attributes: dict[str, str | float | bool] = {
        "kind": event.kind,
        "setting": event.setting,
        "snr_db": event.snr_db,
        "measured_snr_db": round(measured_db, 2),
        "source": row.path,
        "speaker": row.speaker,
        "noise": ", ".join(noises),
    }
    label = row.word if event.kind != "speech" else "speech"
    return Word(label, event.start / SAMPLE_RATE, event.end / SAMPLE_RATE, attributes)


def _amplitude(level_db: float) -> float:
    return math.pow(10.0, level_db / 20)
