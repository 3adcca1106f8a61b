"""From a store to the examples of a task: labels, the `_unknown_` draw, `_silence_` windows.

The official rule (Warden 2018): besides the words asked for there are `_unknown_`, drawn from all
other words, and `_silence_`, windows of background noise, each ceil(10 %) of the words' clips.
"""

from __future__ import annotations

import hashlib
import math
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from data_prep.row_source import JoinedStores, RowSource
from data_prep.store import Row
from speechcmd.arrays import BoolArray, FloatArray, IntArray
from speechcmd.errors import StoreError
from speechcmd.labels import NEVER_FIRE, SILENCE, UNKNOWN, join_labels, name_labels

OFFICIAL_PERCENT = 10
FEW_CLIPS = 1_000  # a tenth of fewer is too little to learn what is no word
EVALUATION_SILENCE_DB = (-20.0, 0.0)  # gain of the noise windows that stand for silence in a fixed set

NO_WORDS = (UNKNOWN, SILENCE)
"""The last labels of every task."""


_MOST_DIGITS = 7  # of a number of clips: more fit into no memory


@dataclass(frozen=True)
class TaskConfig:
    """What is to be told apart.

    `unknown`: "official" (as many as the rule says, the same every epoch), "auto" (the same, but beside fewer
    than `FEW_CLIPS` clips of words as many of others, anew each epoch), "all", or a number of clips drawn
    anew each epoch. In training, in percent of the words' clips: `speech_percent` windows of
    running speech join `_unknown_`, `silence_percent` windows of noise are `_silence_` (where a set is
    fixed, the official rule holds).
    """

    words: tuple[str, ...]
    unknown: str = "official"
    speech_percent: float = 0.0
    seed: int = 0
    silence_percent: float = OFFICIAL_PERCENT

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels in the order of the logits."""
        return (*self.words, *NO_WORDS)


@dataclass(frozen=True)
class Examples:
    """Clips and recordings of one split as columns; positions are absolute samples of the store.

    `is_word` examples are cut around their centre, the others anywhere between `first` and `end`.
    `source` is the number of the store that an example lies in, where several are joined. `is_mined` are
    windows of running speech that the network took for words; they stand where they were heard.
    """

    paths: tuple[str, ...]
    labels: IntArray
    first: IntArray
    end: IntArray
    speech_start: IntArray
    speech_end: IntArray
    centre: IntArray
    floor_db: FloatArray
    is_word: BoolArray
    source: IntArray
    is_mined: BoolArray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class SplitTask:
    """The examples of one split, in groups of indices, and what is added to the words."""

    examples: Examples
    words: IntArray
    unknown: IntArray
    silence: IntArray
    speech: IntArray
    noise: IntArray

    def count_official(self) -> int:
        """Clips of each extra class by the official rule."""
        return math.ceil(len(self.words) * OFFICIAL_PERCENT / 100)

    def count_unknown(self, config: TaskConfig) -> int:
        """Clips of other words in a fixed set: the official rule, beside few clips of words as many."""
        is_few = config.unknown == "auto" and len(self.words) < FEW_CLIPS
        return len(self.words) if is_few else self.count_official()


def make_split_task(
    store: RowSource, config: TaskConfig, split: str, *, needs_noise: bool = True
) -> SplitTask:
    """Collect the examples of a split.

    Raises
    ------
    StoreError
        If training and the split lack a word that is asked for, or there is no noise to make silence of
        and `needs_noise`.
    """
    words = store.select("word", split)
    _check_words(store, config, split)
    noise = select_noise(store, split)
    speech = store.select("speech", split)
    if needs_noise and not noise:
        raise StoreError(
            f"{store.path}: expected background noise of role train for {SILENCE}, found none; "
            "put recordings into _background_noise_ or prepare with --noise DIR"
        )
    recordings = noise + store.select("music", split) + speech
    label_of = {label: index for index, label in enumerate(config.labels)}
    labels = [label_of.get(row.word, label_of[UNKNOWN]) for row in words]
    labels += [label_of[UNKNOWN if row.kind == "speech" else SILENCE] for row in recordings]
    rows = [*words, *recordings]
    source = store.source_of(rows) if isinstance(store, JoinedStores) else np.zeros(len(rows), np.int64)
    examples = _columns(rows, labels, source)
    kinds = np.array([row.kind for row in rows])
    is_asked = np.isin(examples.labels, [label_of[word] for word in config.words])
    return SplitTask(
        examples,
        words=np.flatnonzero(is_asked),
        unknown=np.flatnonzero((kinds == "word") & ~is_asked),
        silence=np.flatnonzero(kinds == "noise"),
        speech=np.flatnonzero(kinds == "speech"),
        noise=np.flatnonzero((kinds == "noise") | (kinds == "music")),
    )


def select_noise(store: RowSource, split: str) -> list[Row]:
    """The noise kept for a split, else that of training; recordings without samples are left out."""
    rows = [row for row in store.select("noise") if row.n_samples]
    own = [row for row in rows if row.split == split]
    return own or [row for row in rows if row.split == "training"]


def draw_unknown(task: SplitTask, config: TaskConfig) -> IntArray:
    """The fixed official draw: ceil(10 %) of the words' clips, all if there are fewer. Sorted."""
    rng = np.random.Generator(np.random.PCG64(config.seed))
    n_drawn = min(task.count_unknown(config), len(task.unknown))
    return np.sort(rng.permutation(task.unknown)[:n_drawn])


