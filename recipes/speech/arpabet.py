"""Phones of the CMU Pronouncing Dictionary as the phonemes that the Kokoro voices take."""

from __future__ import annotations

import re

CONSONANTS = {
    "B": "b", "CH": "ʧ", "D": "d", "DH": "ð", "F": "f", "G": "ɡ", "HH": "h", "JH": "ʤ", "K": "k", "L": "l",
    "M": "m", "N": "n", "NG": "ŋ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "V": "v",
    "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip
VOWELS = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "W", "AY": "I", "EH": "ɛ", "ER": "ɜɹ", "EY": "A", "IH": "ɪ",
    "IY": "i", "OW": "O", "OY": "Y", "UH": "ʊ", "UW": "u",
}  # fmt: skip
WEAK = {"AH": "ə", "ER": "əɹ"}  # without stress
STRESS = {"0": "", "1": "ˈ", "2": "ˌ"}
# what the dictionary, which is American, does not tell apart is left as it is
BRITISH = {"ɑ": "ɒ", "O": "Q", "æ": "a"}
_VOWEL = re.compile(r"([A-Z]{2})([012])")


def phonemes_of(phones: str, british: bool = False) -> str:
    """Kokoro's phonemes of one word. `phones`: as in the dictionary, "S T AA1 P".

    The mark of stress stands right before its vowel.

    >>> phonemes_of("S T AA1 P"), phonemes_of("G OW1", british=True)
    ('stˈɑp', 'ɡˈQ')

    Raises
    ------
    ValueError
        If a phone is none of the dictionary's.
    """
    written = []
    for phone in phones.split():
        vowel = _VOWEL.fullmatch(phone)
        if vowel and vowel[1] in VOWELS:
            name, stress = vowel.groups()
            sound = WEAK[name] if stress == "0" and name in WEAK else VOWELS[name]
            written.append(STRESS[stress] + sound)
        elif phone in CONSONANTS:
            written.append(CONSONANTS[phone])
        else:
            raise ValueError(f"expected phones of the CMU dictionary, such as AA1 or T, got {phone!r}")
    said = "".join(written)
    return said.translate(str.maketrans(BRITISH)) if british else said
