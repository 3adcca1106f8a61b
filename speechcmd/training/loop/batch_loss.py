"""The loss of a batch as a module: augmented features, network, what its answers should have been."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.network import KeywordNetwork
from speechcmd.labels import NEVER_FIRE, UNKNOWN
from speechcmd.training.augment.pipeline import FeatureAugmentation
from speechcmd.training.augment.upper_bands import UpperBands
from speechcmd.training.batch import Batch, log_mel_of
from speechcmd.training.counter_random import generator_for, torch_seed_for
from speechcmd.training.loop.loss import answer_losses, distillation, draw_mixture, soft_targets, weight_size
from speechcmd.training.loop.targets import AnswerTargets, label_targets, leave_to_neighbours, make_targets
from speechcmd.training.loop.teacher import Teacher
from speechcmd.training.settings.config import TrainConfig


class BatchLoss(nn.Module):
    """Wraps a network so that one `forward` gives the loss: what a distributed wrapper needs.

    `weights`: of each label's clips, (n_labels,). A `teacher` hears the same clips, in its own window.
    `upper` estimates bands that images do not have, where the network hears such.
    """

    weights: Tensor
    no_words: Tensor

    def __init__(
        self,
        network: KeywordNetwork,
        config: TrainConfig,
        weights: Tensor | None = None,
        teacher: Teacher | None = None,
        upper: UpperBands | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self._config = config
        self._augmentation = FeatureAugmentation(
            config.augment, config.seed, network.frontend.config, network.window_frames, upper
        )
        n_labels = network.head.out_features
        self.register_buffer(
            "weights", torch.ones(n_labels) if weights is None else weights, persistent=False
        )
        labels = config.task.labels
        self._unknown = labels.index(UNKNOWN)
        no_words = [number for number, label in enumerate(labels) if label in NEVER_FIRE]
        self.register_buffer("no_words", torch.tensor(no_words), persistent=False)
        # in a list: the teacher's parameters are not the student's
        self._teachers = [] if teacher is None else [teacher]

    @property
    def window_frames(self) -> int:
        """Frames of a batch: what our own answers span is its middle, and every teacher hears its part."""
        first, last = zip(*(self._part_of(*hearer) for hearer in self._hearers()), strict=True)
        own = self._span_frames
        beyond: int = max(-min(first), max(last) - own)
        return own + 2 * beyond

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Loss and the number of right answers, both ()."""
        config = self._config
        torch.manual_seed(torch_seed_for("dropout", config.seed, batch.epoch, batch.number))
        with torch.no_grad():
            log_mel, neighbours = self.make_features(batch)
            asked = self._asked_of(batch, neighbours, log_mel.shape[1])
            mixing = generator_for("mixup", config.seed, batch.epoch, batch.number)
            mixture = draw_mixture(config.mixup, len(log_mel), log_mel.device, mixing)
            targets = soft_targets(batch.labels, len(self.weights), config.label_smoothing)
            targets = targets * self.weights[batch.labels].unsqueeze(1)
            if mixture is not None:
                log_mel, targets = mixture.mix(log_mel), mixture.mix(targets)
        logits = self.network.classify(self._cut(log_mel, self.network, self._every)).float()
        loss = answer_losses(logits, targets, asked, self.no_words, config.focal)
        for teacher in self._teachers:
            steps = self._steps_of(teacher.network)
            with torch.no_grad():
                answers = teacher.answer(self._cut(log_mel, teacher.network, steps, self._later(teacher)))
            own = logits[:, steps.start : steps.stop]
            learnt = distillation(own.flatten(0, 1), answers.flatten(0, 1), config.teacher_temperature)
            loss = (1 - config.teacher_weight) * loss + config.teacher_weight * learnt
        if config.l1:
            loss = loss + config.l1 * weight_size(self.network)
        return loss, _count_right(logits, asked, batch.labels, self.no_words)

    def make_features(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Augmented log-mel of the whole batch, and the spans of words that were put beside its own.

        Shape: (batch, n_frames, n_mels), (batch, 2).
        """
        return self._augmentation.change(log_mel_of(self.network, batch), batch, self.network.mel_mean)

    def _asked_of(self, batch: Batch, neighbours: Tensor, n_frames: int) -> AnswerTargets:
        network, n_steps = self.network, self._config.n_steps
        n_before = (n_frames - self._span_frames) // 2
        spans, frames = batch.spans - n_before, (network.step_frames, network.window_frames)
        if n_steps == 1 and not self._config.augment.half_seen_percent:
            asked = label_targets(batch.labels)  # windows are placed so that words are in view
        else:
            is_unknown = batch.labels == self._unknown
            asked = make_targets(spans, is_unknown, n_steps, *frames)
        return leave_to_neighbours(asked, spans, neighbours - n_before, *frames)

    @property
    def _every(self) -> range:
        return range(self._config.n_steps)

    @property
    def _span_frames(self) -> int:
        """Frames that the network's own answers span."""
        return self.network.window_frames + (self._config.n_steps - 1) * self.network.step_frames

    def _steps_of(self, network: KeywordNetwork) -> range:
        """The answers that are learnt from a teacher: one where each costs it a whole window."""
        if network.kind == "sliding" and network.step_frames == self.network.step_frames:
            return self._every
        middle = self._config.n_steps // 2
        return range(middle, middle + 1)

    def _hearers(self) -> list[tuple[KeywordNetwork, range, int]]:
        teachers = [
            (teacher.network, self._steps_of(teacher.network), self._later(teacher))
            for teacher in self._teachers
        ]
        return [(self.network, self._every, 0), *teachers]

    def _later(self, teacher: Teacher) -> int:
        """Frames by which a teacher's window lies later, to have words where it knows them."""
        frontend = self.network.frontend.config
        hop_ms = 1_000 * frontend.hop_length / frontend.sample_rate
        return round((self._config.augment.late_ms - teacher.late_ms) / hop_ms)

    def _part_of(self, network: KeywordNetwork, steps: range, later: int = 0) -> tuple[int, int]:
        """First and last frame of what a network hears, counted from the first that our own does."""
        own = self.network
        first = steps.start * own.step_frames + (own.window_frames - network.window_frames) // 2 + later
        return first, first + network.window_frames + (len(steps) - 1) * own.step_frames

    def _cut(self, log_mel: Tensor, network: KeywordNetwork, steps: range, later: int = 0) -> Tensor:
        first, last = self._part_of(network, steps, later)
        n_before = (log_mel.shape[1] - self._span_frames) // 2
        # a teacher may hear fewer bands
        return log_mel[:, n_before + first : n_before + last, : network.frontend.config.n_mels]


def _count_right(logits: Tensor, asked: AnswerTargets, labels: Tensor, no_words: Tensor) -> Tensor:
    """Clips of which the middle answer is what was asked for: the label, or that it is no word yet. ()."""
    middle = logits.shape[1] // 2
    answer = logits[:, middle].argmax(dim=1)
    is_no_word = torch.isin(answer, no_words)
    return torch.where(asked.no_word[:, middle], is_no_word, answer == labels).sum()
