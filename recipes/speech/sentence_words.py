"""Words cut out of running speech, with what is said before and after them."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.clip import Clip, block_levels, digest_of
from data_prep.split import SPLIT_OF_ROLE
from data_prep.store import Row
from data_prep.trim import floor_and_peak
from speech.clip_store import write_store
from speechcmd.audio.reading import read_int16
from speechcmd.audio.samples import SAMPLE_RATE, Int16, Waveform, int16_to_float32

CLIP_S = 2.0
MARGIN_S = 0.03
SHORTEST_S, LONGEST_S = 0.13, 0.9
# a word that is swallowed is none that one wants to be heard
BELOW_SPEECH_DB = 12.0
SPEECH_PERCENTILE = 80.0  # of the levels of a sentence: how loud its speech is
NEIGHBOUR_S = 0.5  # from middle to middle: which of two words would the label be?
USED = ("train", "calibrate")  # of figures nothing is ever cut


@dataclass(frozen=True)
class Said:
    """Where a word lies in a recording; times in seconds."""

    path: str
    word: str
    start_s: float
    end_s: float

    @property
    def middle_s(self) -> float:
        return (self.start_s + self.end_s) / 2


def cut_sentence_words(data: Path, store: Path) -> Counter[tuple[str, str]]:
    """A store of the words of `data`/sentences_with_commands; how many of each word were kept, or why not."""
    outcomes: Counter[tuple[str, str]] = Counter()
    settings = {"cut_from": "sentences_with_commands", "clip_s": CLIP_S, "shortest_s": SHORTEST_S}
    write_store(store, _clips(data, outcomes), settings)
    return outcomes


def _clips(data: Path, outcomes: Counter[tuple[str, str]]) -> Iterator[Clip]:
    folder = data / "sentences_with_commands"
    with (data / "roles.csv").open(encoding="utf-8", newline="") as handle:
        roles = {row["path"]: row["role"] for row in csv.DictReader(handle)}
    with (folder / "transcripts.csv").open(encoding="utf-8", newline="") as handle:
        speakers = {row["path"]: row["speaker"] for row in csv.DictReader(handle)}
    by_path: defaultdict[str, list[Said]] = defaultdict(list)
    with (folder / "words.csv").open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle):
            said = Said(row["path"], row["word"], float(row["start_s"]), float(row["end_s"]))
            by_path[said.path].append(said)
    numbers: Counter[tuple[str, str]] = Counter()
    for path, words in sorted(by_path.items()):
        role = roles[f"{folder.name}/{path}"]
        if role not in USED:
            continue
        samples = read_int16(folder / path)
        levels = block_levels(int16_to_float32(samples))
        for said in words:
            reason = why_not(said, words, levels)
            outcomes[said.word, reason or "kept"] += 1
            if not reason:
                speaker = f"sentence{speakers[path]}"
                name = f"{said.word}/{speaker}_nohash_{numbers[said.word, speaker]}.wav"
                numbers[said.word, speaker] += 1
                yield cut_clip(samples, said, name, speaker, SPLIT_OF_ROLE[role])


def why_not(said: Said, words: list[Said], levels: Waveform) -> str:
    """Why a word is of no use, or nothing. `levels`: of each 10 ms of its recording, in dB."""
    length_s = said.end_s - said.start_s
    if length_s < SHORTEST_S:
        return "too short"
    if length_s > LONGEST_S:
        return "too long"
    if any(other is not said and abs(other.middle_s - said.middle_s) < NEIGHBOUR_S for other in words):
        return "another of the words beside it"
    own = levels[int(said.start_s * 100) : max(int(said.end_s * 100), int(said.start_s * 100) + 1)]
    if (
        len(own) == 0
        or np.percentile(own, SPEECH_PERCENTILE) < np.percentile(levels, SPEECH_PERCENTILE) - BELOW_SPEECH_DB
    ):
        return "too soft"
    return ""


def cut_clip(samples: Int16, said: Said, name: str, speaker: str, split: str) -> Clip:
    """Two seconds with the word in their middle, less where the recording begins or ends."""
    middle, half = round(said.middle_s * SAMPLE_RATE), round(CLIP_S / 2 * SAMPLE_RATE)
    first, end = max(0, middle - half), min(len(samples), middle + half)
    clip = np.ascontiguousarray(samples[first:end])
    start = max(0, round((said.start_s - MARGIN_S) * SAMPLE_RATE) - first)
    stop = min(len(clip), round((said.end_s + MARGIN_S) * SAMPLE_RATE) - first)
    floor_db, _ = floor_and_peak(block_levels(int16_to_float32(clip)))
    row = Row(
        "word", said.word, speaker, split, "", name, 0, len(clip), start, stop, middle - first,
        round(floor_db, 1), (), digest_of(clip),
    )  # fmt: skip
    return Clip(row, clip)
