"""Learning from a larger run: in its own window, towards its answers, and exactly resumed."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from run_checks import assert_same_run, failure, metrics_of
from torch import Tensor
from toy_features import toy_images
from toy_run import PLAIN, WORDS, temporary_folder, toy_config, toy_run, toy_store

from models.network import KeywordNetwork
from models.registry import create_model
from speechcmd.training.batch import log_mel_of
from speechcmd.training.loop.checkpoint import BEST, load_checkpoint, save_checkpoint
from speechcmd.training.loop.run_folder import RunFolder
from speechcmd.training.loop.teacher import Teacher, load_teacher
from speechcmd.training.loop.trained_network import take_weights
from speechcmd.training.loop.trainer import BatchReport, Trainer
from speechcmd.training.settings.config import TrainConfig

LABELS = (*WORDS, "_unknown_", "_silence_")


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunFolder, "draw_curves", lambda self: None)


@functools.cache
def teacher_run() -> Path:
    """A teacher with a window of 0.8 s; students here have the mean, about half of it."""
    folder = temporary_folder() / "teacher"
    Trainer(toy_store(), toy_config("mlp", length="0.8"), folder).fit(lambda report: None)
    return folder


def student_config(architecture: str = "mlp", **changes: object) -> TrainConfig:
    return toy_config(architecture, unknown="0", teacher=str(teacher_run()), **changes)


def test_student_and_teacher_hear_their_own_windows(tmp_path: Path) -> None:
    trainer = Trainer([toy_images(), toy_store()], student_config("lstm", augment=PLAIN), tmp_path)
    teacher = trainer.loss._teachers[0].network
    assert teacher.window_frames == trainer.loss.window_frames > trainer.network.window_frames + 10
    assert not teacher.training
    batch = next(iter(trainer.data.train_batches))
    log_mel = log_mel_of(trainer.network, batch)
    assert log_mel.shape[1] == teacher.window_frames
    # what the student hears is the middle of it: the window that it has without a teacher
    alone = Trainer(
        [toy_images(), toy_store()], toy_config("lstm", unknown="0", augment=PLAIN), tmp_path / "b"
    )
    other = next(iter(alone.data.train_batches))
    assert torch.equal(batch.labels, other.labels)
    n_before = (log_mel.shape[1] - trainer.network.window_frames) // 2
    heard = log_mel[:, n_before : n_before + trainer.network.window_frames]
    expected = log_mel_of(alone.network, other)
    assert heard.shape == expected.shape
    same = ((heard - expected).abs() < 1e-4).all(dim=2)
    assert 0.8 < float(same.float().mean()) < 1  # the ends of short clips are filled with other noise
    assert bool(same[:, 10:-10].all())
    # so is what the normalisation is learnt from
    plain = [log_mel_of(each.network, next(iter(each.data.plain_batches))) for each in (trainer, alone)]
    assert torch.equal(*plain)
    # validation is in the student's own window
    validated = next(iter(trainer.data.validation_batches))
    assert log_mel_of(trainer.network, validated).shape[1] == trainer.network.window_frames


def test_a_student_comes_to_answer_as_its_teacher(tmp_path: Path) -> None:
    config = student_config(
        teacher_weight=1.0, augment=PLAIN, epochs=8, schedule="constant", learning_rate=0.02
    )
    losses = []
    trainer = Trainer(toy_store(), config, tmp_path)
    before = [parameter.clone() for parameter in trainer.loss._teachers[0].network.state_dict().values()]
    trainer.fit(lambda seen: losses.append(seen.loss) if isinstance(seen, BatchReport) else None)
    assert np.mean(losses[-3:]) < 0.4 * losses[0]
    assert losses[-1] > 0  # a divergence
    for old, new in zip(before, trainer.loss._teachers[0].network.state_dict().values(), strict=True):
        assert torch.equal(old, new)  # who teaches does not learn
    best = load_checkpoint(tmp_path / BEST)["network"]
    assert best.keys() == trainer.network.state_dict().keys()  # and is not kept in the student's files


def test_resume_with_a_teacher_is_exact(tmp_path: Path) -> None:
    config = student_config("tc_resnet")
    Trainer(toy_store(), config, tmp_path / "whole").fit(lambda report: None)

    def stop(seen: object) -> None:
        if isinstance(seen, BatchReport) and (seen.epoch, seen.batch) == (1, 2):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        Trainer(toy_store(), config, tmp_path / "parts").fit(stop)
    Trainer(toy_store(), config, tmp_path / "parts", resume=True).fit(lambda report: None)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    assert len(metrics_of(tmp_path / "parts")) == 2


def test_who_cannot_teach_is_refused(tmp_path: Path) -> None:
    assert load_teacher(teacher_run(), LABELS, "").network.window_frames > 40
    message = failure(lambda: load_teacher(teacher_run(), ("yes", "no", "go", *LABELS[2:]), ""))
    assert message.endswith(
        "expected a teacher for yes, no, go, _unknown_, _silence_, got one without yes, go"
    )
    config = toy_config("mlp", teacher=str(tmp_path / "none"))
    message = failure(lambda: Trainer(toy_store(), config, tmp_path / "run"))
    assert "no such checkpoint; expected the folder of a training run" in message
    assert not (tmp_path / "run").exists()
    state = load_checkpoint(teacher_run() / BEST)
    (tmp_path / "changed").mkdir()
    broken = {name: value for name, value in state["network"].items() if name != "head.bias"}
    save_checkpoint(tmp_path / "changed" / BEST, {**state, "network": broken})
    message = failure(lambda: load_teacher(tmp_path / "changed", LABELS, ""))
    assert "do not fit the Mlp of this version; use the version that trained it" in message


@pytest.mark.parametrize("name", ["teacher", "initial"])
def test_a_run_of_another_fold_is_refused(tmp_path: Path, name: str) -> None:
    """It has heard the speakers of this validation, or some of them."""
    other = tmp_path / "other"
    fold_of_run(other, "1/2")
    for fold in ("", "2/2"):
        config = toy_config("mlp", length="0.8", fold=fold, **{name: str(other)})
        message = failure(functools.partial(Trainer, toy_store(), config, tmp_path / "run"))
        assert message.startswith(f"{other}: expected a run with fold = '{fold}', got one with fold = '1/2'")
    config = toy_config("mlp", length="0.8", fold="1/2", **{name: str(other)})
    Trainer(toy_store(), config, tmp_path / "run")
    fold_of_run(other, "")
    message = failure(lambda: Trainer(toy_store(), config, tmp_path / "run"))
    assert "expected a run with fold = '1/2', got one with fold = ''" in message


def fold_of_run(run: Path, fold: str) -> None:
    """The teacher in another folder, as if that was its fold."""
    run.mkdir(exist_ok=True)
    state = load_checkpoint(teacher_run() / BEST)
    config = replace(TrainConfig.from_json(state["config"]), fold=fold)
    save_checkpoint(run / BEST, {**state, "config": config.to_json()})


# --- other words


class Saying(KeywordNetwork):
    """Gives the scores that are put in as frames."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)

    def classify(self, log_mel: Tensor) -> Tensor:
        return log_mel.log() + 5  # a constant is no answer


