"""How far two words sound apart: the cheapest way to turn the phones of one into those of the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

VOWELS = frozenset(["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"])
# sounds that are easily taken for each other
ALIKE = (
    "P B", "T D", "K G", "F V", "S Z", "TH DH", "SH ZH", "CH JH", "M N NG", "L R W", "F TH", "P T K", "S SH", "B D G",
    "AA AO AH", "AO OW", "EH AE IH", "IY IH", "UW UH", "AH UH", "EY EH", "AY AA", "AW AA AE", "OW AH", "ER AH",
)  # fmt: skip
LIKE, OTHER, OTHER_KIND, MISSING = 0.5, 1.0, 1.5, 1.0

_NEAR = {(a, b) for group in ALIKE for a in group.split() for b in group.split()}


def phone_distance(one: Sequence[str], other: Sequence[str]) -> float:
    """Weighted edit distance of phones without stress, such as ["S", "T", "AA", "P"].

    A phone left out or put in costs 1, one for another 1, for one that is easily taken for it 0.5, a vowel
    for a consonant 1.5. The least sum over all alignments (Wagner and Fischer 1974).

    >>> phone_distance("N OW".split(), "N AW".split()), phone_distance("G OW".split(), "K OW".split())
    (1.0, 0.5)
    """
    row = np.arange(len(other) + 1, dtype=np.float64) * MISSING
    for phone in one:
        before, row = row, np.empty_like(row)
        row[0] = before[0] + MISSING
        for place, with_ in enumerate(other, start=1):
            row[place] = min(
                before[place] + MISSING,
                row[place - 1] + MISSING,
                before[place - 1] + _replacing(phone, with_),
            )
    return float(row[-1])


def _replacing(one: str, other: str) -> float:
    if one == other:
        return 0.0
    if (one in VOWELS) != (other in VOWELS):
        return OTHER_KIND
    return LIKE if (one, other) in _NEAR else OTHER
