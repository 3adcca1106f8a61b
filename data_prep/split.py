"""Which split each clip goes to (training, validation or testing), and which role each long recording has.

Of clips decide, in this order: the lists of the folder, for the words that they name; the official rule, by
speaker: SHA-1 of the name before `_nohash_`, modulo 2^27 (Warden 2018, arXiv 1804.03209, and the README of
the data set); where it leaves a word without clips to train on or to validate with, other whole speakers; and
where there are too few of them, takes. Takes that are added come last, so that none of those before goes to
another split.
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from speechcmd.errors import CorpusError
from speechcmd.labels import normalise_text

SPLITS = ("training", "validation", "testing")
ROLES = ("train", "calibrate", "figures")
SPLIT_OF_ROLE = {"train": "training", "calibrate": "validation", "figures": "testing"}
_ROLE_OF_SPLIT = {split: role for role, split in SPLIT_OF_ROLE.items()}

_MAX_CLIPS = 2**27 - 1
# the six official noises: one kept for choosing, one for final figures, as for speakers
_OFFICIAL_NOISE_ROLES = {"running_tap": "calibrate", "exercise_bike": "figures"}
_OFFICIAL_NOISE_FOLDER = "_background_noise_"

LEAST_SPEAKERS = 5
"""With fewer speakers of a word none is kept out of training: they would be too many of all."""
LISTS, HASH, SPEAKERS, TAKES = "lists", "hash", "speakers", "takes"

# of each ten takes of a word, the second is for validation and the fifth for testing; the first few so that
# two takes have one to train on and one to validate with
_TAKE_SPLITS = ("training", "validation", "training", "training", "testing", *["training"] * 5)
_RULES = (LISTS, HASH, SPEAKERS, TAKES)


@lru_cache(maxsize=4096)
def hashed_percent(speaker: str) -> float:
    """Where the official rule places a speaker, from 0 to 100."""
    hashed = int(hashlib.sha1(os.fsencode(speaker)).hexdigest(), 16)
    return (hashed % (_MAX_CLIPS + 1)) * (100.0 / _MAX_CLIPS)


def hashed_split(speaker: str, validation_percent: float = 10.0, testing_percent: float = 10.0) -> str:
    """Split of a speaker by the official rule, stable for ever and for any set of files.

    >>> hashed_split("0a7c2a8d")
    'training'
    """
    percent = hashed_percent(speaker)
    if percent < validation_percent:
        return "validation"
    return "testing" if percent < validation_percent + testing_percent else "training"


class SplitLists:
    """The lists of a folder: `validation_list.txt` and `testing_list.txt`, a clip (`word/file`) a line.

    Raises
    ------
    CorpusError
        If one cannot be read.
    """

    def __init__(self, root: Path) -> None:
        self._listed: dict[str, str] = {}
        given = []
        for split in ("validation", "testing"):
            path = root / f"{split}_list.txt"
            if path.exists():
                given.append(split)
                self._listed |= dict.fromkeys(map(_clip_name, _read_lines(path)), split)
        self.given = frozenset(given)
        """The splits that have a list."""
        self.name_nobody = len(given) == 2 and not self._listed
        """Both lists are there and empty: all clips are to train on."""

    def split_of(self, path: str) -> str:
        """Split of a clip by its path relative to the folder, whatever its suffix; "" if no list has it."""
        return self._listed.get(_clip_name(path), "")


@dataclass(frozen=True, slots=True)
class SpokenClip:
    """What decides about a clip: its path (`word/file`), what is said, and by whom, "" if unknown."""

    name: str
    word: str
    speaker: str


@dataclass(frozen=True)
class SplitPlan:
    """The split of each clip, in their order, and how it came about.

    `rule` names what decided, with + between: "lists", "hash" (the official rule), "speakers" (whole speakers
    moved to where clips were missing), "takes" (within speakers).
    """

    splits: tuple[str, ...]
    rule: str


def plan_splits(clips: Sequence[SpokenClip], lists: SplitLists) -> SplitPlan:
    """Deal clips to the splits.

    Raises
    ------
    CorpusError
        If the lists put a few of many speakers into two splits: more likely a mistake than meant.
    """
    plan = _Plan(clips, lists)
    plan.hash_speakers()
    plan.move_speakers()
    plan.split_takes()
    _check_lists(clips, plan.splits, plan.listed_words)
    return SplitPlan(tuple(plan.splits), "+".join(rule for rule in _RULES if rule in plan.rules))


def shared_speakers(spoken: Iterable[tuple[str, str]]) -> list[str]:
    """Speakers that are in more than one split, sorted, from pairs of speaker and split."""
    splits: dict[str, set[str]] = defaultdict(set)
    for speaker, split in spoken:
        splits[speaker].add(split)
    return sorted(speaker for speaker, found in splits.items() if len(found) > 1)


class _Plan:
    """Splits of clips while they are dealt out; `free` are the indices that the lists leave open."""

    def __init__(self, clips: Sequence[SpokenClip], lists: SplitLists) -> None:
        self._clips = clips
        listed = [lists.split_of(clip.name) for clip in clips]
        self.splits = [split or "training" for split in listed]
        self.listed_words = {clip.word for clip, split in zip(clips, listed, strict=True) if split}
        # a word that the lists name is theirs, but only a list of validation says what validates
        is_open = "validation" not in lists.given
        self._free = [
            index
            for index, clip in enumerate(clips)
            if not listed[index] and not lists.name_nobody and (is_open or clip.word not in self.listed_words)
        ]
        self._free_of_word = _group(self._free, lambda index: clips[index].word)
        self._free_of_speaker = _group(self._free, lambda index: clips[index].speaker)
        self._of_word = _group(range(len(clips)), lambda index: clips[index].word)
        self._listed_splits: dict[str, set[str]] = defaultdict(set)
        for index in sorted(set(range(len(clips))) - set(self._free)):
            self._listed_splits[clips[index].speaker].add(self.splits[index])
        self._rule_of = [LISTS] * len(clips)

    @property
    def rules(self) -> set[str]:
        """The rules that decided about at least one clip."""
        return set(self._rule_of)

    def hash_speakers(self) -> None:
        """Each speaker to where the lists have them for other words, else to where the official rule does."""
        for speaker, indices in self._free_of_speaker.items():
            listed = self._listed_splits.get(speaker, set())
            split = hashed_split(speaker) if speaker else "training"  # who is not known may be anybody
            self._assign(indices, min(listed) if speaker and len(listed) == 1 else split, HASH)

    def move_speakers(self) -> None:
        """Give a word what it lacks by moving whole speakers out of training, those nearest to it by hash."""
        for word, indices in sorted(self._free_of_word.items()):
            if self._count_speakers(indices) >= LEAST_SPEAKERS:
                for split in self._missing(word):
                    self._move_speaker(indices, split)

    def split_takes(self) -> None:
        """Split within speakers the words that still lack clips; where speakers are few, all words alike."""
        lacking = [
            word for word in self._free_of_word if {"training", "validation"} & set(self._missing(word))
        ]
        if lacking and self._count_speakers(self._free) < LEAST_SPEAKERS:
            lacking = list(self._free_of_word)
        for word in lacking:
            indices = self._free_of_word[word]
            for takes in _group(indices, lambda index: self._clips[index].speaker).values():
                self._deal(takes)
            if "validation" in self._missing(word):  # one take each
                self._deal(indices)

    def _deal(self, takes: Iterable[int]) -> None:
        in_order = sorted(takes, key=lambda index: _natural_order(self._clips[index].name))
        for number, index in enumerate(in_order):
            self._assign([index], _TAKE_SPLITS[number % len(_TAKE_SPLITS)], TAKES)

    def _assign(self, indices: Iterable[int], split: str, rule: str) -> None:
        for index in indices:
            # the lists say all there is to say of who tests the words that they name
            is_listed = self._clips[index].word in self.listed_words
            self.splits[index] = "training" if is_listed and split == "testing" else split
            self._rule_of[index] = rule

    def _count_speakers(self, indices: Iterable[int]) -> int:
        return len({self._clips[index].speaker for index in indices} - {""})

    def _missing(self, word: str) -> list[str]:
        """Splits that a word needs and has no clip in."""
        found = {self.splits[index] for index in self._of_word[word]}
        wanted = ["training", *(["validation"] if len(self._of_word[word]) > 1 else [])]
        if word not in self.listed_words and self._count_speakers(self._of_word[word]) >= LEAST_SPEAKERS:
            wanted.append("testing")
        return [split for split in wanted if split not in found]

    def _move_speaker(self, indices: Sequence[int], split: str) -> None:
        speakers = {self._clips[index].speaker for index in indices} - {""}
        for speaker in sorted(speakers, key=lambda name: (hashed_percent(name), name)):
            if self._can_move(speaker, split):
                self._assign(self._free_of_speaker[speaker], split, SPEAKERS)
                return

    def _can_move(self, speaker: str, split: str) -> bool:
        moved = self._free_of_speaker[speaker]
        if split == "training" or self._listed_splits.get(speaker, {split}) != {split}:
            return False
        n_moved = Counter(self._clips[index].word for index in moved)
        return all(self.splits[index] == "training" for index in moved) and all(
            2 * (self._count_training(word) - n_clips) >= len(self._of_word[word])
            for word, n_clips in n_moved.items()
        )

    def _count_training(self, word: str) -> int:
        return sum(self.splits[index] == "training" for index in self._of_word[word])


def _group(indices: Iterable[int], key: Callable[[int], str]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for index in indices:
        groups[key(index)].append(index)
    return dict(groups)


def _natural_order(name: str) -> list[tuple[int, str]]:
    """lamp_2 before lamp_10, so that takes that are added come last."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts] + [(-1, name)]