def test_words_that_the_student_has_not_are_its_unknown() -> None:
    own = ("go", "no", "_unknown_", "up", "_silence_")
    scores = torch.tensor([[[0.1, 0.2, 0.3, 0.15, 0.25], [0.6, 0.1, 0.1, 0.1, 0.1]]])  # two answers
    teacher = Teacher(Saying(), own, ("up", "no", "_unknown_", "_silence_"))
    answers = teacher.answer(scores).softmax(dim=2)
    expected = [[0.15, 0.2, 0.1 + 0.3, 0.25], [0.1, 0.1, 0.6 + 0.1, 0.1]]
    assert torch.allclose(answers, torch.tensor([expected]), atol=1e-6)


@pytest.mark.parametrize("asked", list(itertools.permutations(("go", "no", "up"))))
def test_labels_in_another_order(asked: tuple[str, ...]) -> None:
    own = ("go", "no", "up", "_unknown_", "_silence_")
    scores = torch.tensor([[[0.1, 0.2, 0.3, 0.15, 0.25]]])
    answers = Teacher(Saying(), own, (*asked, *own[3:])).answer(scores).softmax(dim=2)[0, 0]
    expected = [{"go": 0.1, "no": 0.2, "up": 0.3}[word] for word in asked] + [0.15, 0.25]
    assert torch.allclose(answers, torch.tensor(expected), atol=1e-6)


