"""What every architecture has in common: the contract between training, export and runtime."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from models.frontend import FrontEndConfig, LogMel


class KeywordNetwork(nn.Module):
    """A network that hears a window of `window_frames` and answers every `step_frames`.

    `forward(waveform) = classify(features(waveform))`. For any long signal `logits(long)[k]` equals
    the logits of the window that begins k steps later. A subclass sets `kind` and `step_frames`,
    and gives `embed`.

    `kind` is "sliding" if a long recording costs one pass (no padding along time), "windowed" if
    the network unfolds windows itself. Nothing outside needs to know which.
    """

    kind: str
    step_frames: ClassVar[int]
    mel_mean: Tensor
    mel_deviation: Tensor

    def __init__(
        self, n_labels: int, window_frames: int, n_features: int, dropout: float, frontend: FrontEndConfig
    ) -> None:
        super().__init__()
        self.window_frames = window_frames
        self.frontend = LogMel(frontend)
        # learnt on the training split by `set_normalisation`, then fixed
        self.register_buffer("mel_mean", torch.zeros(frontend.n_mels))
        self.register_buffer("mel_deviation", torch.ones(frontend.n_mels))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(n_features, n_labels)

    @property
    def window_samples(self) -> int:
        """Samples of one model input."""
        return self.frontend.config.n_samples(self.window_frames)

    @property
    def step_samples(self) -> int:
        """Samples between two outputs."""
        return self.step_frames * self.frontend.config.hop_length

    @classmethod
    def fit_window(cls, n_frames: int, **settings: Any) -> int:
        """The window nearest to `n_frames` that the architecture can take with `settings`, in frames."""
        raise NotImplementedError

    def features(self, waveform: Tensor) -> Tensor:
        """Raw log-mel. Shape: (batch, n_samples) -> (batch, n_frames, n_mels)."""
        log_mel: Tensor = self.frontend(waveform)
        return log_mel

    def embed(self, normalised: Tensor) -> Tensor:
        """Features of each step. Shape: (batch, n_frames, n_mels) -> (batch, n_steps, n_features)."""
        raise NotImplementedError

    def embedding(self, log_mel: Tensor) -> Tensor:
        """Normalise each band and embed. Shape as `embed`."""
        return self.embed((log_mel - self.mel_mean) / self.mel_deviation)

    def classify(self, log_mel: Tensor) -> Tensor:
        """Logits. Shape: (batch, n_frames, n_mels) -> (batch, n_steps, n_labels)."""
        logits: Tensor = self.head(self.dropout(self.embedding(log_mel)))
        return logits

    def for_export(self) -> KeywordNetwork:
        """The same function in the form that a model file holds: what a runtime computes cheapest.

        A subclass whose training form is another one gives it here, with the weights of this one.
        """
        return self

    def forward(self, waveform: Tensor) -> Tensor:
        """Logits of every window. Shape: (batch, n_samples) -> (batch, n_steps, n_labels)."""
        return self.classify(self.features(waveform))

    @torch.no_grad()
    def set_normalisation(self, mean: Tensor, deviation: Tensor) -> None:
        """Fix the mean and deviation of each band. Shape: (n_mels,) each."""
        self.mel_mean.copy_(mean)
        self.mel_deviation.copy_(deviation.clamp_min(1e-2))

    def count_parameters(self) -> int:
        """Trained values with batch-norm statistics, without DFT, mel and normalisation constants."""
        constants = {"mel_mean", "mel_deviation"}
        return sum(
            value.numel()
            for name, value in self.state_dict().items()
            if name not in constants and not name.endswith("num_batches_tracked")
        )


def unfold_windows(sequence: Tensor, n_frames: int, step_frames: int = 1) -> Tensor:
    """Every window of `n_frames` frames, one each `step_frames`, as a batch of its own.

    Gathered by index, which exports with free batch and length.
    Shape: (batch, n_total, n_features) -> (batch, n_steps, n_frames, n_features).
    """
    n_steps = (sequence.shape[1] - n_frames) // step_frames + 1
    first = torch.arange(n_steps, device=sequence.device) * step_frames
    within = torch.arange(n_frames, device=sequence.device)
    chosen = (first.unsqueeze(1) + within).flatten()
    # not sequence[:, chosen]: the gradient of that one is slow on CPU
    return sequence.index_select(1, chosen).reshape(sequence.shape[0], -1, n_frames, sequence.shape[2])


def nearest_on_grid(n_frames: int, smallest: int, step: int) -> int:
    """The value of smallest + k * step nearest to `n_frames`, k >= 0."""
    return smallest + max(0, round((n_frames - smallest) / step)) * step
