"""Whether the voices that test a model are other ones than those that it is trained on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from data_prep.store import Row

_MOST_NAMED = 5


@dataclass(frozen=True)
class Voices:
    """Who speaks in clips of words. A speaker without a name ("") counts as one.

    `shared` are those with clips in more than one split, `words` those that such a speaker says in more
    than one, both sorted.
    """

    speakers: tuple[str, ...]
    shared: tuple[str, ...]
    words: tuple[str, ...]


def find_voices(rows: Iterable[Row]) -> Voices:
    """Who is heard in the clips of words among `rows`, and in which splits."""
    splits: dict[str, set[str]] = defaultdict(set)
    splits_of_word: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        if row.kind == "word":
            splits[row.speaker].add(row.split)
            splits_of_word[row.speaker, row.word].add(row.split)
    return Voices(
        tuple(sorted(splits)),
        tuple(sorted(speaker for speaker, found in splits.items() if len(found) > 1)),
        tuple(sorted({word for (_, word), found in splits_of_word.items() if len(found) > 1})),
    )


def note_voices(rows: Iterable[Row]) -> str:
    """What figures from these clips do not say, in one line; "" where every voice is in one split.

    >>> note_voices([])
    ''
    """
    voices = find_voices(rows)
    if not voices.shared:
        return ""
    what = "figures say nothing about other people"
    if voices.shared == voices.speakers:
        return f"{_count(voices.shared)}, in training and in tests alike, with other takes: {what}"
    named = _list([speaker or "somebody without a name" for speaker in voices.shared])
    words = f" ({_list(voices.words)})" if voices.words else ""
    return f"{named} is in training and in tests alike, with other takes{words}: there {what}"


def _count(speakers: Sequence[str]) -> str:
    if speakers == ("",):
        return "one voice (the names of the files tell no speakers apart)"
    number = "one voice" if len(speakers) == 1 else f"{len(speakers)} voices"
    return f"{number} ({_list([speaker or 'no name' for speaker in speakers])})"


def _list(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
