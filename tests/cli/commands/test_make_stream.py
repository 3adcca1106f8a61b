"""`speechcmd make-stream` as it is typed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner, Result
from stream_store import find_boundaries_once, write_store

from speechcmd.cli.main import cli
from speechcmd.evaluation.streams.annotation import read_annotation

pytestmark = pytest.mark.runtime


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        find_boundaries_once(patch)
        yield write_store(tmp_path_factory.mktemp("cli") / "store").path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in ("make-stream", *arguments)])


def test_it_says_what_it_made(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "stream.wav"
    options = ("--words", "no, yes,no", "--minutes", 0.3, "--snr", "15,3", "--gap", "0.4,0.8")
    result = run(store, "-o", path, *options)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    found = read_annotation(tmp_path / "stream.json")
    first, keywords, noise, besides, labels = result.stderr.splitlines()
    assert first == f"{path}: 0.3 minutes, {len(found.words)} keywords"
    n_no = sum(word.label == "no" for word in found.words)
    assert keywords == f"  keywords  no {n_no}, yes {len(found.words) - n_no}"
    n_15 = sum(word.attributes["snr_db"] == 15 for word in found.words)
    n_3 = len(found.words) - n_15
    expected = [f"{n} at {ratio} dB" for n, ratio in ((n_15, 15), (n_3, 3)) if n]
    assert noise == f"  noise     {', '.join(expected)}"
    n_speech = sum(word.label == "speech" for word in found.others)
    assert besides == f"  besides   {len(found.others) - n_speech} other words, {n_speech} times speech"
    assert labels == f"Labels: {tmp_path / 'stream.json'}, for Audacity {tmp_path / 'stream.txt'}"


def test_json_says_the_same_to_programs(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "stream.flac"
    shares = ("--unknown", 50, "--speech", 0, "--close", 0, "--repeat", 0)
    result = run(store, "-o", path, "--words", "yes", "--minutes", 0.5, "--seed", 3, *shares, "--json")
    assert result.exit_code == 0, result.output
    row = json.loads(result.stdout)
    found = read_annotation(tmp_path / "stream.json")
    assert row["path"] == str(path)
    assert row["labels"] == [str(tmp_path / "stream.json"), str(tmp_path / "stream.txt")]
    assert row["words"] == {"yes": len(found.words)}
    assert sum(row["words_by_snr_db"].values()) == len(found.words)
    assert row["unknown"] == len(found.others) > 0
    assert row["speech"] == 0
    assert row["duration_s"] == soundfile.info(path).duration == 30.0
    assert (found.settings["unknown"], found.settings["seed"]) == (0.5, 3)
    assert found.settings["close"] == found.settings["repeat"] == found.settings["speech"] == 0


def test_the_words_of_the_model_are_the_default(store: Path, tmp_path: Path) -> None:
    result = run(store, "-o", tmp_path / "stream.wav", "--minutes", 0.2)
    assert result.exit_code == 1
    assert "expected clips of up, down, left, right, on, off, stop, go in the testing split" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_percent_that_make_a_hundred(store: Path, tmp_path: Path) -> None:
    shares = ("--unknown", 5, "--speech", 55, "--close", 30, "--repeat", 10)
    result = run(store, "-o", tmp_path / "stream.wav", "--words", "yes", "--minutes", 0.2, *shares)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--words", " , "), 2, "such as yes,no"),
        (("--snr", "20,loud"), 2, "expected numbers from -20 to 50 (dB)"),
        (("--snr", "nan"), 2, "expected numbers from -20 to 50 (dB)"),
        (("--snr", "60"), 2, "expected numbers from -20 to 50 (dB)"),
        (("--gap", "3"), 2, "the shortest and the longest pause"),
        (("--gap", "3,1"), 2, "the shortest and the longest pause"),
        (("--gap", "0,1"), 2, "expected numbers from 0.1 to 600 (seconds)"),
        (("--minutes", "0"), 2, "'--minutes'"),
        (("--minutes", "nan"), 2, "expected a number, got 'nan'"),
        (("--unknown", "nan"), 2, "expected a number, got 'nan'"),
        (("--close", "nan"), 2, "expected a number, got 'nan'"),
        (("--words", "yes", "--gap", "600,600", "--minutes", "0.1"), 1, "no keyword came into 0.1 minutes"),
        (("--unknown", "80", "--repeat", "20"), 2, "more than 100 percent together"),
        (("--words", "yes", "--split", "validation"), 1, "expected clips of yes in the validation split"),
        (("--words", "yes", "-o", "stream.mp3"), 1, "ends with .wav or .flac"),
        (("--words", "yes", "-o", "nowhere/stream.wav"), 1, "nowhere: No such file"),
        (("--model", "nowhere.onnx"), 1, "nowhere.onnx"),
    ],
)
def test_bad_input_is_one_line(
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    status: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(store, "-o", "stream.wav", *arguments)
    assert result.exit_code == status, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []
