"""The pipeline does what its page says, in the order that it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.frontend import FrontEndConfig
from speechcmd.training.augment import features, pipeline, waveforms
from speechcmd.training.augment.pipeline import (
    Background,
    BatchNumber,
    FeatureAugmentation,
    WindowAugmentation,
)
from speechcmd.training.batch import Batch
from speechcmd.training.settings.config import AugmentConfig

EVERYTHING = AugmentConfig(
    speed_percent=10.0, room_percent=100.0, noise_percent=100.0, neighbour_percent=50.0, tilt_db=6.0,
    image_percent=100.0, warp_percent=10.0, narrow_percent=50.0,
)  # fmt: skip
WIDE = FrontEndConfig().with_bands(48)
N_FRAMES, N_CLIPS = 50, 4
AT = BatchNumber(1, 2)


class Hiss:
    """Recordings of nothing but noise."""

    has_audio = has_any = True

    def waveforms(self, n_drawn: int, rng: np.random.Generator) -> Tensor:
        return torch.full((n_drawn, WIDE.n_samples(N_FRAMES)), 0.01)

    def log_mel(self, n_drawn: int, n_frames: int, rng: np.random.Generator) -> Tensor:
        return torch.full((n_drawn, n_frames, WIDE.n_mels), -4.0)


def names_on_the_page() -> list[str]:
    """What stands at the beginning of the lines of the list, "front end" for the line between them."""
    lines = re.findall(r"^    (?:(\w+) +\S|-+ the (front end))", pipeline.__doc__ or "", re.MULTILINE)
    return ["".join(line) for line in lines]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what was done, in its order."""
    done: list[str] = []

    def note(module: ModuleType, function: str, name: str) -> None:
        original: Callable[..., Any] = getattr(module, function)

        def noted(*given: Any, **named: Any) -> Any:
            done.append(name)
            return original(*given, **named)

        monkeypatch.setattr(module, function, noted)

    note(waveforms, "resample_windows", "speed")
    note(waveforms, "convolve_rooms", "room")
    note(waveforms, "noise_scale", "noise")
    note(features, "change_speed", "speed")
    note(features, "shift_level", "gain")
    note(features, "smear_room", "room")
    note(features, "mix_log_mel_noise", "noise")
    note(pipeline, "put_beside", "neighbour")
    note(features, "tilt_bands", "tilt")
    note(pipeline, "through_image", "image")
    note(features, "warp_bands", "warp")
    note(features, "cut_bands", "narrow")
    note(features, "spec_augment", "masks")
    return done


def windows_of(config: AugmentConfig) -> WindowAugmentation:
    n_samples = WIDE.n_samples(N_FRAMES)
    return WindowAugmentation(config, 0, WIDE, n_samples, n_samples, torch.device("cpu"))


def test_windows_are_changed_in_the_order_of_the_page(seen: list[str]) -> None:
    augmentation, background = windows_of(EVERYTHING), Background(Hiss(), Hiss())
    speed = np.full(N_CLIPS, 1.05, np.float32)
    audio = torch.rand(N_CLIPS, augmentation.n_longer_samples)
    assert augmentation.change_audio(audio, speed, background, AT).shape == (
        N_CLIPS,
        WIDE.n_samples(N_FRAMES),
    )
    before = names_on_the_page()[: names_on_the_page().index("front end")]
    assert ["place", "gain", *seen] == before  # the gain is that of the cut
    seen.clear()
    log_mel = torch.rand(N_CLIPS, augmentation.n_longer_frames, WIDE.n_mels) - 5
    gain = np.full(N_CLIPS, 0.5, np.float32)
    changed = augmentation.change_frames(log_mel, speed, gain, background, AT)
    assert changed.shape == (N_CLIPS, N_FRAMES, WIDE.n_mels)
    # of stored log-mel speed and gain are exchanged, which changes nothing: a gain is the same for all frames
    assert sorted(seen) == sorted(before[1:])
    assert seen[-2:] == before[-2:]


def batch_of() -> Batch:
    spans = torch.tensor([[10.0, 20.0]] * N_CLIPS)
    nothing = np.zeros(N_CLIPS, np.bool_)
    labels = torch.zeros(N_CLIPS, dtype=torch.int64)
    return Batch(torch.zeros(0, 1), torch.zeros(0), labels, nothing, nothing, spans, *AT)


def test_features_are_changed_in_the_order_of_the_page(seen: list[str]) -> None:
    augmentation = FeatureAugmentation(EVERYTHING, 0, WIDE, N_FRAMES)
    log_mel = torch.rand(N_CLIPS, N_FRAMES, WIDE.n_mels) - 5
    changed, neighbours = augmentation.change(log_mel, batch_of(), torch.zeros(WIDE.n_mels))
    assert changed.shape == log_mel.shape
    assert neighbours.shape == (N_CLIPS, 2)
    names = names_on_the_page()
    assert seen == names[names.index("front end") + 1 :]


def test_what_is_off_changes_nothing() -> None:
    off, background = AugmentConfig.off(), Background(Hiss(), Hiss())
    still = np.ones(N_CLIPS, np.float32)
    audio = torch.rand(N_CLIPS, WIDE.n_samples(N_FRAMES))
    log_mel = torch.rand(N_CLIPS, N_FRAMES, WIDE.n_mels) - 5
    assert torch.equal(windows_of(off).change_audio(audio.clone(), still, background, AT), audio)
    assert torch.equal(windows_of(off).change_frames(log_mel.clone(), still, still, background, AT), log_mel)
    changed, neighbours = FeatureAugmentation(off, 0, WIDE, N_FRAMES).change(
        log_mel.clone(), batch_of(), torch.zeros(WIDE.n_mels)
    )
    assert torch.equal(changed, log_mel)
    assert neighbours.isnan().all()
