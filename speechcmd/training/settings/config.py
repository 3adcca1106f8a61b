"""The settings of a training: beside each what it may be, what it is for, and its default.

From these fields come the checks of recipes and of `--set`, the options of `speechcmd train` and the page of
all settings. The file imports nothing heavy: the command line reads it before it knows what to do.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from speechcmd.errors import TrainingError
from speechcmd.json_toml import parse_json
from speechcmd.labels import TEN_WORDS, normalise_label
from speechcmd.typed import as_type

if TYPE_CHECKING:
    from data_prep.task import TaskConfig
    from models.frontend import FrontEndConfig

STANDARD_BANDS = 40  # of the front end: up to 4000 Hz
MOST_BANDS = 53  # the highest ends below the 8 kHz of what is sampled at 16

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
UpTo100 = Annotated[int, Meta(ge=0, le=100)]
UpTo1024 = Annotated[int, Meta(ge=0, le=1024)]
Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]
NotNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Decibels = Annotated[float, Meta(ge=0, le=60)]
Milliseconds = Annotated[float, Meta(ge=0, le=1000)]
Decay = Annotated[float, Meta(ge=0, le=0.99999)]
Bands = Annotated[int, Meta(ge=STANDARD_BANDS, le=MOST_BANDS)]
Ratios = Annotated[tuple[float, float], Meta(description="two ratios from -100 to 100 dB, the lower first")]
Words = Annotated[tuple[str, ...], Meta(description="a list of words")]
Length = Annotated[str, Meta(description="mean, p95 or seconds from 0.1 to 10")]
Unknown = Annotated[
    str,
    Meta(pattern="^(auto|official|all|[0-9]{1,7})$", description="auto, official, all or a number of clips"),
]
Fold = Annotated[str, Meta(description="one like 1/5")]


class Automatic(str):
    """Beside a field: what an empty or zero setting stands for."""


@dataclass(frozen=True)
class AugmentConfig:
    """What is done to training batches; a zero switches a part off."""

    time_shift_ms: Annotated[Milliseconds, "Move the window by up to so much, either way."] = 100.0
    late_ms: Annotated[Milliseconds, "Words lie so much later than in the middle of the window."] = 0.0
    noise_percent: Annotated[Percent, "Clips that get background noise or music."] = 50.0
    noise_snr_db: Annotated[Ratios, "Range of the signal-to-noise ratio of these."] = (5.0, 30.0)
    gain_db: Annotated[Decibels, "Louder or quieter by up to so much."] = 10.0
    time_masks: Annotated[
        UpTo100, "Spans of frames covered with the mean (SpecAugment, arXiv 1904.08779)."
    ] = 1
    time_mask_frames: Annotated[Count, "Longest span of frames."] = 8
    band_masks: Annotated[UpTo100, "Spans of bands that are covered."] = 1
    band_mask_bands: Annotated[Count, "Widest span of bands."] = 6
    speed_percent: Annotated[
        float, Meta(ge=0, le=20), "Faster or slower by up to so much: audio with its pitch, features without."
    ] = 0.0
    room_percent: Annotated[Percent, "Clips that are heard in a synthetic room."] = 25.0
    image_percent: Annotated[Percent, "Clips of audio that pass through a JPEG image of their log-mel."] = 0.0
    half_seen_percent: Annotated[
        Percent, "Words moved to an edge of the window or beyond: not yet words."
    ] = 25.0
    warp_percent: Annotated[
        float, Meta(ge=0, le=30), "Vocal tracts longer or shorter by up to so much (Jaitly and Hinton 2013)."
    ] = 0.0
    neighbour_percent: Annotated[Percent, "Words with another clip's word 0.1 to 0.8 s beside them."] = 0.0
    tilt_db: Annotated[Decibels, "The highest band up to so much louder or quieter than the lowest."] = 0.0
    noise_tilt_db: Annotated[Decibels, "The same for the noise that is mixed in."] = 0.0
    babble_percent: Annotated[
        Percent, "Of the clips with noise, those with three people talking instead."
    ] = 0.0
    narrow_percent: Annotated[Percent, "Clips with nothing above 4000 Hz or more; needs n_mels over 40."] = (
        0.0
    )

    @classmethod
    def off(cls) -> AugmentConfig:
        """Nothing is done: for validation."""
        return cls(
            time_shift_ms=0.0, noise_percent=0.0, gain_db=0.0, time_masks=0, band_masks=0, room_percent=0.0,
            half_seen_percent=0.0,
        )  # fmt: skip

    @property
    def longest_factor(self) -> float:
        """How many times its own length a window needs to be played faster."""
        return 1 + self.speed_percent / 100


@dataclass(frozen=True)
class TrainConfig:
    """All that decides the weights, but for the store and the machine."""

    architecture: Annotated[str, "Network to train; see `speechcmd models`."] = "cnn"
    words: Annotated[Words, "Words to tell apart; all others become _unknown_."] = TEN_WORDS
    length: Annotated[Length, "Window: mean, p95 (19 of 20 words fit whole) or seconds from 0.1 to 10."] = (
        "mean"
    )
    n_mels: Annotated[Bands, "Bands of the spectrogram: 40 reach 4000 Hz, 48 reach 6115 Hz."] = STANDARD_BANDS
    unknown: Annotated[
        Unknown,
        "Clips of other words: official (10 % of the words, always the same), auto (as many as of the words "
        "if those are few, else official), all, or a number drawn anew each epoch.",
    ] = "auto"
    negatives: Annotated[
        Literal["auto", "shipped", "none"],
        "Shipped speech, other words and noise: auto adds them to stores without other words and speech.",
    ] = "auto"
    silence_percent: Annotated[
        NotNegative, "Windows of noise as _silence_, in percent of the words' clips."
    ] = 10.0
    speech_percent: Annotated[
        NotNegative, "Windows of running speech as _unknown_, in percent of the words' clips."
    ] = 50.0
    epochs: Annotated[Count, "Epochs at most.", Automatic("40, more if there are few clips")] = 0
    batch_size: Annotated[Count, "Clips in a batch.", Automatic("128, fewer if there are few clips")] = 0
    optimizer: Annotated[
        Literal["adamw", "adam", "sgd", "rmsprop"], "How weights follow gradients; sgd is Nesterov's."
    ] = "adamw"
    learning_rate: Annotated[float, Meta(ge=1e-12), "The highest one; sgd wants about 0.1."] = 2e-3
    momentum: Annotated[float, Meta(ge=0, le=0.9999), "Of sgd and rmsprop."] = 0.9
    schedule: Annotated[
        Literal["cosine", "linear", "step", "constant"],
        "Of the learning rate, after the warm-up: to zero, to a hundredth, a tenth at 1/2 and 3/4, or none.",
    ] = "cosine"
    warmup_percent: Annotated[Percent, "Share of the training in which the learning rate rises."] = 10.0
    weight_decay: Annotated[
        NotNegative, "On weights, not on biases: decoupled with adamw, L2 with the others (1e-4 or less)."
    ] = 0.02
    l1: Annotated[NotNegative, "Factor of the sum of all weights' sizes in the loss."] = 0.0
    gradient_clip: Annotated[NotNegative, "Largest norm of a gradient.", Automatic("none")] = 0.0
    ema: Annotated[
        Decay,
        "Decay of a moving average of the weights, which is then validated and exported.",
        Automatic("off"),
    ] = 0.0
    label_smoothing: Annotated[
        float, Meta(ge=0, le=0.5), "Share of the target that is spread over all labels."
    ] = 0.1
    mixup: Annotated[NotNegative, "Two clips in one, shares from Beta(mixup, mixup).", Automatic("off")] = 0.0
    class_balance: Annotated[Share, "0: clips count alike in the loss; 1: labels do."] = 0.0
    teacher: Annotated[str, "Learn from this run's network too (these words or more).", Automatic("none")] = (
        ""
    )
    teacher_weight: Annotated[Share, "Share of the loss that is the teacher's."] = 0.7
    teacher_temperature: Annotated[float, Meta(ge=0.1, le=100), "How soft its answers are made."] = 2.0
    n_steps: Annotated[int, Meta(ge=1, le=100), "Neighbouring answers of each clip trained at once."] = 1
    hard_percent: Annotated[
        NotNegative, "Running speech that the network itself takes for words, in percent of the words' clips."
    ] = 0.0
    hard_every: Annotated[Positive, "Epochs until these are found anew."] = 1
    focal: Annotated[float, Meta(ge=0, le=10), "Makes easy answers count less (arXiv 1708.02002)."] = 0.0
    select: Annotated[
        Literal["accuracy", "stream"], "The best epoch has most right clips, or finds most words in speech."
    ] = "accuracy"
    patience: Annotated[
        Count,
        "Stop after this many epochs without a better one on validation clips.",
        Automatic("three eighths of the epochs"),
    ] = 0
    seed: Annotated[Seed, "Of everything that is drawn."] = 0
    initial: Annotated[
        str, "Begin with the best weights of this run (same network, a common word).", Automatic("none")
    ] = ""
    fold: Annotated[Fold, '"2/5": validate on the second of five folds by speaker.', Automatic("none")] = ""
    clips_percent: Annotated[float, Meta(ge=0.1, le=100), "Share of the training clips that is used."] = 100.0
    feature_cache: Annotated[
        str,
        "Folder to keep log-mel in: computed once, then trained on; faster on a processor.",
        Automatic("none"),
    ] = ""
    device: Annotated[Literal["auto", "cpu", "cuda"], "auto: a GPU if there is one."] = "auto"
    precision: Annotated[
        Literal["auto", "32-true", "bf16-mixed"], "auto: bf16 on a GPU, float32 elsewhere."
    ] = "auto"
    n_workers: Annotated[UpTo1024, "Loader processes."] = 0
    n_threads: Annotated[UpTo1024, "Threads of torch.", Automatic("its own choice")] = 0
    deterministic: Annotated[bool, "Same bits on a GPU too, slower."] = False
    model: Annotated[dict[str, Any], "Of the network; see `speechcmd models`."] = field(default_factory=dict)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        # the form that labels have in stores, wherever these words were typed
        object.__setattr__(self, "words", tuple(map(normalise_label, self.words)))

    @property
    def frontend(self) -> FrontEndConfig:
        """What the network hears."""
        from models.frontend import FrontEndConfig

        return FrontEndConfig().with_bands(self.n_mels)

    @property
    def task(self) -> TaskConfig:
        """What is to be told apart, and what an epoch is drawn from."""
        from data_prep.task import TaskConfig

        return TaskConfig(self.words, self.unknown, self.speech_percent, self.seed, self.silence_percent)

    def to_json(self) -> str:
        """One line that says everything: two runs of the same line are the same training."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> TrainConfig:
        """Read what `to_json` wrote.

        Raises
        ------
        TrainingError
            If it was another version that wrote it, with other settings.
        """
        try:
            values = parse_json(text)
            # an older run had fewer parts of augmentation, and no negatives
            values["augment"] = asdict(AugmentConfig.off()) | values["augment"]
            values.setdefault("negatives", "none")
            _check_names(values, cls)
            _check_names(values["augment"], AugmentConfig)
            return as_type(values, cls)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise TrainingError(
                f"the settings of this training cannot be read ({error}); use the version that trained it"
            ) from error

    def to_toml(self) -> str:
        """The same for people, and as a recipe."""
        import tomli_w  # comes with what trains, and the command line reads this file without

        return tomli_w.dumps(parse_json(self.to_json()))


def check_same_training(begun: str, config: TrainConfig, path: Path) -> None:
    """Refuse to go on with a run in `path` under other settings than those it was `begun` with, a JSON.

    Raises
    ------
    TrainingError
        Naming the first setting that differs.
    """
    before, now = (parse_json(text) for text in (TrainConfig.from_json(begun).to_json(), config.to_json()))
    for name in ("device", "n_workers"):  # where it runs may change; what it computes may not
        before.pop(name), now.pop(name)
    for name in ("initial", "teacher", "feature_cache"):
        # where folders lie may change too: the teacher is known by its weights, the cache by its store
        if before[name] and now[name]:
            now[name] = before[name]
    for name in sorted(before):
        if before[name] != now[name]:
            raise TrainingError(
                f"the run was begun with {name} = {before[name]}, now it is {now[name]}",
                path=path,
                advice="resume with the same settings or choose another --run",
            )


def _check_names(values: dict[str, Any], kind: type[TrainConfig | AugmentConfig]) -> None:
    if unknown := values.keys() - {field.name for field in fields(kind)}:
        raise ValueError(f"unknown setting {min(unknown)}")
