"""Words that sound like a command: a model that hears *no* in "I know" is not wrong.

Sentences with one of them are kept out of the negatives of that command. Promises are about the rest.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

HOMOPHONES: Mapping[str, frozenset[str]] = {
    "no": frozenset({"know"}),
    "right": frozenset({"write", "wright"}),
    "eight": frozenset({"ate"}),
    "two": frozenset({"to", "too"}),
    "four": frozenset({"for"}),
    "one": frozenset({"won"}),
    "go": frozenset({"going"}),
}
"""Label to the words in which it is heard, besides itself."""

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def labels_heard_in(sentence: str, labels: Collection[str]) -> frozenset[str]:
    """Labels that a listener hears in a sentence: those said in it, and those of which a homophone is.

    >>> sorted(labels_heard_in("I know, he's going.", ["no", "go", "yes"]))
    ['go', 'no']
    """
    words = _words_of(sentence)
    said = set(words)
    return frozenset(
        label
        for label in labels
        if not said.isdisjoint(HOMOPHONES.get(label.lower(), frozenset())) or _holds(words, _words_of(label))
    )


def _words_of(text: str) -> list[str]:
    return _WORD.findall(text.lower().replace("\u2019", "'"))


def _holds(words: list[str], phrase: list[str]) -> bool:
    """Whether the words of a phrase follow each other somewhere."""
    n_words = len(phrase)
    return n_words > 0 and any(
        words[first : first + n_words] == phrase for first in range(len(words) - n_words + 1)
    )