def digest_of_names(names: Iterable[str]) -> str:
    """SHA-256 of the names of clips, one a line; bytes that are no text count as they are."""
    lines = "".join(f"{name}\n" for name in names)
    return hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()


def draw_recordings(task: SplitTask, among: IntArray, n_drawn: int, rng: np.random.Generator) -> IntArray:
    """Draw recordings with replacement, each in proportion to its length."""
    if len(among) == 0 or n_drawn == 0:
        return np.zeros(0, dtype=np.int64)
    lengths = (task.examples.end - task.examples.first)[among].astype(np.float64)
    return rng.choice(among, size=n_drawn, p=lengths / lengths.sum())


def draw_epoch(task: SplitTask, config: TaskConfig, rng: np.random.Generator) -> IntArray:
    """Indices of one training epoch in random order: words, `_unknown_`, `_silence_`, speech."""
    if config.unknown == "auto" and len(task.words) < FEW_CLIPS:
        unknown = rng.permutation(task.unknown)[: len(task.words)]
    elif config.unknown in ("auto", "official"):
        unknown = draw_unknown(task, config)
    elif config.unknown == "all":
        unknown = task.unknown
    else:
        n_asked = int(config.unknown)
        whole, rest = divmod(n_asked, max(1, len(task.unknown)))
        unknown = np.concatenate([np.tile(task.unknown, whole), rng.permutation(task.unknown)[:rest]])
    n_silence = math.ceil(len(task.words) * config.silence_percent / 100)
    silence = draw_recordings(task, task.silence, n_silence, rng)
    n_speech = math.ceil(len(task.words) * config.speech_percent / 100)
    speech = draw_recordings(task, task.speech, n_speech, rng)
    return rng.permutation(np.concatenate([task.words, unknown, silence, speech]))


def draw_evaluation(task: SplitTask, config: TaskConfig) -> IntArray:
    """Indices of a fixed set by the official rule, the same for the same seed."""
    rng = np.random.Generator(np.random.PCG64(config.seed + 1))
    silence = draw_recordings(task, task.silence, task.count_official(), rng)
    return np.concatenate([task.words, draw_unknown(task, config), silence])


def _check_words(store: RowSource, config: TaskConfig, split: str) -> None:
    if not config.words or len(set(config.words)) != len(config.words):
        raise StoreError(
            f"words: expected one or more different words, got {name_labels(config.words) or 'none'}"
        )
    clips = [row for row in store.rows if row.kind == "word" and row.word not in NEVER_FIRE]
    known = {row.word for row in clips if row.split in ("training", split)}
    missing = [word for word in config.words if word not in known]
    if missing:
        raise StoreError(
            f"{store.path}: no training clip of {name_labels(missing)}; {_advise(clips, missing)}"
        )
    check_unknown(config.unknown)


def check_unknown(unknown: str) -> None:
    """Refuse what is no way to draw clips of other words.

    Raises
    ------
    StoreError
        If it is not "auto", "official", "all" or a number below ten millions.
    """
    is_number = unknown.isdecimal() and len(unknown) <= _MOST_DIGITS
    if unknown not in ("auto", "official", "all") and not is_number:
        raise StoreError(f"unknown: expected auto, official, all or a number of clips, got {unknown!r:.60}")


def _advise(clips: Sequence[Row], missing: Sequence[str]) -> str:
    """Where the clips are that training lacks, and what to do."""
    elsewhere = Counter(row.split for row in clips if row.word in missing)
    if elsewhere:
        found = " and ".join(f"{count} in {split}" for split, count in sorted(elsewhere.items()))
        return f"it has {found}: prepare the store again, correct its lists, or add clips by other speakers"
    words = sorted({row.word for row in clips})
    if not words:
        return "it has no clips of words"
    return f"it has {name_labels(words)}; choose with --words {shlex.quote(join_labels(words))}"


def _columns(rows: Sequence[Row], labels: Sequence[int], source: IntArray) -> Examples:
    offset = np.array([row.offset for row in rows], dtype=np.int64)

    def absolute(name: str) -> IntArray:
        return offset + np.array([getattr(row, name) for row in rows], dtype=np.int64)

    return Examples(
        paths=tuple(row.path for row in rows),
        labels=np.array(labels, dtype=np.int64),
        first=offset,
        end=absolute("n_samples"),
        speech_start=absolute("speech_start"),
        speech_end=absolute("speech_end"),
        centre=absolute("centre"),
        floor_db=np.array([row.floor_db for row in rows], dtype=np.float32),
        is_word=np.array([row.kind == "word" for row in rows]),
        source=source,
        is_mined=np.zeros(len(rows), dtype=np.bool_),
    )
