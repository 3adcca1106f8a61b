"""The recogniser: a model file, and the four ways to use it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from speechcmd.arrays import AnyFloatArray, FloatArray
from speechcmd.audio.reading import AudioBlocks, AudioSource, read_blocks
from speechcmd.audio.samples import Waveform
from speechcmd.errors import AudioError, ModelError
from speechcmd.labels import NEVER_FIRE, SILENCE, name_labels, normalise_label
from speechcmd.runtime.model.card import DecoderSettings, ModelCard
from speechcmd.runtime.model.model_file import load_model_file
from speechcmd.runtime.model.session import Session
from speechcmd.runtime.recognition.decoder import Decoder, Detection
from speechcmd.runtime.recognition.pooling import PoolingSpans, limit_labels, pick_label, pool_posteriors
from speechcmd.runtime.recognition.stream import (
    Infer,
    PosteriorStream,
    Steps,
    Stream,
    as_waveform,
    edge_samples,
)

if TYPE_CHECKING:
    from speechcmd.runtime.recognition.incremental import IncrementalNetwork

LIVE_UPDATE_S = 0.06  # rounded to whole steps: 80 ms where a step is 40
FILE_UPDATE_S = 10.0
ARRIVING_UPDATE_S = 0.5  # a pipe may be open for hours: words are wanted while it is


@dataclass(frozen=True, slots=True)
class ClipResult:
    """The answer for a whole clip."""

    label: str
    score: float
    posteriors: dict[str, float]
    """Pooled posterior of each label; they need not sum to 1."""


class Recognizer:
    """A spoken-command recogniser; one object serves any number of threads.

    Examples
    --------
    >>> recognizer = Recognizer.load()                                 # doctest: +SKIP
    >>> for detection in recognizer.transcribe("recording.wav"):       # doctest: +SKIP
    ...     print(detection.label, detection.start_s, detection.score)
    """

    def __init__(self, session: Session, card: ModelCard, model_bytes: bytes = b"") -> None:
        self._session = session
        self._card = card
        self._model_bytes = model_bytes
        self._opening = Lock()
        self._opened: IncrementalNetwork | None = None

    @classmethod
    def load(cls, source: str | os.PathLike[str] | None = None) -> Recognizer:
        """Load a model by path or released name; None is the default model.

        Raises
        ------
        ModelError
            If there is no such model, the file cannot be trusted, or this computer computes it wrongly.
        """
        model_bytes, card = load_model_file(source)
        try:
            session = Session(model_bytes)
            session.verify(card)
        except ModelError as error:
            raise error.at(source or card.name) from error
        return cls(session, card, model_bytes)

    @property
    def card(self) -> ModelCard:
        """What the model says of itself."""
        return self._card

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the posteriors' columns."""
        return self._card.labels

    def posteriors(self, waveform: AnyFloatArray) -> FloatArray:
        """Probability of each label in each window of a waveform at the model's rate, without edges.

        Row k belongs to samples k * step_samples to k * step_samples + window_samples.
        Shape: (n_samples,) -> (n_steps, n_labels).

        Raises
        ------
        AudioError
            If the waveform is shorter than one window, or not a mono float waveform.
        """
        samples = as_waveform(waveform)
        window, step = self._card.window_samples, self._card.step_samples
        if len(samples) < window:
            raise AudioError(
                f"expected at least one window of {window} samples, got {len(samples)}; "
                "classify and transcribe take recordings of any length"
            )
        n_steps = (len(samples) - window) // step + 1
        per_run = self._card.steps_in(FILE_UPDATE_S)
        runs = []
        for first in range(0, n_steps, per_run):
            last = min(first + per_run, n_steps) - 1
            runs.append(self._infer(samples[first * step : last * step + window]))
        return np.concatenate(runs)

    def classify(
        self, source: AudioSource | AnyFloatArray, *, only_labels: Collection[str] | None = None
    ) -> ClipResult:
        """Say which one word a recording holds.

        Parameters
        ----------
        source
            A path, an open binary file, blocks that come from elsewhere, or a waveform at the model's rate,
            shape (n_samples,).
        only_labels
            Words that may be the answer; the other words then count as `_unknown_`.

        Raises
        ------
        AudioError
            If the recording cannot be read, or has no samples and the model knows no silence.
        """
        only_labels = self.check_labels(only_labels)
        parts = list(self.steps(source))
        posteriors, levels = (np.concatenate(column) for column in zip(*parts, strict=True))
        labels = self.labels
        if only_labels is not None:
            posteriors, labels = limit_labels(posteriors, labels, only_labels)
        if len(posteriors) == 0:
            return self._answer_for_nothing(labels)
        scores = pool_posteriors(posteriors, levels, labels, PoolingSpans.of_card(self._card))
        by_label = {label: float(score) for label, score in zip(labels, scores, strict=True)}
        label = pick_label(scores, labels)
        return ClipResult(label, by_label[label], by_label)

    def transcribe(
        self,
        source: AudioSource | AnyFloatArray,
        *,
        only_labels: Collection[str] | None = None,
        settings: DecoderSettings | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> Iterator[Detection]:
        """Yield the words in a recording of any length, in constant memory, as soon as they are decided.

        Parameters
        ----------
        source
            A path, an open binary file, blocks that come from elsewhere, or a waveform at the model's rate,
            shape (n_samples,).
        only_labels
            Words that may fire; None for all.
        settings
            Thresholds and times instead of the model's own (`card.decoder.override(...)`).
        on_progress
            Called after each block with the seconds of audio in it.

        Raises
        ------
        AudioError
            If the recording cannot be read.
        """
        update_s = ARRIVING_UPDATE_S if isinstance(source, AudioBlocks) else FILE_UPDATE_S
        stream = self.stream(only_labels=only_labels, settings=settings, update_s=update_s)
        return self._transcribe(stream, source, on_progress)

    def steps(
        self, source: AudioSource | AnyFloatArray, *, on_progress: Callable[[float], None] | None = None
    ) -> Iterator[Steps]:
        """Yield what `transcribe` decodes of a recording: posteriors and levels, with the edges.

        The first step's window begins `edge_samples(card)` before the recording.

        Parameters
        ----------
        source, on_progress
            As for `transcribe`.

        Raises
        ------
        AudioError
            If the recording cannot be read.
        """
        stream = PosteriorStream(self._infer, self._card, FILE_UPDATE_S)
        for block in self._blocks(source):
            yield stream.feed(block)
            if on_progress is not None:
                on_progress(len(block) / self._card.sample_rate)
        yield stream.flush()

    def stream(
        self,
        *,
        only_labels: Collection[str] | None = None,
        settings: DecoderSettings | None = None,
        update_s: float = LIVE_UPDATE_S,
        keep_near_misses: bool = False,
    ) -> Stream:
        """Begin a recording that arrives in blocks; each stream has a state of its own.

        Parameters
        ----------
        only_labels
            Words that may fire; None for all.
        settings
            Thresholds and times instead of the model's own.
        update_s
            Audio between two runs of the network, rounded to whole steps.
        keep_near_misses
            Note words that nearly fire, for `Stream.take_near_misses`.

        Raises
        ------
        ModelError
            If `only_labels` names a label that cannot fire.
        """
        only_labels = self.check_labels(only_labels)
        posteriors = PosteriorStream(
            self._infer, self._card, update_s, begin_infer=self._incremental(update_s)
        )
        decoder = Decoder(
            self._card,
            settings=settings,
            only_labels=only_labels,
            first_sample=-edge_samples(self._card),
            keep_near_misses=keep_near_misses,
        )
        return Stream(posteriors, decoder, self._card)

    def _transcribe(
        self, stream: Stream, source: AudioSource | AnyFloatArray, on_progress: Callable[[float], None] | None
    ) -> Iterator[Detection]:
        for block in self._blocks(source):
            yield from stream.feed(block)
            if on_progress is not None:
                on_progress(len(block) / self._card.sample_rate)
        yield from stream.flush()

    def _blocks(self, source: AudioSource | AnyFloatArray) -> Iterator[Waveform]:
        if isinstance(source, np.ndarray):
            yield as_waveform(source)
        else:
            yield from read_blocks(source, self._card.sample_rate)

    def _infer(self, waveform: Waveform) -> FloatArray:
        """Posteriors without padding. Shape: (n_samples,) -> (n_steps, n_labels)."""
        return self._to_posteriors(self._session.run(waveform[None, :])[0])

    def _incremental(self, update_s: float) -> Callable[[], Infer] | None:
        """What begins a recording that is heard little by little; None where that saves nothing."""
        if self._card.steps_in(update_s) * self._card.step_samples >= self._card.window_samples:
            return None
        network = self._incremental_network
        if network is None:
            return None

        def begin() -> Infer:
            run = network.begin()
            return lambda span: self._to_posteriors(run(span))

        return begin

    @property
    def _incremental_network(self) -> IncrementalNetwork | None:
        """Opened when it is first needed: that takes as long as opening the model did."""
        from speechcmd.runtime.recognition.incremental import open_incremental  # live listening alone

        with self._opening:
            if self._model_bytes:
                self._opened = open_incremental(self._model_bytes, self._card, self._session)
                self._model_bytes = b""
            return self._opened

    def _to_posteriors(self, logits: FloatArray) -> FloatArray:
        """Softmax at the card's temperature. Shape: (n_steps, n_labels) both."""
        logits = logits / np.float32(self._card.temperature)
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        posteriors: FloatArray = exponentials / exponentials.sum(axis=1, keepdims=True)
        return posteriors

    def check_labels(self, only_labels: Collection[str] | None) -> tuple[str, ...] | None:
        """The labels as this model spells them; None is all words.

        Raises
        ------
        ModelError
            If one is not a word of this model.
        """
        if only_labels is None:
            return None
        labels = tuple(map(normalise_label, only_labels))
        for label in labels:
            if label not in self._card.words:
                why = "never fires" if label in NEVER_FIRE else "is not a word of this model"
                raise ModelError(f"{label!r} {why}; its words are {name_labels(self._card.words)}")
        return labels

    def _answer_for_nothing(self, labels: tuple[str, ...]) -> ClipResult:
        if SILENCE not in labels:
            raise AudioError("the recording has no samples, and this model knows no silence")
        return ClipResult(SILENCE, 1.0, {label: float(label == SILENCE) for label in labels})