def test_a_teacher_of_more_words_teaches(tmp_path: Path) -> None:
    config = replace(student_config(), words=("up",), teacher=str(teacher_run()), epochs=1)
    Trainer(toy_store(), config, tmp_path / "run").fit(lambda report: None)
    assert load_checkpoint(tmp_path / "run" / BEST)["labels"] == ["up", "_unknown_", "_silence_"]


@pytest.mark.parametrize("words", [("up", "no"), ("up", "bird"), ("zero", "no", "bird"), ("up",)])
def test_to_begin_with_takes_the_labels_that_both_have(words: tuple[str, ...]) -> None:
    begun = load_checkpoint(toy_run("mlp") / BEST)
    labels = (*words, "_unknown_", "_silence_")
    config = toy_config("mlp", words=words, initial=str(toy_run("mlp")))
    torch.manual_seed(5)
    network = create_model("mlp", len(labels), begun["n_samples"], **config.model)
    fresh = {name: value.clone() for name, value in network.state_dict().items()}
    take_weights(network, config, labels)
    taken = network.state_dict()
    for name, value in begun["network"].items():
        if not name.startswith("head."):
            assert torch.equal(taken[name], value), name
            continue
        for place, label in enumerate(labels):
            is_known = label in begun["labels"]
            expected = value[begun["labels"].index(label)] if is_known else fresh[name][place]
            assert torch.equal(taken[name][place], expected), (name, label)
    assert not torch.equal(taken["head.weight"], fresh["head.weight"])


@pytest.fixture
def cnn_run(no_pictures: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that others look at too: with its picture."""
    monkeypatch.undo()
    return toy_run("cnn")


def test_to_begin_with_may_have_another_window(cnn_run: Path) -> None:
    labels = tuple(load_checkpoint(cnn_run / BEST)["labels"])
    config = toy_config("cnn", initial=str(cnn_run))
    longer = create_model("cnn", len(labels), 32_000, **config.model)
    take_weights(longer, config, labels)
    begun = load_checkpoint(cnn_run / BEST)
    assert longer.window_samples > begun["n_samples"]
    assert all(torch.equal(value, begun["network"][name]) for name, value in longer.state_dict().items())


@pytest.mark.parametrize(
    ("name", "settings"),
    [("mlp", {}), ("cnn", {"width": 12}), ("cnn", {"dilations": [1, 1, 1, 1, 1]}), ("gru", {})],
)
def test_to_begin_with_must_fit(cnn_run: Path, name: str, settings: dict[str, Any]) -> None:
    """Another length of window, width, number of blocks, architecture."""
    run = cnn_run if name == "cnn" else toy_run("mlp")
    labels = tuple(load_checkpoint(run / BEST)["labels"])
    config = toy_config(name, initial=str(run))
    other = create_model(name, len(labels), 32_000, **{**config.model, **settings})
    message = failure(lambda: take_weights(other, config, labels))
    assert "expected a run of the same network with some of the same words" in message


@pytest.mark.parametrize("name", ["head.bias", "mel_mean"])
def test_a_run_without_some_weight_is_one_line(tmp_path: Path, name: str) -> None:
    state = load_checkpoint(toy_run("mlp") / BEST)
    kept = {key: value for key, value in state["network"].items() if key != name}
    save_checkpoint(tmp_path / BEST, {**state, "network": kept})
    config = toy_config("mlp", initial=str(tmp_path))
    message = failure(lambda: Trainer(toy_store(), config, tmp_path / "run"))
    assert "expected a run of the same network with some of the same words" in message


def test_resume_with_a_teacher_that_has_changed_is_refused(tmp_path: Path) -> None:
    teacher, run = tmp_path / "teacher", tmp_path / "run"
    fold_of_run(teacher, "")
    config = replace(student_config(epochs=1), teacher=str(teacher))
    Trainer(toy_store(), config, run).fit(lambda report: None)
    Trainer(toy_store(), config, run, resume=True)
    state = load_checkpoint(teacher / BEST)
    state["network"]["head.bias"][0] += 1
    save_checkpoint(teacher / BEST, state)
    message = failure(lambda: Trainer(toy_store(), config, run, resume=True))
    assert f"the best network of {teacher} is another than when the run was begun" in message
