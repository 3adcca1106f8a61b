"""Words of the CMU dictionary that sound like a command: a phone or two away, or beginning with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wordfreq import top_n_list, zipf_frequency

from speech.phone_distance import phone_distance
from speech.pronunciation import pronunciations, without_stress
from speechcmd.evaluation.streams.homophone import HOMOPHONES

N_COMMON = 60_000  # words of English that are looked at, the most frequent ones
BEGINNING = 2.5  # counts as this far: it holds the whole command, but goes on
# how frequent a word must be (Zipf scale: 3 is once in a million words) to be worth it, by its distance
LEAST_FREQUENCY = {0.5: 2.8, 1.0: 2.8, 1.5: 2.9, 2.0: 3.6, BEGINNING: 3.4}
FURTHEST = 2.0
FURTHEST_OF_TWO = 1.5  # of a command of two phones nearly every short word is two away


@dataclass(frozen=True)
class Lookalike:
    """A word, the command that it sounds like most, how far from it (phones) and how frequent (Zipf scale)."""

    word: str
    command: str
    distance: float
    frequency: float
    phones: str


def find_lookalikes(
    commands: Sequence[str], never: Sequence[str] = (), words: Iterable[str] | None = None
) -> list[Lookalike]:
    """The nearest first, of the same distance the more frequent; none that cannot be told from a command.

    Nor what is among `never`, or sounds as those do.
    """
    labels = (*commands, *never)
    heard = {*labels, *(other for label in labels for other in HOMOPHONES.get(label, ()))}
    targets = [
        (command, tuple(without_stress(phones).split()))
        for command in commands
        for phones in pronunciations(command)
    ]
    found = []
    for word in words if words is not None else top_n_list("en", N_COMMON):
        if word in heard or len(word) < 2 or not word.isalpha():
            continue
        near = [
            (distance, command, phones)
            for phones in pronunciations(word)
            for command, target in targets
            if (distance := _distance(tuple(without_stress(phones).split()), target)) is not None
        ]
        frequency = zipf_frequency(word, "en")
        # one way to say it may be the command's own
        if near and min(near)[0] > 0 and frequency >= LEAST_FREQUENCY[min(near)[0]]:
            distance, command, phones = min(near)
            found.append(Lookalike(word, command, distance, frequency, phones))
    return sorted(found, key=lambda each: (each.distance, -each.frequency, each.word))


def _distance(said: tuple[str, ...], command: tuple[str, ...]) -> float | None:
    """How far a word is from a command; None if further than what counts."""
    furthest = FURTHEST if len(command) > 2 else FURTHEST_OF_TWO
    if abs(len(said) - len(command)) <= furthest:
        distance = phone_distance(said, command)
        if distance <= furthest:
            return distance
    return BEGINNING if len(said) > len(command) and said[: len(command)] == command else None
