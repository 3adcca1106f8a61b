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

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")


def labels_heard_in(sentence: str, labels: Collection[str]) -> frozenset[str]:
    """Labels that a listener hears in a sentence: those said in it, and those of which a homophone is.

    >>> sorted(labels_heard_in("I know, he's going.", ["no", "go", "yes"]))
    ['go', 'no']
    """
    words = set(_WORD.findall(sentence.lower()))
    return frozenset(
        label
        for label in labels
        if not words.isdisjoint(HOMOPHONES.get(label, frozenset()) | {label.lower()})
    )
