"""Accuracy of a model file on a split of a store, on trimmed windows: what training sees.

usage: python benchmarks/accuracy.py MODEL STORE [--split validation|testing] [--seed 0]

The set is the official one: the model's words, `_unknown_` and `_silence_` each ceil(10 %) of them,
drawn with the seed; `_silence_` is cut from recordings of the split's role. A window is one model input
around the trimmed word. For whole clips: `speechcmd evaluate`.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np
from arguments import model_and_store

from data_prep.store import Store
from data_prep.task import EVALUATION_SILENCE_DB, TaskConfig, draw_evaluation, make_split_task
from data_prep.word_window import cut_word
from speechcmd.audio.samples import SAMPLE_RATE, Waveform, int16_to_float32
from speechcmd.evaluation.intervals import wilson_interval
from speechcmd.labels import SILENCE, UNKNOWN
from speechcmd.runtime.recognition.recognizer import Recognizer

CLIP_SAMPLES = SAMPLE_RATE
HARDLY_HEARD = ("on", "off")  # commands that the shared audio has 11 training clips of: shown apart


class Example(NamedTuple):
    """One clip of the set: its label, the word that is spoken, the trimmed window."""

    label: str
    word: str
    window: Waveform


def collect(store: Store, recognizer: Recognizer, split: str, seed: int) -> list[Example]:
    """Every example of the official set."""
    config = TaskConfig(recognizer.card.words, seed=seed)
    task = make_split_task(store, config, split)
    row_of = {row.path: row for row in store.rows}
    rng = np.random.default_rng(seed)
    n_window = recognizer.card.window_samples
    examples = []
    for index in draw_evaluation(task, config):
        row = row_of[task.examples.paths[index]]
        label = config.labels[task.examples.labels[index]]
        if task.examples.is_word[index]:
            examples.append(Example(label, row.word, cut_word(store, row, n_window, rng)))
        else:
            start = rng.integers(0, row.n_samples - max(CLIP_SAMPLES, n_window) + 1)
            gain = np.float32(10 ** (rng.uniform(*EVALUATION_SILENCE_DB) / 20))
            whole = gain * int16_to_float32(store.samples_of(row)[start : start + CLIP_SAMPLES])
            examples.append(Example(label, row.word, whole[:n_window]))
    return examples


def percent_interval(n_right: int, n_all: int) -> tuple[float, float]:
    low, high = wilson_interval(n_right, n_all)
    return 100 * low, 100 * high


def report(name: str, examples: list[Example], answers: list[str], labels: tuple[str, ...]) -> None:
    """Print accuracy with its interval, recall for each label, and `_unknown_` by its words."""
    truth = [example.label for example in examples]
    right = [a == b for a, b in zip(truth, answers, strict=True)]
    low, high = percent_interval(sum(right), len(right))
    print(f"{name:9s} {100 * np.mean(right):6.2f} %  [{low:.2f}, {high:.2f}]  of {len(right)} clips")
    recalls = []
    for label in labels:
        of_label = [r for r, t in zip(right, truth, strict=True) if t == label]
        recalls.append(f"{label} {100 * np.mean(of_label):.1f}")
    print("          recall %: " + "  ".join(recalls))
    others: dict[str, list[bool]] = defaultdict(list)
    for example, is_right in zip(examples, right, strict=True):
        if example.label == UNKNOWN:
            others[example.word].append(is_right)
    by_word = {word: 100 * float(np.mean(hits)) for word, hits in others.items()}
    worst = ", ".join(
        f"{word} {by_word[word]:.0f} of {len(others[word])}"
        for word in sorted(by_word, key=by_word.__getitem__)[:4]
    )
    print(
        f"          _unknown_ as the mean over its words {np.mean(list(by_word.values())):.1f} %; worst: {worst}"
    )
    rest = [
        is_right
        for example, is_right in zip(examples, right, strict=True)
        if example.word not in HARDLY_HEARD
    ]
    low, high = percent_interval(sum(rest), len(rest))
    print(
        f"          without {', '.join(HARDLY_HEARD)}: {100 * np.mean(rest):.2f} %  [{low:.2f}, {high:.2f}]  of {len(rest)}"
    )


def main() -> None:
    parser = model_and_store(__doc__)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    recognizer = Recognizer.load(arguments.model)
    store = Store.open(arguments.store)
    examples = collect(store, recognizer, arguments.split, arguments.seed)
    labels = (*recognizer.card.words, UNKNOWN, SILENCE)
    columns = recognizer.labels
    windows = [columns[int(recognizer.posteriors(window)[0].argmax())] for _, _, window in examples]
    print(
        f"{arguments.model}: {arguments.split}, window {recognizer.card.window_s:.3f} s, seed {arguments.seed}"
    )
    report("window", examples, windows, labels)


if __name__ == "__main__":
    main()