def _check_lists(clips: Sequence[SpokenClip], splits: Sequence[str], listed_words: Collection[str]) -> None:
    """Speakers in two splits by the lists: if they are few among many, nobody can have meant it."""
    places = [
        (clip, split)
        for clip, split in zip(clips, splits, strict=True)
        if clip.speaker and clip.word in listed_words
    ]
    shared = shared_speakers((clip.speaker, split) for clip, split in places)
    if not shared or 2 * len(shared) >= len({clip.speaker for clip, _ in places}):
        return
    first: dict[str, str] = {}
    for clip, split in places:
        if clip.speaker == shared[0]:
            first.setdefault(split, clip.name)
    (split, name), (other_split, other) = list(first.items())[:2]
    raise CorpusError(
        f"speaker {shared[0]} is in two splits, expected one: {name} ({split}) and {other} ({other_split}); "
        "correct the two lists or the names"
    )


class RoleRule:
    """Decides the role of long recordings: by a `roles.csv` (columns path, role), else by hash.

    The file may lie in the folder itself or in one of the three folders above it; its paths are
    relative to where it lies.

    Raises
    ------
    CorpusError
        If the file cannot be read, or holds other columns or roles.
    """

    def __init__(self, folder: Path, roles_file: Path | None = None) -> None:
        self.folder = folder
        self.file = roles_file or _find_roles_file(folder.resolve())
        self._roles = _read_roles(self.file) if self.file else {}
        base = self.file.resolve().parent if self.file else folder.resolve()
        if not folder.resolve().is_relative_to(base):
            raise CorpusError(
                f"{self.file}: expected it in {folder} or above, its paths count from where it lies"
            )
        self._above = folder.resolve().relative_to(base)

    def role_of(self, path: Path) -> str:
        """Role of a recording: train, calibrate or figures; "" for one that the file leaves out."""
        name = path.relative_to(self.folder)
        if self.file:
            role = self._roles.get(normalise_text((self._above / name).as_posix()), "")
            return role if role in ROLES else ""
        if path.parent.name == _OFFICIAL_NOISE_FOLDER:
            return _OFFICIAL_NOISE_ROLES.get(path.stem, "train")
        return _ROLE_OF_SPLIT[hashed_split(name.as_posix())]

    def speaks_of(self, path: Path) -> bool:
        """Whether the file gives the recording a role, or says that it is unused."""
        return normalise_text((self._above / path.relative_to(self.folder)).as_posix()) in self._roles


def _read_lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise CorpusError(f"{path}: cannot be read as a list of clips: {error}") from error


def _clip_name(path: str) -> str:
    """A clip's path without its suffix: the lists say .wav, a converted corpus may hold flac."""
    return normalise_text(os.path.splitext(path)[0].removeprefix("./"))


def _find_roles_file(folder: Path) -> Path | None:
    for place in [folder, *folder.parents][:4]:
        if (place / "roles.csv").exists():
            return place / "roles.csv"
    return None


def _read_roles(path: Path) -> dict[str, str]:
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            reader = csv.DictReader(handle)
            rows, columns = list(reader), reader.fieldnames or []
    except (OSError, ValueError, csv.Error) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise CorpusError(f"{path}: cannot read the roles: {reason}") from error
    if not {"path", "role"} <= set(columns):
        raise CorpusError(
            f"{path}: expected the columns path and role, got {', '.join(columns) or 'nothing'}"
        )
    allowed = {*ROLES, "unused", ""}
    for row in rows:
        if row["role"] not in allowed:
            raise CorpusError(
                f"{path}: {row['path']}: expected a role of {', '.join(ROLES)}, got {row['role']!r}"
            )
    return {normalise_text(row["path"]): row["role"] for row in rows}
