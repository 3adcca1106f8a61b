"""Does a network learn the word, or whether a clip came as audio or as an image?

usage: python benchmarks/source_and_word.py AUDIO IMAGES --runs DIR --cache DIR
           [--architecture cnn] [--epochs 3] [--names all,proxies] [--only-training]

*on* and *off* come practically as images only, and all negatives as audio: "audio, therefore not *on*" is a rule
that a network may find. Trainings with and without the channel that makes audio features look like images (half of
them), with all clips, and with two well-covered words ("proxies") given as images only, or as audio only:
- recall of each word on real testing audio, of networks trained on all clips;
- recall of the proxies on their real validation audio. Given as images only there are also fewer clips of them, so
  they are given once more as images only and as audio only with as many clips of each: the gap of the source alone;
- a linear probe for the source on the embedding within one word, cross-validated by speaker: 50 % means that the
  embedding does not tell the source.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from arguments import trainings
from runs import RECIPE, Answers, answer_clips, open_stores, train_whole, with_changes
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from data_prep.row_source import AnyStore, JoinedStores
from data_prep.store import Row, Store
from data_prep.task import TaskConfig, make_split_task
from speechcmd.evaluation.intervals import wilson_interval
from speechcmd.training.batch import log_mel_of
from speechcmd.training.data.dataset import ClipDataset, make_loader
from speechcmd.training.data.sampler import FixedSampler
from speechcmd.training.loop.checkpoint import BEST, load_checkpoint
from speechcmd.training.loop.trained_network import load_network
from speechcmd.training.settings.config import AugmentConfig

PROXIES = ("up", "stop")
CHANNEL_PERCENT = 50.0
# how the proxies are given, and the share of audio that goes through the channel
RUNS = {
    "all": ("both", 0.0), "all-channel": ("both", CHANNEL_PERCENT),
    "proxies": ("images", 0.0), "proxies-channel": ("images", CHANNEL_PERCENT),
    "equal-images": ("equal images", 0.0), "equal-images-channel": ("equal images", CHANNEL_PERCENT),
    "equal-audio": ("equal audio", 0.0), "equal-audio-channel": ("equal audio", CHANNEL_PERCENT),
}  # fmt: skip
COMPARED = (("all", "proxies"), ("equal-audio", "equal-images"))


def training_clips(store: AnyStore, word: str) -> list[Row]:
    return [row for row in store.select("word", "training") if row.word == word]


def keep(store: AnyStore, n_kept: dict[str, int], how: str) -> AnyStore:
    """The store with so many training clips of each proxy, spread over all of them."""
    dropped: set[str] = set()
    for word, n in n_kept.items():
        clips = training_clips(store, word)
        kept = {clips[k * len(clips) // n].path for k in range(n)}
        dropped |= {row.path for row in clips} - kept
    rows = tuple(row for row in store.rows if row.path not in dropped)
    return type(store)(store.path, rows, {**store.info, "data_digest": f"{store.digest} {how} {n_kept}"})


def give_proxies(stores: list[AnyStore], how: str) -> list[AnyStore]:
    """The stores of audio and of images with the proxies in one of them, or in both."""
    if how == "both":
        return stores
    audio, images = stores
    none = dict.fromkeys(PROXIES, 0)
    if how == "images":
        return [keep(audio, none, how), images]
    equal = {word: min(len(training_clips(store, word)) for store in stores) for word in PROXIES}
    if how == "equal images":
        return [keep(audio, none, how), keep(images, equal, how)]
    return [keep(audio, equal, how), keep(images, none, how)]


def train_all(arguments: argparse.Namespace, names: list[str]) -> None:
    for name in names:
        how, percent = RUNS[name]
        stores = give_proxies(open_stores(arguments.audio, arguments.images), how)
        config = with_changes(
            RECIPE, {"image_percent": percent}, architecture=arguments.architecture, epochs=arguments.epochs,
            feature_cache=str(arguments.cache),
        )  # fmt: skip
        train_whole(stores, config, arguments.runs / name)


def print_words(runs: Path, audio: Store) -> None:
    print("| word | clips | without channel: testing % | with channel: testing % |\n|---|---|---|---|")
    plain, channel = (answer_clips(runs / name, audio, "testing") for name in ("all", "all-channel"))
    labels = TaskConfig(RECIPE.words).labels
    for number, label in enumerate(labels):
        n_clips = int((plain.labels == number).sum())
        print(f"| {label} | {n_clips} | {plain.accuracy(number):.1f} | {channel.accuracy(number):.1f} |")
    print(f"| all | {len(plain.labels)} | {plain.accuracy():.2f} | {channel.accuracy():.2f} |\n")


def print_proxies(runs: Path, audio: Store) -> None:
    print("| proxies' validation audio | word | first % | second % | gap, points |\n|---|---|---|---|---|")
    words = {word: [RECIPE.words.index(word)] for word in PROXIES}
    words["both words"] = [RECIPE.words.index(word) for word in PROXIES]
    for pair in COMPARED:
        for suffix in ("", "-channel"):
            names = [f"{name}{suffix}" for name in pair]
            if not all((runs / name / "curves.png").exists() for name in names):
                print(f"| {' against '.join(names)} | not trained |")
                continue
            found = [answer_clips(runs / name, audio, "validation") for name in names]
            for word, chosen in words.items():
                recalls = " | ".join(recall(answers, chosen) for answers in found)
                print(
                    f"| {' against '.join(names)} | {word} | {recalls} | {gap(found[0], found[1], chosen)} |"
                )
    print()


def recall(answers: Answers, chosen: list[int]) -> str:
    of_words = np.isin(answers.labels, chosen)
    n_right = int((answers.labels == answers.given)[of_words].sum())
    low, high = wilson_interval(n_right, int(of_words.sum()))
    return f"{100 * n_right / of_words.sum():.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def gap(first: Answers, second: Answers, chosen: list[int]) -> str:
    """Difference on the same clips with its 95 % interval: only clips that differ count."""
    of_words = np.isin(first.labels, chosen)
    difference = (first.labels == first.given)[of_words].astype(int) - (second.labels == second.given)[
        of_words
    ]
    error = 1.96 * difference.std() / np.sqrt(len(difference))
    return f"{100 * difference.mean():.1f} ± {100 * error:.1f}"


@torch.no_grad()
def embeddings(run: Path, stores: list[AnyStore]) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """For each word its validation clips' embeddings, whether they are images, and their speakers."""
    network = load_network(load_checkpoint(run / BEST))
    source = JoinedStores(stores)
    task = make_split_task(source, TaskConfig(RECIPE.words), "validation")
    dataset = ClipDataset(source, task, network.window_samples, AugmentConfig.off())
    for number, word in enumerate(RECIPE.words):
        clips = task.words[task.examples.labels[task.words] == number]
        batch = next(iter(make_loader(dataset, FixedSampler(clips, len(clips)))))
        found = network.embedding(log_mel_of(network, batch))[:, 0].numpy()
        clips = clips[np.argsort(task.examples.source[clips], kind="stable")]  # as the batch is sorted
        speakers = np.array(
            [task.examples.paths[clip].rpartition("/")[2].partition("_")[0] for clip in clips]
        )
        yield word, found, batch.is_image, speakers


