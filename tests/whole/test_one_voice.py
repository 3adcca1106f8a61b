"""One person's clips, named as a recorder names them: through prepare and train by the real commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from clip_corpus import hiss, tone, write_wav

from data_prep.store import Store
from speechcmd.cli.main import cli

NOTE = "note: one voice (the names of the files tell no speakers apart), in training and in tests alike"
TINY = (
    "--model",
    "channels=[4,4,4]",
    "--model",
    "width=8",
    "--model",
    "dilations=[1,1]",
    "--batch-size",
    "4",
)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    for word, hz, name in (("lamp", 500.0, "lamp-{:03d}"), ("radio, off", 2_000.0, "New Recording {}")):
        for take in range(1, 7):
            write_wav(tmp_path / "clips" / word / f"{name.format(take)}.wav", tone(hz, seed=take))
    write_wav(tmp_path / "clips" / "noise" / "fan.wav", hiss(3.0, 0))
    return tmp_path / "clips"


def test_one_voice_is_prepared_and_trained_and_it_is_said(clips: Path, tmp_path: Path) -> None:
    store, folder = tmp_path / "store", tmp_path / "run"
    prepared = run("prepare", clips, "--store", store, "--workers", "1")
    assert prepared.exit_code == 0, prepared.output
    assert NOTE in prepared.stdout
    assert "note: no clips of other words" in prepared.stdout
    assert "note: noise: taken as background noise" in prepared.stdout
    assert "error:" not in prepared.output
    rows = Store.open(store).rows
    assert {row.split for row in rows if row.word == "lamp"} == {"training", "validation", "testing"}

    without = run("train", store, "--run", folder)
    assert without.exit_code == 1
    assert """choose with --words 'lamp,"radio, off"'""" in without.stderr

    words = ("--words", 'lamp,"radio, off"')
    trained = run("train", store, "--run", folder, *words, "--epochs", "1", "--device", "cpu", *TINY)
    assert trained.exit_code == 0, trained.output
    assert NOTE in trained.stderr
    assert "training with the shipped negatives" in trained.stderr
    model = tmp_path / "own.onnx"
    exported = run("export", folder, "-o", model, "--balance")  # which looks for the data of the training
    assert exported.exit_code == 0, exported.output
    assert "LibriSpeech" in run("info", "-m", model).stdout
    assert json.loads((folder / "run.json").read_text())["voices"].startswith("one voice")


def test_a_word_that_nothing_validates_is_named(clips: Path, tmp_path: Path) -> None:
    write_wav(clips / "once" / "once.wav", tone(1_100.0))
    assert run("prepare", clips, "--store", tmp_path / "store", "--workers", "1").exit_code == 0
    trained = run(
        "train", tmp_path / "store", "--run", tmp_path / "run", "--words", "lamp,once", "--epochs", "1",
        "--device", "cpu", *TINY,
    )  # fmt: skip
    assert trained.exit_code == 0, trained.output
    assert "note: no validation clip of once: how well it is learnt is not measured" in trained.stderr
