"""The examples of a training: which stores, which split of them, in which batches."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from data_prep.feature_store import FeatureStore
from data_prep.row_source import AnyStore, JoinedStores, RowSource
from data_prep.split import SPLITS
from data_prep.store import Row
from data_prep.task import SplitTask, TaskConfig, draw_epoch, draw_evaluation, draw_unknown, make_split_task
from data_prep.voices import find_voices, note_voices
from models.frontend import FrontEndConfig
from models.network import KeywordNetwork
from speechcmd.audio.samples import SAMPLE_RATE
from speechcmd.errors import StoreError, TrainingError
from speechcmd.labels import UNKNOWN, name_labels
from speechcmd.progress import Progress
from speechcmd.training.augment.draws import AugmentConfig
from speechcmd.training.data.counter_random import generator_for
from speechcmd.training.data.dataset import Batch, ClipDataset, make_loader
from speechcmd.training.data.feature_cache import cached_features
from speechcmd.training.data.sampler import EpochSampler, FixedSampler
from speechcmd.training.data.upper_bands import UpperBands, clips_with_all_bands, count_stored_bands
from speechcmd.training.data.windows import release_stores
from speechcmd.training.loop.loss import class_weights
from speechcmd.training.loop.step import log_mel_of
from speechcmd.training.loop.whole_clip import BATCH_SIZE, choose_whole, heard_samples
from speechcmd.training.mining.hard_windows import add_windows
from speechcmd.training.mining.scan import Found, scan_speech
from speechcmd.training.mining.stream_recall import HEARD_STEPS, measure_stream_recall, noise_under_words
from speechcmd.training.settings.config import TrainConfig
from speechcmd.training.settings.duration import fill_duration
from speechcmd.training.settings.ranges import parse_fold

_CPU = torch.device("cpu")
CACHE_FRAMES = 128  # of a clip in a cache, or a multiple: one cache for every window of up to 1.3 s


class TrainingData:
    """Tasks and loaders of one training, and its settings, with those that follow the number of clips.

    Raises
    ------
    StoreError, TrainingError
        If the stores do not fit together, the network or what is asked for.
    """

    def __init__(
        self, stores: Sequence[AnyStore], config: TrainConfig, task: TaskConfig, device: torch.device
    ) -> None:
        self.source = JoinedStores(split_by_fold(stores, config.fold))
        check_together(self.source.stores)
        self.training = take_share(make_split_task(self.source, task, "training"), config)
        labels = self.training.examples.labels[self.training.words]
        missing = [word for number, word in enumerate(config.words) if number not in labels]
        if missing:
            raise TrainingError(
                f"{self.source.path}: clips_percent = {config.clips_percent:g} leaves no training clip of "
                f"{name_labels(missing)}; take a larger share, add clips, or leave what is rare out of "
                "--words"
            )
        self.validation = make_split_task(self.source, task, "validation")
        self.notes = tuple(_notes_on(self.source, config.words))
        """What a person may not expect of the stores, a line each."""
        if config.hard_percent:
            self._check_speech(self.training, "train", f"hard_percent = {config.hard_percent:g}")
        if config.select == "stream":
            self._check_speech(self.validation, "calibrate", "select = stream")
        self._task = task
        self._device = device if device.type == "cuda" else None
        n_hard = math.ceil(len(self.training.words) * config.hard_percent / 100)
        n_drawn = len(draw_epoch(self.training, task, generator_for("epoch", config.seed, 0)))
        self.config = fill_duration(config, n_drawn + n_hard)
        self.sampler = EpochSampler(self.training, task, self.config.batch_size, config.seed, n_hard)
        self.hard = Found.nothing()

    def _check_speech(self, task: SplitTask, role: str, setting: str) -> None:
        if not (task.examples.end - task.examples.first)[task.speech].any():
            raise TrainingError(
                f"{self.source.path}: expected running speech of role {role} for {setting}, found none; "
                "prepare a store with --speech and --roles, or leave the setting out"
            )

    def make_loaders(
        self, network: KeywordNetwork, window_frames: int, upper: UpperBands | None = None
    ) -> None:
        """Loaders for a network; batches of training have windows of `window_frames` frames.

        What reaches beyond the network's own window is for a teacher: the middle is what it would be. `upper`
        estimates bands that some store does not have.
        """
        config, frontend = self.config, network.frontend.config
        release_stores()
        for store in self.source.stores:
            check_front_end(store, frontend)

        def dataset(task: SplitTask, n_samples: int, augment: AugmentConfig) -> ClipDataset:
            return ClipDataset(
                self.source, task, n_samples, augment, config.seed, self._device, frontend,
                network.window_samples, upper,
            )  # fmt: skip

        n_own, off = network.window_samples, AugmentConfig.off()
        n_workers = 0 if self._device else config.n_workers
        self._trained = dataset(self.training, frontend.n_samples(window_frames), config.augment)
        self.train_batches = make_loader(self._trained, self.sampler, n_workers)
        self.plain_batches = make_loader(dataset(self.training, n_own, off), self.sampler)
        drawn = draw_evaluation(self.validation, self._task)
        if len(drawn) == 0:
            raise TrainingError(
                f"{self.source.path}: no validation clip of {name_labels(config.words)}; expected some of "
                "other speakers than the training clips', prepare the store from more speakers"
            )
        self.validation_batches = self._fixed(dataset(self.validation, n_own, off), drawn)
        self.n_validation_clips = len(drawn)
        self._known = dataset(self.training, n_own, off)
        n_heard = n_own + (HEARD_STEPS - 1) * network.step_samples
        heard = dataset(self.validation, n_heard, noise_under_words(n_heard))
        self.heard_words = self._fixed(heard, self.validation.words)
        whole = dataset(self.validation, heard_samples(network), off)
        chosen = choose_whole(drawn[self.validation.examples.is_word[drawn]])
        self.n_whole_clips = len(chosen)
        self.whole_clips = make_loader(whole, FixedSampler(chosen, BATCH_SIZE))

    def find_hard(self, network: KeywordNetwork, on_scan: Progress | None = None) -> None:
        """Let the epochs to come train on what the network takes for words in running speech."""
        found = scan_speech(network, self.source.stores, self.training, self._device or _CPU, on_scan)
        self.use_hard(found.hardest(self.sampler.n_hard), network.window_samples)

    def use_hard(self, found: Found, n_window: int) -> None:
        """Let the epochs to come train on these windows of running speech."""
        self.hard = found
        task, self.sampler.hard = add_windows(self.training, found, n_window)
        self._trained.use_task(task)

    def stream_recall(self, network: KeywordNetwork, on_scan: Progress | None = None) -> float:
        """Validation words in percent that are found at few false accepts in validation speech."""
        return measure_stream_recall(
            network, self.source.stores, self.validation, self.heard_words, self._device or _CPU, on_scan
        )

    def known_batches(self, n_clips: int) -> tuple[DataLoader[Batch], int]:
        """Up to `n_clips` clips that are trained on, as they are, by the rule of validation; and how many."""
        known = draw_evaluation(self.training, self._task)
        n_taken = min(n_clips, len(known))
        taken = known[np.arange(n_taken) * len(known) // n_taken]
        return self._fixed(self._known, taken), n_taken

    def count_training_clips(self) -> int:
        """Clips of words and of other words that are trained on, however often."""
        is_official = self._task.unknown in ("auto", "official")
        unknown = draw_unknown(self.training, self._task) if is_official else self.training.unknown
        return len(self.training.words) + len(unknown)

    def _fixed(self, dataset: ClipDataset, indices: np.ndarray) -> DataLoader[Batch]:
        return make_loader(dataset, FixedSampler(indices, 2 * self.config.batch_size))

    def class_weights(self) -> torch.Tensor:
        """Weight of the clips of each label. Shape: (n_labels,)."""
        drawn = draw_epoch(self.training, self._task, generator_for("epoch", self.config.seed, 0))
        labels = self.training.examples.labels[drawn]
        counts = np.bincount(labels, minlength=len(self._task.labels))
        counts[self._task.labels.index(UNKNOWN)] += self.sampler.n_hard
        return torch.from_numpy(class_weights(counts, self.config.class_balance))


def note_heard_voices(source: RowSource, words: Sequence[str]) -> str:
    """What figures of these words do not say, where a voice both trains and validates; else ""."""
    return note_voices(row for row in source.rows if row.word in words and row.split != "testing")


def _notes_on(source: RowSource, words: Sequence[str]) -> Iterator[str]:
    if voices := note_heard_voices(source, words):
        yield voices
    validated = {row.word for row in source.select("word", "validation")}
    if missing := [word for word in words if word not in validated]:
        named = name_labels(missing)
        yield f"no validation clip of {named}: how well it is learnt is not measured; add clips"


def check_together(stores: Sequence[AnyStore]) -> None:
    """Refuse a store that is given twice, and a speaker who is in one split here and in another there.

    Raises
    ------
    StoreError
        Naming the stores, and one such speaker.
    """
    by_digest: dict[str, AnyStore] = {}
    heard: dict[tuple[str, str], AnyStore] = {}
    for store in stores:
        if store.digest in by_digest:
            raise StoreError(
                f"{store.path}: expected stores of different clips, got those of "
                f"{by_digest[store.digest].path} again; leave one of the two out"
            )
        words = [row for row in store.rows if row.kind == "word" and row.speaker]
        shared = set(find_voices(words).shared)  # of those nothing is claimed that another store could spoil
        own = {(row.speaker, row.split) for row in words if row.speaker not in shared}
        for speaker, split in sorted(own):
            _check_split(speaker, split, store, heard)
        by_digest[store.digest] = store
        heard = dict.fromkeys(own, store) | heard


def _check_split(speaker: str, split: str, store: AnyStore, heard: dict[tuple[str, str], AnyStore]) -> None:
    for other in SPLITS:
        if other != split and (speaker, other) in heard:
            raise StoreError(
                f"{store.path}: expected a speaker in the same split of all stores, got {speaker} in {split} "
                f"here and in {other} of {heard[speaker, other].path}; leave one of the two out, or make "
                "them with the same splits"
            )


def check_front_end(store: AnyStore, frontend: FrontEndConfig) -> None:
    """Refuse features that another front end made. Another floor is no reason: it is exchanged.

    Nor is that bands are missing, if those that are there are the network's first.

    Raises
    ------
    StoreError
        Naming the first setting that differs.
    """
    if not isinstance(store, FeatureStore):
        return
    own, first = store.front_end, frontend.with_bands(int(store.front_end["n_mels"]))
    is_part = first.n_mels <= frontend.n_mels and math.isclose(own["f_max_hz"], first.f_max_hz)
    for name, value in asdict(first if is_part else frontend).items():
        if name != "log_floor" and not math.isclose(own[name], value):
            raise StoreError(
                f"{store.path}: features of a front end with {name} = {store.front_end.get(name)}, the "
                f"network's has {value}; make the store again from audio, or leave it out"
            )


def learn_upper_bands(source: JoinedStores, task: SplitTask, network: KeywordNetwork) -> UpperBands | None:
    """What estimates the bands that some store does not have, from clips of the others; None if all have all.

    Raises
    ------
    StoreError
        If there is no clip of a word with all bands.
    """
    frontend = network.frontend.config
    n_lower = count_stored_bands(source.stores, frontend)
    if n_lower == frontend.n_mels:
        return None
    clips = clips_with_all_bands(source.stores, task, frontend)
    if len(clips) == 0:
        raise StoreError(
            f"{source.path}: {n_lower} of {frontend.n_mels} bands, and no clip with all to learn the others "
            f"from; give a store of audio too, or set n_mels={n_lower}"
        )
    off = AugmentConfig.off()
    dataset = ClipDataset(source, task, SAMPLE_RATE, off, frontend=frontend)
    batches = make_loader(dataset, FixedSampler(clips, 128))
    frames = [log_mel_of(network, batch).flatten(0, 1) for batch in batches]
    return UpperBands.learn(torch.cat(frames), n_lower, math.log(frontend.log_floor))


def take_cached(
    stores: Sequence[AnyStore],
    frontend: FrontEndConfig,
    window_frames: int,
    folder: Path,
    on_progress: Progress | None = None,
) -> list[AnyStore]:
    """The stores, those of audio replaced by their log-mel in a cache, computed where it is not there."""
    n_frames = -(-window_frames // CACHE_FRAMES) * CACHE_FRAMES
    return [
        store
        if isinstance(store, FeatureStore)
        else cached_features(store, frontend, n_frames, folder, on_progress)
        for store in stores
    ]


def split_by_fold(stores: Sequence[AnyStore], fold: str) -> list[AnyStore]:
    """The stores with the words of one fold's speakers as validation, all others but testing as training.

    Speakers are dealt out in the order of a hash of their names: every fold gets as many. All stores
    together, or somebody in two of them might be trained on in one and validated in the other.
    """
    parsed = parse_fold(fold)
    if parsed is None:
        return list(stores)
    number, n_folds = parsed
    kept_back = set(speakers_of(stores)[number::n_folds])
    return [
        type(store)(store.path, tuple(_move(row, kept_back) for row in store.rows), store.info)
        for store in stores
    ]


def speakers_of(stores: Sequence[AnyStore]) -> list[str]:
    """Speakers of training and validation words in an order that their names alone decide."""
    speakers = {row.speaker for store in stores for row in store.rows if _is_dealt(row)}
    return sorted(speakers, key=lambda name: hashlib.sha256(name.encode(errors="surrogateescape")).digest())


def _is_dealt(row: Row) -> bool:
    return row.kind == "word" and row.split in ("training", "validation")


def _move(row: Row, kept_back: set[str]) -> Row:
    if not _is_dealt(row):
        return row
    return replace(row, split="validation" if row.speaker in kept_back else "training")


def take_share(task: SplitTask, config: TrainConfig) -> SplitTask:
    """The task with a share of its words and unknown words; a smaller share is part of a larger one."""
    if config.clips_percent >= 100:
        return task
    drawn = generator_for("share", config.seed, 0).uniform(0, 100, size=len(task.examples))
    is_kept = drawn < config.clips_percent
    return replace(task, words=task.words[is_kept[task.words]], unknown=task.unknown[is_kept[task.unknown]])
