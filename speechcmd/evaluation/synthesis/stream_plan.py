"""What is said when in a synthetic recording, and over which noise: decided before a sample is written.

The same store, settings and seed give the same plan. Times count samples of the recording at 16 kHz.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Literal, TypeVar

import numpy as np

from data_prep.store import Row, Store
from speechcmd.audio.samples import SAMPLE_RATE, int16_to_float32
from speechcmd.audio.word_boundaries import find_boundaries, find_pause
from speechcmd.errors import EvaluationError

CLOSE_GAP_S, CLOSE_WORDS = (0.1, 0.3), (2, 4)
REPEAT_GAP_S = 0.3
UNKNOWN_SHARE, SPEECH_SHARE, MUSIC_SHARE = 0.25, 0.1, 0.2
SPEECH_S = (2.0, 6.0)
SECTION_S = (20.0, 40.0)
PIECE_S = (8.0, 20.0)
CROSS_FADE_SAMPLES = round(0.4 * SAMPLE_RATE)
LEVEL_DB, LEVEL_JITTER_DB = -31.0, 3.0  # rms of what is said, or of the noise if that is louder
_PAUSE_RANGE_S = 0.75  # running speech is cut at the best pause in this time
_MARGIN_SAMPLES = round(
    0.03 * SAMPLE_RATE
)  # of the clip heard before and after its boundaries; less than half a close gap
_LEAST_NOISE_SAMPLES = SAMPLE_RATE
_NO_WORD_FOUND = frozenset({"near_silent", "low_contrast"})
_ROUNDING = 1e-9  # 0.05 + 0.55 + 0.3 + 0.1 is more than 1

Range = tuple[float, float]
Kind = Literal["keyword", "unknown", "speech"]
Setting = Literal["alone", "close", "repeat"]
_T = TypeVar("_T")


@dataclass(frozen=True)
class StreamSettings:
    """What a synthetic recording shall hold.

    `words` are the keywords. `unknown`, `speech`, `close` and `repeat` are shares (0 to 1) of what is
    said: other words, running speech, rows of two to four keywords 0.1 to 0.3 s apart, and one keyword
    twice, 0.3 s apart; the rest are single keywords. None means a quarter of unknown words, a tenth of
    speech, and neither if the store has none. `gap_s` are the shortest and the longest pause between;
    `snrs_db` are the ratios of what is said to the noise under it.
    """

    words: tuple[str, ...]
    split: str = "testing"
    minutes: float = 60.0
    seed: int = 0
    snrs_db: tuple[float, ...] = (20.0, 10.0, 5.0, 0.0)
    gap_s: Range = (0.5, 3.0)
    unknown: float | None = None
    speech: float | None = None
    close: float = 0.1
    repeat: float = 0.1

    @property
    def n_samples(self) -> int:
        """Length of the recording."""
        return round(self.minutes * 60 * SAMPLE_RATE)

    @property
    def free_share(self) -> float:
        """What the shares that are given leave for single keywords; negative if they are more than 1."""
        given = (self.unknown or 0.0) + (self.speech or 0.0) + self.close + self.repeat
        return 0.0 if abs(1.0 - given) < _ROUNDING else 1.0 - given


@dataclass(frozen=True, slots=True)
class PlannedWord:
    """Part of a clip: `cut` is heard, the label lies between `boundaries`; all count from its start."""

    row: Row
    cut: tuple[int, int]
    boundaries: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that is said from `start` to `end`, `snr_db` over the noise."""

    kind: Kind
    setting: Setting
    spoken: PlannedWord
    start: int
    snr_db: float

    @property
    def end(self) -> int:
        """Sample behind the last."""
        return self.start + self.spoken.boundaries[1] - self.spoken.boundaries[0]


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch in which the noise keeps its level: `noise_db` in dB of full scale."""

    start: int
    end: int
    snr_db: float
    noise_db: float
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class NoisePiece:
    """Background: `n_samples` of a recording from its sample `skip`, laid at `start`."""

    row: Row
    skip: int
    start: int
    n_samples: int

    @property
    def end(self) -> int:
        """Sample behind the last."""
        return self.start + self.n_samples


@dataclass(frozen=True)
class StreamPlan:
    """A recording before it is made. Pieces overlap by `CROSS_FADE_SAMPLES`; sections do not."""

    settings: StreamSettings
    sections: tuple[Section, ...]
    pieces: tuple[NoisePiece, ...]

    @property
    def events(self) -> Iterator[Event]:
        """All that is said, in order."""
        return (event for section in self.sections for event in section.events)


class _Deck(Generic[_T]):
    """Cards drawn in random order; used up, they are shuffled again."""

    def __init__(self, cards: Sequence[_T], rng: np.random.Generator) -> None:
        self._cards, self._rng = list(cards), rng
        self._left: list[_T] = []
        self._last: _T | None = None

    def __len__(self) -> int:
        return len(self._cards)

    def draw(self) -> _T:
        if not self._left:
            self._left = [self._cards[index] for index in self._rng.permutation(len(self._cards))]
            if self._left[-1] == self._last:  # never one card twice running
                self._left.reverse()
        self._last = self._left.pop()
        return self._last

    def draw_where(self, fits: Callable[[_T], bool]) -> _T | None:
        """The next card that fits, though it may have been drawn; None if there is none."""
        for cards in (self._left, self._cards):
            for card in reversed(cards):
                if fits(card):
                    if cards is self._left:
                        cards.remove(card)
                    return card
        return None


def plan_stream(store: Store, settings: StreamSettings) -> StreamPlan:
    """Decide what is said when.

    Raises
    ------
    EvaluationError
        If the split lacks noise, a keyword, or what a share is asked of, or no keyword fits in.
    """
    speaker = _Speaker(store, settings)
    plan = StreamPlan(speaker.settings, tuple(speaker.sections()), tuple(_lay_noise(store, settings)))
    _check_keywords(plan)
    return plan


def _check_keywords(plan: StreamPlan) -> None:
    settings = plan.settings
    kinds = {event.kind for event in plan.events}
    asks_for_none = settings.free_share + settings.close + settings.repeat < _ROUNDING
    if not kinds or not (asks_for_none or "keyword" in kinds):
        shortest, longest = settings.gap_s
        raise EvaluationError(
            f"no keyword came into {settings.minutes:g} minutes with pauses of {shortest:g} to {longest:g} s"
            "; make it longer, or the pauses shorter"
        )


class _Speaker:
    """Draws what is said, one after the other."""

    def __init__(self, store: Store, settings: StreamSettings) -> None:
        self._store, self.settings = store, settings
        self._where = f"in the {settings.split} split of {store.path}"
        self._rng = rng = np.random.default_rng([settings.seed, 0])
        words = set(settings.words)
        clips = [
            row for row in store.select("word", settings.split) if not _NO_WORD_FOUND.intersection(row.flags)
        ]
        self._clips = {
            word: _Deck([row for row in clips if row.word == word], rng) for word in settings.words
        }
        self._unknown = _Deck([row for row in clips if row.word not in words], rng)
        self._speech = _Deck([row for row in store.select("speech", settings.split) if row.n_samples], rng)
        self._snrs = _Deck(settings.snrs_db, rng)
        self._words: dict[tuple[float, Setting], _Deck[str]] = {}
        self._check_words()
        unknown = self._share(settings.unknown, UNKNOWN_SHARE, self._unknown, "words beside the keywords")
        self.settings = replace(settings, unknown=unknown)
        speech = self._share(settings.speech, SPEECH_SHARE, self._speech, "running speech")
        self.settings = replace(self.settings, speech=speech)
        self._shares = [unknown, speech, settings.close, settings.repeat, self.settings.free_share]

    def _check_words(self) -> None:
        missing = [word for word, deck in self._clips.items() if not len(deck)]
        if missing:
            words = ", ".join(missing)
            raise EvaluationError(f"expected clips of {words} {self._where}, found none; choose other words")

    def _share(self, asked: float | None, usual: float, deck: _Deck[Row], what: str) -> float:
        if asked is None:
            return min(usual, self.settings.free_share) if len(deck) else 0.0
        if asked and not len(deck):
            raise EvaluationError(f"expected {what} {self._where}, found none; set its share to 0")
        return asked

    def sections(self) -> Iterator[Section]:
        """Fill the recording; a section ends in the middle of the first pause after it is long enough."""
        n_samples = self.settings.n_samples
        start, begin = 0, self._samples(self.settings.gap_s)
        while start < n_samples:
            snr_db, events = self._snrs.draw(), list[Event]()
            long_enough = max(start + self._samples(SECTION_S), begin + 1)
            end = n_samples
            while begin < long_enough:
                said = self._say(begin, snr_db)
                if said[-1].end + _MARGIN_SAMPLES > n_samples:
                    begin = n_samples
                    break
                events += said
                begin = said[-1].end + self._samples(self.settings.gap_s)
                end = (said[-1].end + begin) // 2
            if begin >= n_samples:  # nothing more fits
                end = n_samples
            yield self._section(start, end, snr_db, events)
            start = end

    def _section(self, start: int, end: int, snr_db: float, events: list[Event]) -> Section:
        loudest_db = LEVEL_DB + self._rng.uniform(-LEVEL_JITTER_DB, LEVEL_JITTER_DB)
        return Section(start, end, snr_db, loudest_db - max(0.0, snr_db), tuple(events))

    def _say(self, begin: int, snr_db: float) -> list[Event]:
        """One thing, or a few that belong together; the first begins at `begin`."""
        what = self._rng.choice(len(self._shares), p=np.maximum(self._shares, 0.0))
        if what == 0:
            spoken = [self._word(self._unknown.draw())]
            return _in_a_row("unknown", "alone", spoken, [], begin, snr_db)
        if what == 1:
            spoken = [self._running_speech(self._speech.draw())]
            return _in_a_row("speech", "alone", spoken, [], begin, snr_db)
        if what == 2:
            n_words = int(self._rng.integers(CLOSE_WORDS[0], CLOSE_WORDS[1] + 1))
            spoken = [self._keyword(snr_db, "close") for _ in range(n_words)]
            gaps = [self._samples(CLOSE_GAP_S) for _ in spoken[1:]]
            return _in_a_row("keyword", "close", spoken, gaps, begin, snr_db)
        if what == 3:
            gaps = [round(REPEAT_GAP_S * SAMPLE_RATE)]
            return _in_a_row("keyword", "repeat", self._keyword_twice(snr_db), gaps, begin, snr_db)
        return _in_a_row("keyword", "alone", [self._keyword(snr_db, "alone")], [], begin, snr_db)

    def _samples(self, range_s: Range) -> int:
        return round(self._rng.uniform(*range_s) * SAMPLE_RATE)

    def _next_word(self, snr_db: float, setting: Setting) -> str:
        """All keywords equally often at each ratio and in each setting."""
        return self._words.setdefault((snr_db, setting), _Deck(self.settings.words, self._rng)).draw()

    def _keyword(self, snr_db: float, setting: Setting) -> PlannedWord:
        return self._word(self._clips[self._next_word(snr_db, setting)].draw())

    def _keyword_twice(self, snr_db: float) -> list[PlannedWord]:
        """Two clips of a word, by one speaker if there are two."""
        deck = self._clips[self._next_word(snr_db, "repeat")]
        first = deck.draw()
        second = deck.draw_where(lambda row: row.speaker == first.speaker and row is not first)
        return [self._word(first), self._word(second or deck.draw())]

    def _word(self, row: Row) -> PlannedWord:
        clip = int16_to_float32(self._store.samples_of(row))
        start, end = find_boundaries(clip, row.speech_start, row.speech_end)
        cut = (max(0, start - _MARGIN_SAMPLES), min(row.n_samples, end + _MARGIN_SAMPLES))
        return PlannedWord(row, cut, (start, end))

    def _running_speech(self, row: Row) -> PlannedWord:
        """A recording if it is short, else some seconds of it from pause to pause."""
        wanted, search = self._samples(SPEECH_S), round(_PAUSE_RANGE_S * SAMPLE_RATE)
        if row.n_samples <= wanted + search:
            return self._word(row)
        skip = int(self._rng.integers(0, row.n_samples - wanted + 1))
        excerpt = int16_to_float32(self._store.samples_of(row)[skip : skip + wanted])
        start = skip + find_pause(excerpt[:search])
        end = skip + wanted - search + find_pause(excerpt[-search:])
        return PlannedWord(row, (start, end), (start, end))


def _in_a_row(
    kind: Kind, setting: Setting, spoken: list[PlannedWord], gaps: list[int], begin: int, snr_db: float
) -> list[Event]:
    events: list[Event] = []
    for part, gap in zip(spoken, [*gaps, 0], strict=True):
        events.append(Event(kind, setting, part, begin, snr_db))
        begin = events[-1].end + gap
    return events


def _lay_noise(store: Store, settings: StreamSettings) -> Iterator[NoisePiece]:
    """Cover the recording with noise and music; a short recording is heard several times."""
    rng = np.random.default_rng([settings.seed, 1])
    decks = []
    for kind, share in (("noise", 1 - MUSIC_SHARE), ("music", MUSIC_SHARE)):
        rows = [row for row in store.select(kind, settings.split) if row.n_samples >= _LEAST_NOISE_SAMPLES]
        if rows:
            decks.append((_Deck(rows, rng), share))
    if not decks:
        raise EvaluationError(
            f"expected noise or music of at least a second in the {settings.split} split of {store.path}, "
            "found none; prepare a store with --noise"
        )
    shares = np.array([share for _, share in decks])
    start = 0
    while start < settings.n_samples:
        row = decks[int(rng.choice(len(decks), p=shares / shares.sum()))][0].draw()
        wanted = round(rng.uniform(*PIECE_S) * SAMPLE_RATE)
        skip = int(rng.integers(0, max(0, row.n_samples - wanted) + 1))
        until = start + wanted - CROSS_FADE_SAMPLES
        while start < until:
            piece = NoisePiece(row, skip, start, min(wanted, row.n_samples))
            yield piece
            start = piece.end - CROSS_FADE_SAMPLES
