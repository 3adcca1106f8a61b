"""What lies in a folder: clips of words in the official layout, and long recordings.

The official layout is `word/speaker_nohash_n.wav`, with `_background_noise_/` beside the words.
Any word folders with wav, flac, ogg, opus or mp3 files will do.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.split import SPLIT_OF_ROLE, RoleRule, SplitRule, speaker_of
from speechcmd.errors import CorpusError

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff"})
NOISE_FOLDER = "_background_noise_"
KINDS = ("word", "speech", "noise", "music")


@dataclass(frozen=True)
class Source:
    """One file that goes into the store. `path` is where it is, `name` how the index calls it."""

    path: Path
    name: str
    kind: str
    word: str
    speaker: str
    split: str
    role: str
    size: int


@dataclass(frozen=True)
class Corpus:
    """All sources in the order in which they enter the store, and the rule that split them."""

    root: Path
    sources: tuple[Source, ...]
    split_rule: str
    unused: int

    def digest(self) -> str:
        """Digest over names, sizes and splits: whether the folder is still the one that was begun."""
        lines = (f"{s.name}\t{s.size}\t{s.kind}\t{s.split}\t{s.role}\n" for s in self.sources)
        hashed = hashlib.sha256()
        for line in lines:
            hashed.update(line.encode())
        return hashed.hexdigest()


def scan_corpus(
    root: Path,
    noise: Sequence[Path] = (),
    speech: Sequence[Path] = (),
    music: Sequence[Path] = (),
    roles_file: Path | None = None,
) -> Corpus:
    """List the clips below `root` and the recordings in the other folders.

    Raises
    ------
    CorpusError
        If a folder does not exist or holds no audio, or a speaker is in two splits.
    """
    root = find_word_root(root)
    words = list(_scan_words(root))
    if not words:
        raise CorpusError(
            f"{root}: expected folders named after words with audio files in them, found none; "
            "see the official layout: word/speaker_nohash_0.wav"
        )
    _check_speakers(words)
    recordings: list[Source] = []
    unused = 0
    folders = [(root / NOISE_FOLDER, "noise")] if (root / NOISE_FOLDER).is_dir() else []
    folders += [(folder, kind) for kind, given in _by_kind(noise, speech, music) for folder in given]
    labels = _distinct_names([folder for folder, _ in folders])
    for (folder, kind), label in zip(folders, labels, strict=True):
        found, left_out = _scan_recordings(folder, label, kind, roles_file)
        recordings += found
        unused += left_out
    return Corpus(root, (*words, *recordings), SplitRule(root).name, unused)


def find_word_root(root: Path) -> Path:
    """Descend into `SpeechCommands/speech_commands_v0.0x` if the folder above was given."""
    if not root.is_dir():
        raise CorpusError(f"{root}: expected a folder of clips, found {'a file' if root.exists() else 'nothing'}")
    for below in ("SpeechCommands", "speech_commands_v0.02", "speech_commands_v0.01"):
        if (root / below).is_dir():
            root = root / below
    return root


def official_version(root: Path) -> str | None:
    """"v0.01" or "v0.02" if the folder is named like an official one."""
    name = find_word_root(root).name
    return next((version for version in ("v0.01", "v0.02") if name == f"speech_commands_{version}"), None)


def _check_speakers(words: Sequence[Source]) -> None:
    """Nobody may be heard in training and in a test."""
    split_of: dict[str, Source] = {}
    for source in words:
        other = split_of.setdefault(source.speaker, source)
        if other.split != source.split:
            raise CorpusError(
                f"speaker {source.speaker} is in two splits, expected one: {other.name} ({other.split}) and "
                f"{source.name} ({source.split}); correct validation_list.txt and testing_list.txt or the names"
            )


def _by_kind(
    noise: Sequence[Path], speech: Sequence[Path], music: Sequence[Path]
) -> Iterable[tuple[str, Sequence[Path]]]:
    return (("noise", noise), ("speech", speech), ("music", music))


def _scan_words(root: Path) -> Iterable[Source]:
    rule = SplitRule(root)
    for folder in sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith(("_", "."))):
        for entry in _audio_files(folder):
            name = entry.relative_to(root).as_posix()
            speaker = speaker_of(name)
            split = rule.split_of(name, speaker)
            yield Source(entry, name, "word", folder.name, speaker, split, "", entry.stat().st_size)


def _distinct_names(folders: Sequence[Path]) -> list[str]:
    """The last part of each folder's path, or more of it where two would be the same."""
    names = [folder.resolve().name for folder in folders]
    return [
        name if names.count(name) == 1 else folder.resolve().as_posix().strip("/")
        for name, folder in zip(names, folders, strict=True)
    ]


def _scan_recordings(
    folder: Path, label: str, kind: str, roles_file: Path | None
) -> tuple[list[Source], int]:
    if not folder.is_dir():
        raise CorpusError(f"{folder}: expected a folder of recordings, found nothing")
    rule = RoleRule(folder, roles_file)
    found: list[Source] = []
    left_out = 0
    for path in _audio_files(folder):
        role = rule.role_of(path)
        if not role:
            left_out += 1
            continue
        name = f"{label}/{path.relative_to(folder).as_posix()}"
        split = SPLIT_OF_ROLE[role]
        speaker = path.parent.name if kind == "speech" else ""
        found.append(Source(path, name, kind, "", speaker, split, role, path.stat().st_size))
    if not found:
        raise CorpusError(f"{folder}: expected recordings with a role, found none ({left_out} without one)")
    return found, left_out


def _audio_files(folder: Path) -> list[Path]:
    found = [
        Path(place) / name
        for place, _, names in os.walk(folder)
        for name in names
        if os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES and not name.startswith(".")
    ]
    return sorted(found)
