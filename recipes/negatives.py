"""Make the shipped negatives: other people's sentences, single words and household noise, in one Opus file.

usage: python recipes/negatives.py DATA [-o speechcmd/assets]

All of it is of role train, of other people in training and validation. What benchmarks/own_words.py
asks as other words is left out; segments that hold a word of the user's are left out by `train`. DATA is the
unpacked speech data.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import soundfile

from data_prep.shipped_negatives import AUDIO_FILE, INDEX_FILE, Segment
from data_prep.trim import find_speech
from speechcmd.audio.reading import read_int16
from speechcmd.audio.samples import SAMPLE_RATE, Waveform, int16_to_float32

COMMANDS = "SpeechCommands/speech_commands_v0.02"
ONE_WORDS = {
    **{f"{COMMANDS}/{word}": 11 for word in (
        "yes", "no", "up", "down", "left", "right", "stop", "go", "eight", "five", "four", "backward", "forward",
    )},
    **{f"isolated_words/{word}": 16 for word in ("alexa", "computer", "jarvis")},
    "other_words/athena": 24,
}  # fmt: skip
N_BOOKS, N_SENTENCES, N_NOISES = 55, 80, 28
LONGEST_S, LONGEST_NOISE_S, MARGIN_S = 3.5, 3.5, 0.15
VALIDATION_SHARE = 0.15  # of the speakers
PEAK = 0.5
COMPRESSION = 0.964  # of libsndfile, from 256 (0) to 6 kbit/s (1): 15 kbit/s
NOT_OURS = ("baby_cry",)  # a voice is no silence


@dataclass(frozen=True)
class Found:
    kind: str
    word: str
    speaker: str
    text: str
    waveform: Waveform


def read(path: Path) -> Waveform:
    return int16_to_float32(read_int16(path))


def of_role_train(data: Path, folder: str) -> list[str]:
    with (data / "roles.csv").open(newline="") as handle:
        return [
            row["path"]
            for row in csv.DictReader(handle)
            if row["role"] == "train" and row["path"].startswith(folder)
        ]


def speech(data: Path, rng: np.random.Generator) -> Iterator[Found]:
    """A few seconds of each of many speakers, cut in their pauses where they are long."""
    for folder, n_wanted in (("audiobooks", N_BOOKS), ("sentences", N_SENTENCES)):
        with (data / folder / "transcripts.csv").open(newline="") as handle:
            said = {f"{folder}/{row['path']}": row for row in csv.DictReader(handle)}
        paths = [path for path in of_role_train(data, f"{folder}/") if path in said]
        by_speaker: dict[str, str] = {}
        for number in rng.permutation(len(paths)):
            by_speaker.setdefault(said[paths[number]]["speaker"], paths[number])
        chosen = [by_speaker[name] for name in sorted(by_speaker)]
        rest = [path for path in paths if path not in set(chosen)]
        chosen += [rest[number] for number in rng.permutation(len(rest))]
        for path in chosen[:n_wanted]:
            waveform = read(data / path)
            n_most = round(LONGEST_S * SAMPLE_RATE)
            first = int(rng.integers(0, max(1, len(waveform) - n_most)))
            row = said[path]
            yield Found(
                "speech", "", f"{folder}-{row['speaker']}", row["sentence"], waveform[first : first + n_most]
            )


def one_words(data: Path, rng: np.random.Generator) -> Iterator[Found]:
    root = data / COMMANDS
    held = {
        line for name in ("validation", "testing") for line in (root / f"{name}_list.txt").read_text().split()
    }
    for folder, n_wanted in ONE_WORDS.items():
        word = folder.rpartition("/")[2]
        paths = [p for p in sorted((data / folder).glob("*.wav")) if f"{word}/{p.name}" not in held]
        for number in rng.permutation(len(paths))[:n_wanted]:
            waveform = read(paths[number])
            speech = find_speech(waveform, SAMPLE_RATE)
            margin = round(MARGIN_S * SAMPLE_RATE)
            speaker = paths[number].stem.partition("_nohash_")[0]
            yield Found(
                "word",
                word,
                f"{word}-{speaker}",
                word,
                waveform[max(0, speech.start - margin) : speech.end + margin],
            )


def noises(data: Path, rng: np.random.Generator) -> Iterator[Found]:
    paths = [path for path in of_role_train(data, "noise/") if not any(name in path for name in NOT_OURS)]
    by_kind: dict[str, list[str]] = {}
    for number in rng.permutation(len(paths)):
        by_kind.setdefault(paths[number].split("/")[1], []).append(paths[number])
    kinds = sorted(by_kind)
    for number in range(N_NOISES):
        path = by_kind[kinds[number % len(kinds)]][number // len(kinds)]
        waveform = read(data / path)
        yield Found("noise", "", "", "", waveform[: round(LONGEST_NOISE_S * SAMPLE_RATE)])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("speechcmd/assets"))
    args = parser.parse_args()
    rng = np.random.default_rng(24)
    found = [*speech(args.data, rng), *one_words(args.data, rng), *noises(args.data, rng)]
    speakers = sorted({each.speaker for each in found if each.speaker})
    held_out = {
        speakers[number]
        for number in rng.permutation(len(speakers))[: round(VALIDATION_SHARE * len(speakers))]
    }
    segments, parts, n_samples = [], [], 0
    for each in found:
        waveform = each.waveform * np.float32(PEAK / max(1e-3, float(np.abs(each.waveform).max())))
        split = "validation" if each.speaker in held_out else "training"
        segments.append(
            Segment(each.kind, each.word, each.speaker, split, n_samples, len(waveform), each.text)
        )
        parts.append(waveform)
        n_samples += len(waveform)
    path = args.output / AUDIO_FILE
    soundfile.write(
        path, np.concatenate(parts), SAMPLE_RATE, format="OGG", subtype="OPUS", compression_level=COMPRESSION
    )
    decoded = soundfile.info(path).frames
    if decoded != n_samples:
        raise SystemExit(f"{path}: wrote {n_samples} samples, it holds {decoded}")
    with (args.output / INDEX_FILE).open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(Segment.__dataclass_fields__)
        writer.writerows(astuple(segment) for segment in segments)
    minutes = n_samples / SAMPLE_RATE / 60
    print(f"{path}: {len(segments)} segments, {minutes:.1f} minutes, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
