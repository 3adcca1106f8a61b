"""What lies in a folder: clips of words in the official layout, and long recordings.

The official layout is `word/speaker_nohash_n.wav`, with `_background_noise_/` beside the words.
Any word folders will do, with files of any format that is read (`speechcmd.audio.suffixes`); `unknown/`
holds other words, `noise/` noise.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data_prep.speaker import speaker_of
from data_prep.split import SPLIT_OF_ROLE, RoleRule, SplitLists, SpokenClip, plan_splits
from speechcmd.audio.suffixes import ALL_SUFFIXES
from speechcmd.errors import CorpusError
from speechcmd.labels import SILENCE, UNKNOWN, normalise_label

# folders that are no words, however they are written: Unknown, background-noise
_UNKNOWN_FOLDERS = frozenset({"_unknown_", "unknown", "unknown_words", "other_words", "negatives"})
_NOISE_FOLDERS = frozenset(
    {"_background_noise_", "background_noise", "_noise_", "noise", "_silence_", "silence"}
)


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
    changed_ns: int = 0


@dataclass(frozen=True)
class Corpus:
    """All sources in the order in which they enter the store, and the rule that split them."""

    root: Path
    sources: tuple[Source, ...]
    split_rule: str
    unused: int
    notes: tuple[str, ...] = ()
    """What a person may not expect of their folder, a line each."""

    def digest(self) -> str:
        """Digest over names, sizes, times of change and splits: are the files still those that were read?"""
        lines = (f"{s.name}\t{s.size}\t{s.changed_ns}\t{s.kind}\t{s.split}\t{s.role}\n" for s in self.sources)
        hashed = hashlib.sha256()
        for line in lines:
            hashed.update(os.fsencode(line))
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
        If a folder does not exist, holds no audio or is given as two kinds, or a speaker is in two splits.
    """
    root = find_word_root(root)
    lists = SplitLists(root)
    words, split_rule = _scan_words(root, lists)
    if not any(source.word != UNKNOWN for source in words):
        raise CorpusError(
            f"{root}: expected folders named after words with audio files in them, found none; "
            "see the official layout: word/speaker_nohash_0.wav"
        )
    recordings: list[Source] = []
    unused = 0
    folders = _distinct_folders([*_own_noise(root), *_by_kind(noise, speech, music)])
    labels = _distinct_names([folder for folder, _ in folders], {source.word for source in words})
    for (folder, kind), label in zip(folders, labels, strict=True):
        found, left_out = _scan_recordings(folder, label, kind, roles_file)
        recordings += found
        unused += left_out
    return Corpus(root, (*words, *recordings), split_rule, unused, tuple(_notes_on(root, words, lists)))


def find_word_root(root: Path) -> Path:
    """Descend into `SpeechCommands/speech_commands_v0.0x` if the folder above was given."""
    if not root.is_dir():
        raise CorpusError(
            f"{root}: expected a folder of clips, found {'a file' if root.exists() else 'nothing'}"
        )
    for below in ("SpeechCommands", "speech_commands_v0.02", "speech_commands_v0.01"):
        if (root / below).is_dir():
            root = root / below
    return root


def official_version(root: Path) -> str | None:
    """ "v0.01" or "v0.02" if the folder is named like an official one."""
    name = find_word_root(root).name
    return next((version for version in ("v0.01", "v0.02") if name == f"speech_commands_{version}"), None)


def _by_kind(noise: Sequence[Path], speech: Sequence[Path], music: Sequence[Path]) -> list[tuple[Path, str]]:
    by_kind = (("noise", noise), ("speech", speech), ("music", music))
    return [(folder, kind) for kind, given in by_kind for folder in given]


def _own_noise(root: Path) -> list[tuple[Path, str]]:
    """The noise that belongs to a folder of clips, if it has any."""
    folders = [folder for folder in _folders_in(root) if _plain_name(folder) in _NOISE_FOLDERS]
    return [(folder, "noise") for folder in folders if _audio_files(folder)]


