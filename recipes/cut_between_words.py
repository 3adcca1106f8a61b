"""Cut what lies between the commands out of sentences in which they are said: more speech without a command.

usage: python recipes/cut_between_words.py DATA DEST

From DATA/sentences_with_commands/audiobooks those sentences of which every command is aligned, and none has a
homophone. DEST gets the stretches, 1.5 s and longer, 0.1 s away from each command, and DEST/roles.csv their roles.
The sentences of speechocean762 are left out: where people pause, the alignment is wrong by seconds, and of 80 words
that the released cnn hears in such stretches (thresholds 5 lower on the logit scale) 20 are the command of the sentence.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import soundfile

from speechcmd.audio.reading import read_waveform
from speechcmd.audio.samples import SAMPLE_RATE, float32_to_int16
from speechcmd.evaluation.streams.homophone import HOMOPHONES

COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
SOURCE = "audiobooks"
SHORTEST_S, MARGIN_S = 1.5, 0.1
# so often said without stress that they are no command
HEARD = frozenset(COMMANDS).union(*(HOMOPHONES.get(word, ()) for word in COMMANDS))


def stretches(n_samples: int, words: list[tuple[float, float]]) -> list[tuple[int, int]]:
    """First sample and the one after the last of what lies between words, given in seconds.

    >>> stretches(80_000, [(2.0, 2.5)])
    [(0, 30400), (41600, 80000)]
    """
    edges = [0]
    for start_s, end_s in sorted(words):
        edges += [round((start_s - MARGIN_S) * SAMPLE_RATE), round((end_s + MARGIN_S) * SAMPLE_RATE)]
    edges.append(n_samples)
    return [
        (first, end)
        for first, end in zip(edges[::2], edges[1::2], strict=True)
        if end - first >= SHORTEST_S * SAMPLE_RATE
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("dest", type=Path)
    arguments = parser.parse_args()
    folder = arguments.data / "sentences_with_commands"
    aligned = defaultdict(list)
    with (folder / "words.csv").open(encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            if row["word"] in COMMANDS:
                aligned[row["path"]].append((float(row["start_s"]), float(row["end_s"])))
    with (arguments.data / "roles.csv").open(encoding="utf-8") as handle:
        roles = {row["path"]: row["role"] for row in csv.DictReader(handle)}
    rows = []
    with (folder / "transcripts.csv").open(encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            path, said = row["path"], [word for word in row["sentence"].split() if word in HEARD]
            if not path.startswith(f"{SOURCE}/"):
                continue
            if not said or set(said) - set(COMMANDS) or len(said) != len(aligned[path]):
                continue
            waveform = read_waveform(folder / path)
            for number, (first, end) in enumerate(stretches(len(waveform), aligned[path])):
                name = Path(path).with_suffix(f".{number}.wav")
                (arguments.dest / name).parent.mkdir(parents=True, exist_ok=True)
                piece = float32_to_int16(waveform[first:end])
                soundfile.write(arguments.dest / name, piece, SAMPLE_RATE, subtype="PCM_16")
                rows.append((name.as_posix(), roles[f"sentences_with_commands/{path}"]))
    with (arguments.dest / "roles.csv").open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(("path", "role"))
        writer.writerows(rows)
    print(f"{len(rows)} stretches in {arguments.dest}")


if __name__ == "__main__":
    main()
