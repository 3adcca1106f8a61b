"""Phones of all transcribed speech: a CSV file of each folder, one row a recording."""

from __future__ import annotations

import csv
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from speech.align import FRAME, PHONES, SILENCE, UNCLEAR, Aligner, Span
from speechcmd.audio.reading import read_int16

COLUMNS = ("path", "role", "n_frames", "phones", "guessed", "missing")
USED = ("train", "calibrate")
# names of flite's phones that the dictionary does not have
_FLITE = {"AX": "AH", "EL": "AH L", "EM": "AH M", "EN": "AH N", "NX": "N", "DX": "T", "AXR": "ER", "HV": "HH"}


def align_folder(data: Path, folder: str, dest: Path) -> None:
    """Phones of the recordings of roles train and calibrate of a folder with a transcripts.csv.

    DEST has a row a recording: phones as "HH:25-31", in frames of 10 ms, pauses left out, "?" for a word that did not fit; `guessed`, the
    words whose pronunciation flite made up; `missing`, why there are no phones.
    """
    with (data / "roles.csv").open(encoding="utf-8", newline="") as handle:
        roles = {row["path"]: row["role"] for row in csv.DictReader(handle)}
    with (data / folder / "transcripts.csv").open(encoding="utf-8", newline="") as handle:
        texts = {row["path"]: row["sentence"].split() for row in csv.DictReader(handle)}
    wanted = [path for path in texts if roles.get(f"{folder}/{path}") in USED]
    # those to train on first: they are useful before the rest is done
    wanted.sort(key=lambda path: roles[f"{folder}/{path}"] != "train")
    done = {row["path"] for row in read_rows(dest)}
    aligner, guesses = Aligner(), dict[str, str]()
    is_new = not dest.exists()
    with dest.open("a", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        if is_new:
            writer.writerow(COLUMNS)
        for path in wanted:
            if path not in done:
                role = roles[f"{folder}/{path}"]
                writer.writerow((path, role, *_align(aligner, guesses, data / folder / path, texts[path])))
                handle.flush()


def _align(
    aligner: Aligner, guesses: dict[str, str], path: Path, text: list[str]
) -> tuple[int, str, str, str]:
    guessed = [word for word in text if word in guesses or not aligner.knows(word)]
    for word in guessed:
        if word not in guesses:
            guesses[word] = guess_pronunciation(word)
            if guesses[word]:
                aligner.teach(word, [guesses[word]])
    samples = read_int16(path)
    n_frames = len(samples) // FRAME
    if not all(guesses.get(word, "known") for word in text):
        return n_frames, "", " ".join(guessed), "no pronunciation"
    words = aligner.words(samples, text)
    phones = aligner.phones(samples, words or [])
    written = " ".join(f"{each.name}:{each.start}-{each.end}" for each in phones)
    return n_frames, written, " ".join(guessed), "" if words else "words do not fit"


def guess_pronunciation(word: str) -> str:
    """Phones of a word by flite's letter-to-sound rules; empty if it says nothing."""
    command = ["flite", "-voice", "kal16", "-ps", "-t", word, "-o", "none"]
    return from_flite(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def from_flite(said: str) -> str:
    """Phones as the dictionary calls them, without stress, of what flite prints: "pau g ae dh er pau".

    >>> from_flite("pau g ae dh er k ow ax l pau ")
    'G AE DH ER K OW AH L'
    """
    names = [phone.upper() for phone in said.split() if phone != "pau"]
    phones = " ".join(_FLITE.get(name, name) for name in names)
    return phones if set(phones.split()) <= set(PHONES) else ""


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a file of phones; none if it is not begun."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def parse_phones(written: str) -> list[Span]:
    """The phones of a row.

    >>> parse_phones("HH:25-31 IH:31-38")[1]
    Span(name='IH', start=31, end=38)
    """
    spans = []
    for each in written.split():
        name, _, frames = each.partition(":")
        start, _, end = frames.partition("-")
        spans.append(Span(name, int(start), int(end)))
    return spans


def count_frames(rows: Iterable[dict[str, str]]) -> Counter[str]:
    """Frames of 10 ms that have a phone, that are silent, unclear, or of recordings that did not fit."""
    frames: Counter[str] = Counter()
    for row in rows:
        spans, n_frames = parse_phones(row["phones"]), int(row["n_frames"])
        unclear = sum(each.end - each.start for each in spans if each.name == UNCLEAR)
        covered = sum(each.end - each.start for each in spans)
        if row["missing"]:
            frames["did not fit"] += n_frames
        else:
            frames["unclear"] += unclear
            frames["phone"] += covered - unclear
            frames["silent"] += n_frames - covered
    return frames


def frame_labels(spans: Iterable[Span], n_frames: int) -> list[str]:
    """The phone of each 10 ms, SIL where there is none, "?" where it is not clear.

    >>> frame_labels([Span("IH", 1, 3)], 4)
    ['SIL', 'IH', 'IH', 'SIL']
    """
    labels = [SILENCE] * n_frames
    for each in spans:
        labels[each.start : min(each.end, n_frames)] = [each.name] * (min(each.end, n_frames) - each.start)
    return labels