def _folders_in(root: Path) -> list[Path]:
    """Folders by name, without hidden ones and links back: all clips would come again as another word."""
    here = root.resolve()
    folders = (path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(path for path in folders if not here.is_relative_to(path.resolve()))


def _plain_name(folder: Path) -> str:
    return normalise_label(folder.name).casefold().replace(" ", "_").replace("-", "_")


def _word_of(folder: Path) -> str:
    """The label of a folder of clips, "" for one that holds none."""
    plain = _plain_name(folder)
    if plain in _UNKNOWN_FOLDERS:
        return UNKNOWN
    return "" if plain.startswith("_") or plain in _NOISE_FOLDERS else normalise_label(folder.name)


def _notes_on(root: Path, words: Sequence[Source], lists: SplitLists) -> Iterator[str]:
    for folder in _folders_in(root):
        if _word_of(folder) == UNKNOWN:
            yield f"{folder.name}: taken as clips of other words ({UNKNOWN})"
        elif _plain_name(folder) in _NOISE_FOLDERS and not folder.name.startswith("_"):
            yield f"{folder.name}: taken as background noise ({SILENCE}), not as a word"
    if lists.given and not lists.name_nobody and not any(lists.split_of(source.name) for source in words):
        files = " and ".join(f"{split}_list.txt" for split in sorted(lists.given))
        yield f"{files}: no line names a clip, expected lines such as {words[0].name}; not used"


def _distinct_folders(folders: Sequence[tuple[Path, str]]) -> list[tuple[Path, str]]:
    """Each folder once, however often it was given."""
    kinds: dict[Path, tuple[Path, str]] = {}
    for folder, kind in folders:
        known = kinds.setdefault(folder.resolve(), (folder, kind))
        if known[1] != kind:
            raise CorpusError(f"{folder}: expected one kind of recordings, got {known[1]} and {kind}")
    return list(kinds.values())


def _scan_words(root: Path, lists: SplitLists) -> tuple[list[Source], str]:
    """The clips of all words, each in its split, and the rule that split them."""
    found: list[Source] = []
    for folder in _folders_in(root):
        word = _word_of(folder)
        for path, below, size, changed_ns in _audio_files(folder) if word else ():
            name = f"{folder.name}/{below}"
            found.append(Source(path, name, "word", word, speaker_of(name, word), "", "", size, changed_ns))
    clips = [SpokenClip(source.name, source.word, source.speaker) for source in found]
    plan = plan_splits(clips, lists)
    pairs = zip(found, plan.splits, strict=True)
    return [replace(source, split=split) for source, split in pairs], plan.rule


def _distinct_names(folders: Sequence[Path], taken: Collection[str]) -> list[str]:
    """The last part of each folder's path, or more of it where two would be the same or it is taken."""
    names = [folder.resolve().name for folder in folders]
    return [
        name if names.count(name) == 1 and name not in taken else folder.resolve().as_posix().strip("/")
        for name, folder in zip(names, folders, strict=True)
    ]


def _scan_recordings(
    folder: Path, label: str, kind: str, roles_file: Path | None
) -> tuple[list[Source], int]:
    if not folder.is_dir():
        found_there = "a file" if folder.exists() else "nothing"
        raise CorpusError(f"{folder}: expected a folder of recordings, found {found_there}")
    rule = RoleRule(folder, roles_file)
    found: list[Source] = []
    left_out = 0
    for path, below, size, changed_ns in _audio_files(folder):
        role = rule.role_of(path)
        if not role:
            left_out += 1
            continue
        speaker = path.parent.name if kind == "speech" else ""
        name, split = f"{label}/{below}", SPLIT_OF_ROLE[role]
        found.append(Source(path, name, kind, "", speaker, split, role, size, changed_ns))
    if not found:
        without = f" ({left_out} without one in {rule.file})" if left_out else ""
        raise CorpusError(f"{folder}: expected recordings with a role, found none{without}")
    if rule.file is None and all(source.role != "train" for source in found):
        # so few that the hash left none to train on
        found = [replace(source, role="train", split=SPLIT_OF_ROLE["train"]) for source in found]
    return found, left_out


def _audio_files(folder: Path) -> list[tuple[Path, str, int, int]]:
    """Audio files as (path, path below the folder, bytes, time of change), sorted, without hidden ones."""
    found: list[tuple[str, int, int]] = []
    _collect_audio(str(folder), "", found)
    found.sort(key=lambda item: item[0].split("/"))
    return [(folder / below, below, size, changed_ns) for below, size, changed_ns in found]


def _collect_audio(folder: str, above: str, found: list[tuple[str, int, int]]) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                _collect_audio(entry.path, f"{above}{entry.name}/", found)
            elif os.path.splitext(entry.name)[1].lower() in ALL_SUFFIXES:
                found.append((above + entry.name, *_state_of(entry)))


def _state_of(entry: os.DirEntry[str]) -> tuple[int, int]:
    try:
        state = entry.stat()
    except OSError:  # a broken link: reading it will say so
        return 0, 0
    return state.st_size, state.st_mtime_ns
