"""The settings of a training run, resolved and written into its folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from data_prep.task import TaskConfig
from models.frontend import FrontEndConfig
from speechcmd.errors import TrainingError
from speechcmd.json_toml import parse_json
from speechcmd.labels import TEN_WORDS, normalise_label

STANDARD_BANDS = FrontEndConfig().n_mels
MOST_BANDS = 53  # the highest ends below the 8 kHz of what is sampled at 16


@dataclass(frozen=True)
class AugmentConfig:
    """What is done to training batches; a zero switches a part off.

    `time_shift_ms` moves the window either way, from a place in which a word lies `late_ms` after its
    middle. `noise_percent` of the clips get background noise at a signal-to-noise ratio between the two
    `noise_snr_db`. `gain_db` either way. SpecAugment (Park et al. 2019, arXiv 1904.08779) covers
    `time_masks` spans of up to `time_mask_frames` and `band_masks` of up to `band_mask_bands` with the
    mean. `speed_percent` makes words up to that much faster or slower. `room_percent` of the clips are
    heard through a made-up room, `image_percent` of those that are no images already through an 8-bit
    JPEG image of their log-mel. `half_seen_percent` of the words are moved so far that they lie at the
    edge of the window or beyond. `warp_percent` makes vocal tracts up to that much longer or shorter.
    `neighbour_percent` of the words get another clip's word beside them, 0.1 to 0.8 s before or after.
    `tilt_db`, either way, is what a microphone passes the highest band better than the lowest, and
    `noise_tilt_db` the same for the noise that is mixed in; in `babble_percent` of the noisy clips it is
    three people of the split's running speech who talk at once; in
    `narrow_percent` of the clips nothing lies above some frequency of 4000 Hz or more.
    """

    time_shift_ms: float = 100.0
    late_ms: float = 0.0
    noise_percent: float = 50.0
    noise_snr_db: tuple[float, float] = (5.0, 30.0)
    gain_db: float = 10.0
    time_masks: int = 1
    time_mask_frames: int = 8
    band_masks: int = 1
    band_mask_bands: int = 6
    speed_percent: float = 0.0
    room_percent: float = 25.0
    image_percent: float = 0.0
    half_seen_percent: float = 25.0
    warp_percent: float = 0.0
    neighbour_percent: float = 0.0
    tilt_db: float = 0.0
    noise_tilt_db: float = 0.0
    babble_percent: float = 0.0
    narrow_percent: float = 0.0

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
    """All that decides the weights, but for the store and the machine.

    `n_mels` bands of the spectrogram, 40 up to 4000 Hz and more above them as `FrontEndConfig.with_bands`
    has it; `length` is "mean", "p95" or seconds; `unknown`, `speech_percent` and `silence_percent` as in
    `data_prep.task.TaskConfig`; `negatives` "auto", "shipped" or "none", as `add_negatives` has it;
    `optimizer` one of `optimisation.OPTIMIZERS`, `schedule` of `optimisation.SCHEDULES`, `momentum` of
    SGD and RMSprop, `weight_decay` is L2 but for AdamW, where it is
    decoupled; `l1` the factor of the sum of all weights' sizes; `gradient_clip` the largest norm of a
    gradient; `ema` the decay of the weights' moving average, which is then what is validated and exported;
    `mixup` the alpha of its Beta distribution; `class_balance` from 0, clips count alike, to 1, labels do.
    Zero switches any of these off. `initial` is a run whose best weights the training begins with,
    `teacher` one whose answers it learns from (`teacher_weight` of the loss, at `teacher_temperature`), ""
    for none; `n_steps` neighbouring answers of each clip are trained at once; `hard_percent`, in percent of
    the words' clips, of windows of running speech that the network itself takes for words, found anew each
    `hard_every` epochs; `focal` the exponent that makes easy answers count less; `select` "accuracy" or
    "stream", by what the best epoch is chosen; `feature_cache` a folder for log-mel computed once, "" for
    none; `fold` "1/5" the first of five folds by speaker; `clips_percent` the share of training clips that
    is used; `precision` "auto", "32-true" or "bf16-mixed"; `patience` epochs without a better one end
    the training. `epochs`, `batch_size` and `patience` of 0 follow the number of clips (`fill_duration`).
    """

    architecture: str = "cnn"
    words: tuple[str, ...] = TEN_WORDS
    length: str = "mean"
    n_mels: int = STANDARD_BANDS
    unknown: str = "auto"
    negatives: str = "auto"
    silence_percent: float = 10.0
    speech_percent: float = 50.0
    epochs: int = 0
    batch_size: int = 0
    optimizer: str = "adamw"
    learning_rate: float = 2e-3
    momentum: float = 0.9
    schedule: str = "cosine"
    warmup_percent: float = 10.0
    weight_decay: float = 0.02
    l1: float = 0.0
    gradient_clip: float = 0.0
    ema: float = 0.0
    label_smoothing: float = 0.1
    mixup: float = 0.0
    class_balance: float = 0.0
    teacher: str = ""
    teacher_weight: float = 0.7
    teacher_temperature: float = 2.0
    n_steps: int = 1
    hard_percent: float = 0.0
    hard_every: int = 1
    focal: float = 0.0
    select: str = "accuracy"
    patience: int = 0
    seed: int = 0
    initial: str = ""
    fold: str = ""
    clips_percent: float = 100.0
    feature_cache: str = ""
    device: str = "auto"
    precision: str = "auto"
    n_workers: int = 0
    n_threads: int = 0
    deterministic: bool = False
    model: dict[str, Any] = field(default_factory=dict)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        # the form that labels have in stores, wherever these words were typed
        object.__setattr__(self, "words", tuple(map(normalise_label, self.words)))

    @property
    def frontend(self) -> FrontEndConfig:
        """What the network hears."""
        return FrontEndConfig().with_bands(self.n_mels)

    @property
    def task(self) -> TaskConfig:
        """What is to be told apart, and what an epoch is drawn from."""
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
            augment = asdict(AugmentConfig.off()) | values.pop("augment")  # an older run had fewer parts
            augment["noise_snr_db"] = tuple(augment["noise_snr_db"])
            values["words"] = tuple(values["words"])
            values.setdefault("negatives", "none")  # before there were any
            return cls(**values, augment=AugmentConfig(**augment))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise TrainingError(
                f"the settings of this training cannot be read ({error}); use the version that trained it"
            ) from error

    def to_toml(self) -> str:
        """The same for people."""
        values = parse_json(self.to_json())
        tables = {name: values.pop(name) for name in ("augment", "model")}
        lines = [f"{name} = {_toml(value)}" for name, value in values.items()]
        for name, table in tables.items():
            lines += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
        return "\n".join(lines) + "\n"


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
                f"{path}: the run was begun with {name} = {before[name]}, now it is {now[name]}; "
                "resume with the same settings or choose another --run"
            )


def _toml(value: Any) -> str:
    """A string, number, flag or list of them: JSON but for escaped surrogates, which TOML forbids."""
    return json.dumps(value, ensure_ascii=False)
