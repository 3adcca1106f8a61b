"""Shifted labels: what was taken from a label's logits is given back, and clips are answered better."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from run_checks import failure
from toy_run import toy_run

from models.network import KeywordNetwork
from speechcmd.cli.main import cli
from speechcmd.errors import ExportError
from speechcmd.runtime.model.model_file import load_model_file
from speechcmd.training.export import onnx_export as export
from speechcmd.training.export.label_balance import balance_labels, fit_shift
from speechcmd.training.loop.checkpoint import BEST, load_checkpoint
from speechcmd.training.loop.trained_network import load_network
from speechcmd.training.settings.config import TrainConfig


def drawn_answers(n_clips: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of four labels, and labels drawn from just these scores."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n_clips, 4, generator=generator)
    return logits, torch.multinomial(logits.softmax(dim=1), 1, generator=generator).squeeze(1)


@pytest.mark.parametrize("scale", [1.0, 0.4, 3.0])
def test_what_was_taken_is_given_back(scale: float) -> None:
    """Whatever the temperature; all labels alike is no shift."""
    logits, labels = drawn_answers(20_000)
    taken = torch.tensor([0.0, -1.5, 0.5, 1.0])
    shift = fit_shift(scale * (logits - taken), labels)
    given = (shift - shift.mean()) / scale
    assert given.tolist() == pytest.approx((taken - taken.mean()).tolist(), abs=0.06)  # 20,000 clips: 0.02


def test_nothing_is_given_where_nothing_was_taken() -> None:
    logits, labels = drawn_answers(20_000, seed=1)
    assert float(fit_shift(logits, labels).abs().max()) < 0.06


def test_a_label_without_clips_stays() -> None:
    logits, labels = drawn_answers(4_000)
    is_heard = labels != 2
    shift = fit_shift(logits[is_heard] + torch.tensor([1.0, 0.0, 0.0, 0.0]), labels[is_heard])
    assert float(shift[2]) == 0.0
    assert float(shift[0] - shift[1]) == pytest.approx(-1.0, abs=0.1)


def spoilt_network(run: Path) -> tuple[KeywordNetwork, TrainConfig]:
    """The best network of a run, but that it says `_unknown_` to nearly everything."""
    state = load_checkpoint(run / BEST)
    network = load_network(state)
    with torch.no_grad():
        network.head.bias[-2] += 5.0
    return network, TrainConfig.from_json(state["config"])


def test_clips_of_a_run_are_answered_again() -> None:
    network, config = spoilt_network(toy_run("cnn"))
    bias = network.head.bias.detach().clone()
    report = balance_labels(network, toy_run("cnn"), config)
    assert report.after > report.before + 10
    assert report.n_clips > 10
    assert float((network.head.bias.detach() - bias)[-2]) < -1
    assert balance_labels(network, toy_run("cnn"), config).before == pytest.approx(report.after)


def test_export_converts_the_balanced_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[torch.Tensor] = []

    def remember(network: KeywordNetwork) -> None:
        heard.append(network.head.bias.detach().clone())
        raise ExportError("enough")

    monkeypatch.setattr(export, "convert", remember)
    for balance in (False, True):
        config = export.ExportConfig(balance=balance)
        assert (
            failure(lambda config=config: export.export_run(toy_run("cnn"), tmp_path / "m.onnx", config))
            == "enough"
        )  # type: ignore[misc]
    plain = load_network(load_checkpoint(toy_run("cnn") / BEST)).head.bias
    assert torch.equal(heard[0], plain)
    assert not torch.equal(heard[1], plain)
    result = CliRunner().invoke(
        cli, ["export", str(toy_run("cnn")), "-o", str(tmp_path / "m.onnx"), "--balance"]
    )
    assert result.exit_code == 1
    assert torch.equal(heard[2], heard[1])


def test_the_file_says_that_it_was_balanced(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        cli, ["export", str(toy_run("cnn")), "-o", str(tmp_path / "m.onnx"), "--balance"]
    )
    training = load_model_file(str(tmp_path / "m.onnx"))[1].training["balance"]
    before, after, n_clips = (training[name] for name in ("before", "after", "n_clips"))
    assert f"{before:.2f} -> {after:.2f} % of the {n_clips} validation clips that it was" in result.output