def print_probe(runs: Path, stores: list[AnyStore]) -> None:
    print("| run | source told by a linear probe, mean over words, % (balanced) |\n|---|---|")
    for name in ("all", "all-channel"):
        accuracies = []
        for _, found, is_image, speakers in embeddings(runs / name, stores):
            if min(is_image.sum(), (~is_image).sum()) < 50:
                continue  # on, off: two clips of audio
            probe = make_pipeline(
                StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000)
            )
            told = cross_val_predict(probe, found, is_image, groups=speakers, cv=GroupKFold(5))
            accuracies.append(
                np.mean([(told == is_image)[is_image == side].mean() for side in (True, False)])
            )
        print(f"| {name} | {100 * np.mean(accuracies):.1f} ({len(accuracies)} words) |")


def main() -> None:
    parser = trainings(__doc__, RECIPE.epochs)
    parser.add_argument("--architecture", default="cnn")
    parser.add_argument("--names", default=",".join(RUNS))
    parser.add_argument("--only-training", action="store_true")
    arguments = parser.parse_args()
    train_all(arguments, arguments.names.split(","))
    if not arguments.only_training:
        audio = Store.open(arguments.audio)
        print_words(arguments.runs, audio)
        print_proxies(arguments.runs, audio)
        print_probe(arguments.runs, open_stores(arguments.audio, arguments.images))


if __name__ == "__main__":
    main()
