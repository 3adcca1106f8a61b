"""The clips of a task from a store or from a folder in the official layout, by the official draw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol

import numpy as np

from data_prep.corpus import Source, scan_corpus
from data_prep.row_source import RowSource
from data_prep.store import Row, Store
from data_prep.task import (
    EVALUATION_SILENCE_DB,
    SplitTask,
    TaskConfig,
    digest_of_names,
    draw_recordings,
    draw_unknown,
    make_split_task,
    select_noise,
)
from data_prep.voices import note_voices
from speechcmd.arrays import IntArray
from speechcmd.audio.reading import duration_s, read_int16
from speechcmd.audio.samples import SAMPLE_RATE, Int16, Waveform, int16_to_float32
from speechcmd.errors import AudioError, EvaluationError
from speechcmd.evaluation.clips.labelled_clip import ClipSet, Draw, LabelledClip, check_regular
from speechcmd.evaluation.clips.official_archive import check_official_count
from speechcmd.labels import NEVER_FIRE, SILENCE, UNKNOWN, name_labels

SILENCE_SAMPLES = SAMPLE_RATE
_NOISES_IN_MEMORY = 8


class ClipSource(RowSource, Protocol):
    """Rows whose audio can be read."""

    def read(self, row: Row) -> Int16:
        """The whole clip or recording. Shape: (n_samples,)."""


class StoreSource:
    """A store."""

    def __init__(self, path: Path) -> None:
        self._store = Store.open(path)
        self.path, self.rows, self.select = self._store.path, self._store.rows, self._store.select

    def read(self, row: Row) -> Int16:
        return self._store.samples_of(row)


class FolderSource:
    """A folder of clips in the official layout: its splits are those that `prepare` would give.

    Without `needs_noise` its recordings of noise are left alone.

    Raises
    ------
    EvaluationError
        If something that bears a clip's name is no file, or noise that is needed cannot be read.
    """

    def __init__(self, folder: Path, *, needs_noise: bool = True) -> None:
        corpus = scan_corpus(folder)
        self.path = corpus.root
        sources = [source for source in corpus.sources if needs_noise or source.kind == "word"]
        for source in sources:
            if source.size == 0:  # as pipes and devices have it
                check_regular(source.path)
        self.rows = tuple(_row_of(source) for source in sources)
        self._files = {source.name: source.path for source in sources}
        self._read_noise = lru_cache(_NOISES_IN_MEMORY)(read_int16)

    def select(self, kind: str, split: str | None = None) -> list[Row]:
        return [row for row in self.rows if row.kind == kind and split in (None, row.split)]

    def read(self, row: Row) -> Int16:
        path = self._files[row.path]
        return read_int16(path) if row.kind == "word" else self._read_noise(path)


def _row_of(source: Source) -> Row:
    # only the lengths of recordings matter: they are drawn in proportion to them
    n_samples = 0 if source.kind == "word" else _measure_noise(source.path)
    about = (source.kind, source.word, source.speaker, source.split, source.role, source.name)
    return Row(*about, 0, n_samples, 0, n_samples, 0, 0.0, (), "")


def _measure_noise(path: Path) -> int:
    try:
        return round(duration_s(path) * SAMPLE_RATE)
    except AudioError as error:
        raise EvaluationError(f"{error}; {SILENCE} is drawn from this noise: remove or replace it") from error


def collect_all(source: ClipSource, name: str, split: str) -> ClipSet:
    """Every word of a source is a label, every clip of the split a clip.

    Raises
    ------
    EvaluationError
        If the split has no clips.
    """
    rows = _words_of(source, split)
    labels = tuple(sorted({row.word for row in source.select("word")}))
    clips = tuple(_word_clip(source, row, row.word) for row in rows)
    return ClipSet(name, "35", split, labels, clips, None, _note_voices(source, split, labels))


def draw_clip_set(
    source: ClipSource, name: str, task: str, split: str, labels: Sequence[str], unknown: str, seed: int
) -> ClipSet:
    """The words that are labels, and `_unknown_` and `_silence_`, each ceil(10 %) of them.

    Raises
    ------
    EvaluationError
        If the split has no clip of any of the words, or a complete official corpus gives other counts
        than the official ones.
    """
    rows = _words_of(source, split)
    present = {row.word for row in rows}
    words = tuple(label for label in labels if label in present and label not in NEVER_FIRE)
    if not words:
        raise EvaluationError(
            f"expected clips of {name_labels(labels)} in the split {split}, "
            f"found only {name_labels(sorted(present))}",
            path=name,
        )
    config = TaskConfig(words, unknown=unknown, seed=seed)
    drawn = make_split_task(source, config, split, needs_noise=False)
    others = drawn.unknown if unknown == "all" else draw_unknown(drawn, config)
    row_of = {row.path: row for row in source.rows}
    clips = [_word_clip(source, row, row.word) for row in _rows_at(drawn, drawn.words, row_of)]
    if UNKNOWN in labels:
        clips += [_word_clip(source, row, UNKNOWN) for row in _rows_at(drawn, others, row_of)]
    if SILENCE in labels:
        clips += _draw_silence(source, drawn, seed, row_of)
    counts = Counter(clip.label for clip in clips)
    if unknown == "official":
        check_official_count(name, split, labels, n_words=len(rows), n_drawn=len(clips))
    rule = _describe_rule(source, split, unknown, labels, counts)
    digest = digest_of_names(clip.path for clip in clips)
    draw = Draw(rule, seed, counts[UNKNOWN], counts[SILENCE], digest)
    voices = _note_voices(source, split, words)
    return ClipSet(name, task, split, tuple(labels), tuple(clips), draw, voices)


def _note_voices(source: ClipSource, split: str, words: Sequence[str]) -> str:
    """Whether voices of the split are in training as well, in words."""
    compared = {"training", split}
    return note_voices(row for row in source.rows if row.word in words and row.split in compared)


def _words_of(source: ClipSource, split: str) -> list[Row]:
    rows = source.select("word", split)
    if not rows:
        counts = Counter(row.split for row in source.select("word"))
        found = ", ".join(f"{count} of {other}" for other, count in counts.items()) or "none"
        raise EvaluationError(f"expected clips of the split {split}, found {found}", path=source.path)
    return rows


def _rows_at(task: SplitTask, indices: IntArray, row_of: dict[str, Row]) -> list[Row]:
    return [row_of[task.examples.paths[index]] for index in indices]


def _word_clip(source: ClipSource, row: Row, label: str) -> LabelledClip:
    return LabelledClip(row.path, row.word, label, row.speaker, partial(_read_word, source, row))


def _read_word(source: ClipSource, row: Row) -> Waveform:
    return int16_to_float32(source.read(row))


def _draw_silence(
    source: ClipSource, task: SplitTask, seed: int, row_of: dict[str, Row]
) -> list[LabelledClip]:
    """Windows of background noise, of one second and at a random level, as many as the rule says."""
    # the recordings are those of `draw_evaluation`; place and level come from a seed of their own
    among = np.random.Generator(np.random.PCG64(seed + 1))
    rng = np.random.Generator(np.random.PCG64([seed, 1]))
    clips = []
    for row in _rows_at(task, draw_recordings(task, task.silence, task.count_official(), among), row_of):
        start = int(rng.integers(0, max(0, row.n_samples - SILENCE_SAMPLES) + 1))
        gain_db = float(rng.uniform(*EVALUATION_SILENCE_DB))
        path = f"{row.path}@{start / SAMPLE_RATE:.5f}s{gain_db:+.2f}dB"
        read = partial(_read_silence, source, row, start, gain_db)
        clips.append(LabelledClip(path, "", SILENCE, "", read))
    return clips


def _read_silence(source: ClipSource, row: Row, start: int, gain_db: float) -> Waveform:
    gain = np.float32(10 ** (gain_db / 20))
    return gain * int16_to_float32(source.read(row)[start : start + SILENCE_SAMPLES])


def _describe_rule(
    source: ClipSource, split: str, unknown: str, labels: Sequence[str], counts: Counter[str]
) -> str:
    others = "every other word" if unknown == "all" else "ceil(10 %) of the words' clips, drawn"
    if not counts[SILENCE]:
        noise = "none, there is no noise to make it of"
    elif any(row.split == split for row in select_noise(source, split)):
        noise = f"windows of the noise kept for {split}"
    else:
        noise = "windows of training noise, the source keeps none for this split"
    said = {UNKNOWN: others, SILENCE: noise}
    return "; ".join(f"{label}: {rule}" for label, rule in said.items() if label in labels)
