"""Who speaks in a clip, by the name of its file.

Names come from data sets (`anna_nohash_0`), from people (`anna_1`, `lamp-001`) and from recorders (`New
Recording 12`, `Recording_20240101_3`, `lamp (2)`). The word that is said, dates, numbers of takes and what
recorders call their files are nobody's name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

from speechcmd.labels import ALL_WORDS, UNKNOWN, normalise_text

OFFICIAL_MARK = "_nohash_"


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\S+", text))


# what recorders, phones and editors write into names, in the languages that their makers ship
_RECORDERS = _words("""
    recording recordings recorded recorder rec record audio audiorecording voice voices memo memos note notes
    new my sound sounds sample samples clip clips track file files untitled export exported standard normal
    default edited edit final mix mono stereo wav mp3 m4a flac ogg opus aac amr wa ptt aud vid msg whatsapp
    telegram signal zoom tascam dictaphone voicememo voicerecorder at am pm session sessions set test training
    train validation raw clean word words keyword command
    aufnahme aufnahmen neue neuer sprachmemo sprachaufnahme sprachnotiz audioaufnahme tonspur unbenannt datei
    um enregistrement nouvel nouveau grabación grabacion nueva nota registrazione nuova gravação gravacao nova
    opname nieuwe inspelning ny optagelse nagranie nowe запись новая 录音 新录音 錄音 녹음 録音
""")
_TAKES = _words("take takes try trial attempt nr no num number v ver version copy kopie copie copia kopia")
_PERSONS = _words("speaker spk spkr person user subject participant talker sprecher sprecherin locuteur")

_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_TIME = r"(?:[01]?\d|2[0-3])[-_.:h][0-5]\d[-_.:m][0-5]\d(?:[-_.]\d{1,3})?s?"
_STAMP = re.compile(
    rf"(?<!\d)(?:{_YEAR}[-_. ]?{_MONTH}[-_. ]?{_DAY}(?:T?\d{{4,6}}Z?|T{_TIME}Z?)?|"
    rf"\d{{1,2}}[-_. ]\d{{1,2}}[-_. ]{_YEAR}|{_TIME}|\d{{6,}})(?!\d)"
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_COPY = re.compile(r"[(\[]\d+[)\]]")
_TOKEN = re.compile(r"[^\s_\-.,;:()\[\]{}+~#&=]+")
_GLUED = re.compile(r"(\D+)(\d+)")


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    start: int
    end: int

    @property
    def folded(self) -> str:
        return self.text.casefold()

    @property
    def is_number(self) -> bool:
        return self.text.isdecimal()


def speaker_of(path: str | PurePosixPath, word: str = "") -> str:
    """Speaker of a clip by its path (`word/file`), "" where the name tells none.

    Official names have it before `_nohash_`. Of others, the last number is that of the take and what remains
    is the speaker, but for the word itself, dates and what recorders write. Where the file tells nobody,
    folders between the word and the file may.

    >>> speaker_of("lamp/anna_1.wav", "lamp"), speaker_of("lamp/lamp_1.wav", "lamp")
    ('anna', '')
    """
    *folders, name = normalise_text(str(path)).split("/")
    before, mark, _ = name.partition(OFFICIAL_MARK)
    if mark:
        return _without_official_word(before) if word == UNKNOWN else before
    stem = os.path.splitext(name)[0]
    return _name_in(stem, word, has_take=True) or next(
        (found for folder in reversed(folders[1:]) if (found := _name_in(folder, word, has_take=False))), ""
    )


def _without_official_word(before: str) -> str:
    """The archive of the official test calls clips of `_unknown_` bed_0a7c2a8d_nohash_0.wav."""
    word, _, speaker = before.partition("_")
    return speaker if speaker and word in ALL_WORDS else before


def _name_in(stem: str, word: str, *, has_take: bool) -> str:
    """What of a name is a person's, as it is written there."""
    plain = _UUID.sub(_blank, stem)
    plain = _STAMP.sub(_blank, plain)
    is_stamped = plain != stem
    plain = _COPY.sub(_blank, plain)
    tokens = _without_word(list(_tokens_in(plain, word)), word)
    if person := _numbered_person(tokens):
        return person
    is_recorder = is_stamped or any(token.folded in _RECORDERS for token in tokens)
    kept = _without_takes([token for token in tokens if token.folded not in _RECORDERS])
    if is_recorder:
        kept = [token for token in kept if not token.is_number]
    elif has_take and kept and kept[-1].is_number:
        kept.pop()
    if not all(token.is_number for token in kept):
        while kept[0].is_number:  # a number before a name counts something else
            kept.pop(0)
    return _written(kept, tokens, stem)


def _blank(match: re.Match[str]) -> str:
    return " " * len(match.group())  # positions stay


def _tokens_in(text: str, word: str) -> Iterator[_Token]:
    """Parts between separators; a number glued to the word or to a recorder's is a part of its own."""
    known = _RECORDERS | _TAKES | {_squeeze(word)}
    for match in _TOKEN.finditer(text):
        glued = _GLUED.fullmatch(match.group())
        if glued and glued.group(1).casefold() in known:
            middle = match.start() + len(glued.group(1))
            yield _Token(glued.group(1), match.start(), middle)
            yield _Token(glued.group(2), middle, match.end())
        else:
            yield _Token(match.group(), match.start(), match.end())


def _squeeze(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _without_word(tokens: list[_Token], word: str) -> list[_Token]:
    """Leave out the parts that together are the word: turn_on and TurnOn for "turn on"."""
    wanted = _squeeze(word)
    first = 0
    while wanted and first < len(tokens):
        for end in range(first + 1, len(tokens) + 1):
            if "".join(_squeeze(token.text) for token in tokens[first:end]) == wanted:
                return tokens[:first] + _without_word(tokens[end:], word)
        first += 1
    return tokens


def _numbered_person(tokens: list[_Token]) -> str:
    """speaker_3: there the number is the name."""
    for token, number in pairwise(tokens):
        if token.folded in _PERSONS and number.is_number:
            return f"{token.text}_{number.text}"
    return ""


def _without_takes(tokens: list[_Token]) -> list[_Token]:
    kept: list[_Token] = []
    was_take = False
    for token in tokens:
        if not (token.folded in _TAKES or (was_take and token.is_number)):
            kept.append(token)
        was_take = token.folded in _TAKES
    return kept


def _written(kept: list[_Token], tokens: list[_Token], stem: str) -> str:
    """The kept parts with the separators that are between them in the name, if nothing else is."""
    if not kept:
        return ""
    span = stem[kept[0].start : kept[-1].end]
    between = [token for token in tokens if kept[0].start <= token.start < kept[-1].end]
    is_whole = len(between) == len(kept) and not _STAMP.search(span)
    return span if is_whole else "_".join(token.text for token in kept)
