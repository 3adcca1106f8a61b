"""`speechcmd evaluate --robustness` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from fakes import tone_recording, toy_model

from speechcmd.cli.main import cli
from speechcmd.evaluation.report.results import to_plain
from speechcmd.evaluation.robustness import evaluate_robustness
from speechcmd.evaluation.robustness.condition import Condition, make_conditions
from speechcmd.evaluation.robustness.evaluate_robustness import MOST_CLIPS
from speechcmd.evaluation.robustness.robustness_result import RobustnessResult

RATE = 16_000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "toy.onnx"
    path.write_bytes(toy_model())
    return path


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two words of two speakers in the official layout, all of the testing split."""
    folder = tmp_path_factory.mktemp("clips")
    names = []
    for word in ("low", "high", "other"):
        (folder / word).mkdir()
        for speaker in ("aaaaaaaa", "bbbbbbbb"):
            names.append(f"{word}/{speaker}_nohash_0.wav")
            soundfile.write(
                folder / names[-1], tone_recording([("high" if word == "high" else "low", 0.3)], 0.9), RATE
            )
    (folder / "testing_list.txt").write_text("\n".join(names) + "\n")
    (folder / "validation_list.txt").write_text("")
    (folder / "_background_noise_").mkdir()
    noise = 0.01 * np.random.default_rng(0).standard_normal(2 * RATE)
    soundfile.write(folder / "_background_noise_" / "hiss.wav", noise, RATE)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["evaluate", *map(str, arguments)])


def run_json(*arguments: object) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture
def first_condition_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def make_first(*arguments: Any, **settings: Any) -> list[Condition]:
        return make_conditions(*arguments, **settings)[:1]

    monkeypatch.setattr(evaluate_robustness, "make_conditions", make_first)


def test_text_of_all_conditions(clips: Path, model: Path) -> None:
    result = run(clips, "-m", model, "--robustness", "--limit", 1)
    assert result.exit_code == 0, result.output
    assert "noise: white" in result.stdout
    assert "coding: G.711" in result.stdout
    assert "1 of " in result.stdout


@pytest.mark.usefixtures("first_condition_only")
def test_json(clips: Path, model: Path) -> None:
    found = run_json(clips, "-m", model, "--robustness", "--limit", 2, "--seed", 5)
    assert found["kind"] == "robustness"
    assert found["drawn"]["n_clips"] == 2
    assert found["drawn"]["seed"] == 5
    assert found["source"]["split"] == "testing"


def test_given_noise_and_responses(clips: Path, model: Path, tmp_path: Path) -> None:
    room = tmp_path / "rooms" / "hall.wav"
    room.parent.mkdir()
    soundfile.write(room, np.float32([0, 1, 0, 0.5]), RATE)
    noise = clips / "_background_noise_"
    arguments = ("--noise", noise, "--noise", noise / "hiss.wav", "--impulse-response", room.parent)
    found = run_json(clips, "-m", model, "--robustness", "--limit", 1, *arguments)
    names = [condition["name"] for condition in found["conditions"]]
    assert names[:2] == ["noise: _background_noise_", "noise: hiss"]
    assert "reverberation: hall" in names
    assert not {"noise: white", "reverberation"} & set(names)


@pytest.mark.usefixtures("first_condition_only")
def test_a_report(clips: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_report(
        folder: Path, result: RobustnessResult, sounds: list[Any], _: object, **__: object
    ) -> Path:
        assert not sounds
        folder.mkdir(exist_ok=True)
        (folder / "robustness.json").write_text(json.dumps(to_plain(result)), encoding="utf-8")
        return folder / "report.html"

    monkeypatch.setattr("speechcmd.evaluation.report.report_folder.write_report", write_report)
    found = run(clips, "-m", model, "--robustness", "--limit", 1, "--report", tmp_path / "report", "--json")
    assert found.exit_code == 0, found.output
    saved = json.loads((tmp_path / "report" / "robustness.json").read_text(encoding="utf-8"))
    assert saved == json.loads(found.stdout)
    assert str(tmp_path / "report" / "report.html") in found.stderr


@pytest.mark.usefixtures("first_condition_only")
def test_noise_of_another_role_is_left_out(clips: Path, model: Path, tmp_path: Path) -> None:
    """What a model was trained in makes no figures; which role it takes is up to the split."""
    folder = tmp_path / "noise"
    folder.mkdir()
    roles = {"learnt": "train", "kept": "figures", "chosen": "calibrate"}
    for number, name in enumerate(roles):
        noise = 0.1 * np.random.default_rng(number).standard_normal(2 * RATE)
        soundfile.write(folder / f"{name}.wav", noise, RATE)
    rows = "".join(f"noise/{name}.wav,{role}\n" for name, role in roles.items())
    (tmp_path / "roles.csv").write_text("path,role\n" + rows)
    all_of_it = ("--robustness", "--limit", 1, "--noise", folder)
    kept = ("--robustness", "--limit", 1, "--noise", folder / "kept.wav")
    found = run_json(clips, "-m", model, *all_of_it)
    assert found["conditions"][0]["name"] == "noise: noise"
    assert found["conditions"][0]["points"] == run_json(clips, "-m", model, *kept)["conditions"][0]["points"]
    refused = run(clips, "-m", model, "--robustness", "--noise", folder / "learnt.wav")
    assert refused.exit_code == 1
    assert "has the role train" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    (folder / "kept.wav").unlink()
    refused = run(clips, "-m", model, *all_of_it)
    assert refused.exit_code == 1
    assert "noise: expected recordings of role figures, all 2 in it have another" in refused.stderr


@pytest.mark.parametrize("option", ["--noise", "--impulse-response", "--limit"])
def test_options_of_robustness_need_it(clips: Path, model: Path, option: str) -> None:
    result = run(clips, "-m", model, option, "3")
    assert result.exit_code == 2
    assert f"{option} belongs to --robustness" in result.stderr


def test_metadata_are_measured_apart(clips: Path, model: Path, tmp_path: Path) -> None:
    result = run(clips, "-m", model, "--robustness", "--metadata", tmp_path / "groups.csv")
    assert result.exit_code == 2
    assert "measured apart" in result.stderr


@pytest.mark.parametrize("option", ["--noise", "--impulse-response"])
def test_files_that_are_not_there(clips: Path, model: Path, tmp_path: Path, option: str) -> None:
    for path, reason in (
        (tmp_path / "missing.wav", "no such file"),
        (tmp_path, "no audio file in this folder"),
        ("-", "expected a file or a folder"),
    ):
        result = run(clips, "-m", model, "--robustness", option, path)
        assert result.exit_code == 1
        assert reason in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


def test_the_help_names_the_default() -> None:
    assert f"[default: {MOST_CLIPS}," in " ".join(run("--help").stdout.split())
