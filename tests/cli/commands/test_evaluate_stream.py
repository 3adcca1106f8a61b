"""`speechcmd evaluate-stream` and `speechcmd calibrate` on recordings of a model that hears tones."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from fakes import tone_recording, toy_model
from made_audio import write_tones
from report_parts import explain_coarsely

import speechcmd
from speechcmd.cli.main import cli
from speechcmd.evaluation.calibration import thresholds as calibration
from speechcmd.runtime.model.model_file import load_model_file
from speechcmd.runtime.model.promise import promise_of
from speechcmd.runtime.recognition.recognizer import Recognizer

WORDS = [(label, float(n)) for n, label in enumerate(["low", "high", "high", "low"] * 3, start=1)]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A labelled stream; noise in which the low tone is heard twice, by nobody's saying; a model."""
    root = tmp_path_factory.mktemp("data")
    write_tones(root / "stream.wav", WORDS, 14.0, labelled=True)
    write_tones(root / "hum/a.wav", [("low", 2.0), ("low", 4.0)], 6.0, labelled=False, seed=1)
    write_tones(root / "hum/b.wav", [], 6.0, labelled=False, seed=2)
    (root / "toy.onnx").write_bytes(toy_model())
    return root


def measured(data: Path, *arguments: object) -> dict[str, object]:
    result = run(
        "evaluate-stream", *arguments, "-m", data / "toy.onnx", "--json", "--jobs", 1, "--offsets", 12
    )
    assert result.exit_code == 0, result.output
    content: dict[str, object] = json.loads(result.stdout)
    return content


def test_figures_of_known_recordings(data: Path) -> None:
    result = measured(data, data / "stream.wav", f"noise={data / 'hum'}", "--at", "1")
    assert result["n_words"] == 12
    as_set, strict = result["points"]  # type: ignore[misc]
    assert as_set["overall"]["false_reject_rate"] == 0.0
    assert as_set["overall"]["n_false"] == 2
    assert {row["kind"]: row["n_false"] for row in as_set["by_kind"]} == {"recordings": 0, "noise": 2}
    assert as_set["overall"]["hours"] == pytest.approx((14 - 12 * 0.3 + 12) / 3600)
    assert [one["value"] for one in as_set["by_attribute"][0]["values"]] == [0.0, 10.0]
    assert (as_set["at_10_db"]["n_words"], as_set["at_10_db"]["n_found"]) == (6, 6)
    assert "too short" in as_set["note"]
    assert (strict["name"], strict["target"]) == ("1 false accept per hour", 1.0)
    assert result["command"].startswith("speechcmd")  # type: ignore[attr-defined]
    assert len(result["curve"]) in (11, 12)  # type: ignore[arg-type]


def test_what_is_evaluated_is_what_transcribe_hears(data: Path) -> None:
    recognizer = Recognizer.load(data / "toy.onnx")
    n_heard = sum(len(list(recognizer.transcribe(path))) for path in (data / "hum").glob("*.wav"))
    as_set = measured(data, data / "hum")["points"][0]  # type: ignore[index]
    assert (as_set["overall"]["n_false"], as_set["at_10_db"]) == (n_heard, None)
    assert n_heard == 2
    none = measured(data, data / "hum", "--threshold", "1.0", "--smoothing", "0.2")
    assert none["points"][0]["overall"]["n_false"] == 0  # type: ignore[index]


def test_text_for_people_fits_a_terminal(data: Path) -> None:
    result = run(
        "evaluate-stream", data / "stream.wav", data / "hum", "-m", data / "toy.onnx", "--offsets", 5
    )
    assert result.exit_code == 0
    assert "toy: 3 recordings, 12 words" in result.stdout
    assert "speechcmd: 3 recordings, 1 with labels" in result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "FRR % by snr_db" in result.stdout


def test_a_report_holds_the_mistakes_to_hear(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    explain_coarsely(monkeypatch)
    folder, hum = tmp_path / "report", write_tones(tmp_path / "hum.wav", [("low", 1.0)], 2.0, labelled=False)
    result = run("evaluate-stream", data / "stream.wav", hum, "-m", data / "toy.onnx", "--offsets", 5, "--report", folder)  # fmt: skip
    assert result.exit_code == 0, result.output
    (mistake,) = json.loads((folder / "stream.json").read_text())["mistakes"]
    assert mistake["what"] == "false accept"
    assert (folder / mistake["sound"]).is_file()
    assert "low, said by nobody" in (folder / "report.html").read_text()


def test_a_report_that_cannot_be_written_is_noticed_before_the_run(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = run(
        "evaluate-stream", data / "hum", "-m", data / "toy.onnx", "--report", tmp_path / "file" / "below"
    )
    assert (result.exit_code, result.stdout) == (1, "")
    assert "file/below: Not a directory" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nowhere.wav"], 1, "nowhere.wav: expected a recording or a folder, found nothing"),
        (["{hum}", "--at", "0"], 2, "expected rates above 0"),
        (["{hum}", "--at", "x"], 2, "expected rates above 0"),
        (["{hum}", "--offsets", "201"], 2, "2<=x<=200"),
        (["{hum}", "--threshold", "maybe=0.5"], 2, "'maybe' is not a word of this model"),
        ([], 2, "Missing argument"),
    ],
)
def test_wrong_usage_is_one_line(data: Path, arguments: list[str], status: int, message: str) -> None:
    given = [argument.format(hum=data / "hum") for argument in arguments]
    result = run("evaluate-stream", *given, "-m", data / "toy.onnx")
    assert result.exit_code == status
    assert message in result.stderr


@pytest.fixture(autouse=True)
def _fewer_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "_COARSE", 8)
    monkeypatch.setattr(calibration, "_FINE", 18)


def calibrated(data: Path, tmp_path: Path, *arguments: object) -> tuple[Result, Path]:
    output = tmp_path / "calibrated.onnx"
    result = run("calibrate", *arguments, "-m", data / "toy.onnx", "-o", output, "--jobs", 1)
    return result, output


def write_half_heard(path: Path, seed: int) -> Path:
    """A low tone in as much noise, which the model hears at its own threshold and nobody said."""
    rng = np.random.default_rng(seed)
    waveform = tone_recording([("low", 2.0)], 6.0, seed=seed)
    waveform[32_000:36_800] += rng.normal(0, 0.1, 4_800).astype(np.float32)
    soundfile.write(path, waveform, 16_000)
    return path


def test_the_calibrated_model_keeps_the_rate_and_is_held_to_it(data: Path, tmp_path: Path) -> None:
    here, there = (write_half_heard(tmp_path / f"{seed}.wav", seed) for seed in (5, 6))
    result, output = calibrated(data, tmp_path, data / "stream.wav", here, "--false-accepts-per-hour", 1, "--smoothing", 0.1)  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "0 false accepts in 0.00 h" in result.stdout
    options = ["-m", output, "--json", "--jobs", 1, "--offsets", 5]
    same = json.loads(run("evaluate-stream", data / "stream.wav", here, *options).stdout)
    overall = same["points"][0]["overall"]
    assert (overall["n_false"], overall["false_reject_rate"]) == (0, 0.0)
    assert same["promise"] is None, "the audio that the thresholds were chosen on bears out nothing"
    other = json.loads(run("evaluate-stream", there, *options).stdout)["promise"]
    assert other["promised_events"] == other["n_events"] == 0
    shown = run("evaluate-stream", there, "-m", output, "--jobs", 1, "--offsets", 5).stdout
    assert "Promise: 0 false accepts in 0.00 h without keywords, where 0 to" in " ".join(shown.split())
    labelled = json.loads(run("evaluate-stream", data / "stream.wav", *options).stdout)
    assert labelled["promise"] is None, "another sort of audio"


def test_calibrating_changes_the_card_and_not_the_network(data: Path, tmp_path: Path) -> None:
    result, output = calibrated(
        data, tmp_path, data / "hum/b.wav", "--false-accepts-per-hour", 1, "--smoothing", 0.2
    )
    assert result.exit_code == 0, result.output
    _, before = load_model_file(data / "toy.onnx")
    _, card = load_model_file(output)
    assert card.measured_on.startswith("0 false accepts in 0.00 h (")
    promise = promise_of(card)
    assert promise is not None
    assert (promise.false_accepts_per_hour, promise.confidence, promise.n_events) == (1, None, 0)
    # none in so many hours: the interval ends where its chance is 2.5 %
    assert (promise.low, promise.high) == (0, pytest.approx(-np.log(0.025) / (6 / 3600)))
    assert card.training["calibration"]["interval"] == "Poisson, 95 %"
    assert card.decoder.smoothing_steps == 10, "asked for, though no word tells what it costs"
    assert card.check == before.check
    waveform = tone_recording(WORDS, 14.0)
    old, new = Recognizer.load(data / "toy.onnx"), Recognizer.load(output)
    assert np.array_equal(old.posteriors(waveform), new.posteriors(waveform))


def test_a_rate_that_cannot_be_kept_writes_nothing(data: Path, tmp_path: Path) -> None:
    same = data / "hum/a.wav"  # as clear as the words themselves
    result, output = calibrated(data, tmp_path, data / "stream.wav", same, "--false-accepts-per-hour", 1)
    assert result.exit_code == 1
    assert "no thresholds keep a rate of 1 per hour" in result.stderr
    assert "words not heard" in result.stderr, "the curve"
    assert not output.exists()
    assert list(tmp_path.iterdir()) == []


def test_hours_that_prove_nothing_say_how_many_would(data: Path, tmp_path: Path) -> None:
    result, output = calibrated(
        data, tmp_path, data / "stream.wav", data / "hum/b.wav",
        "--false-accepts-per-hour", 1, "--confidence", 0.95,
    )  # fmt: skip
    assert result.exit_code == 1
    assert (
        "cannot prove a rate of 1 per hour with 95 % confidence: 3.0 h without a single one" in result.stderr
    )
    assert not output.exists()


def test_a_folder_that_is_not_there_is_noticed_before_the_work(data: Path) -> None:
    result = run("calibrate", data / "hum", "-m", data / "toy.onnx", "-o", data / "no/x.onnx", "--false-accepts-per-hour", 1)  # fmt: skip
    assert result.exit_code == 2
    assert "no such folder" in result.stderr


def test_voices_of_the_testing_split_choose_no_thresholds(data: Path, tmp_path: Path) -> None:
    stream = write_tones(tmp_path / "s/stream.wav", WORDS, 14.0, labelled=True)
    labels = json.loads(stream.with_suffix(".json").read_text())
    stream.with_suffix(".json").write_text(json.dumps(labels | {"settings": {"split": "testing"}}))
    result, output = calibrated(data, tmp_path, stream, data / "hum", "--false-accepts-per-hour", 1)
    assert (result.exit_code, output.exists()) == (1, False)
    assert (
        "stream.wav: made of the testing split, here recordings of role calibrate (validation)"
        in result.stderr
    )


def test_json_says_what_was_chosen(data: Path, tmp_path: Path) -> None:
    result, output = calibrated(
        data, tmp_path, data / "stream.wav", data / "hum/b.wav",
        "--false-accepts-per-hour", 5_000, "--confidence", 0.9, "--smoothing", 0.1, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert content["path"] == str(output)
    assert content["upper_bound"] <= 5_000
    assert content["confidence"] == 0.9
    assert set(content["thresholds"]) == {"low", "high"}
    assert content["smoothing_s"] == pytest.approx(0.1)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_no_process_outlives_a_killed_command(data: Path) -> None:
    """The processes that try thresholds wait for work: they must see that nobody will bring any."""
    code = (
        "from speechcmd.evaluation.streams import sweep; sweep._WORTH_PROCESSES = 0.0\n"
        "from speechcmd.cli.main import main; main()"
    )
    arguments = [
        "evaluate-stream",
        data / "stream.wav",
        "-m",
        data / "toy.onnx",
        "--jobs",
        "2",
        "--offsets",
        "200",
    ]
    command = subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while len(children := children_of(command.pid)) < 3 and time.monotonic() < deadline:  # and a tracker
        time.sleep(0.02)
    command.kill()
    command.wait()
    assert len(children) == 3
    while any(map(is_alive, children)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(is_alive, children))


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def _not_yet_imported() -> Iterator[None]:
    """The room of evaluation is imported anew, and is the one of before when the test is done."""

    def modules() -> dict[str, object]:
        return {name: one for name, one in sys.modules.items() if name.startswith("speechcmd.evaluation")}

    before, package = modules(), speechcmd.evaluation
    for name in before:
        del sys.modules[name]
    yield
    for name in modules():
        del sys.modules[name]
    sys.modules.update(before)
    speechcmd.evaluation = package


@pytest.mark.usefixtures("_not_yet_imported")
@pytest.mark.parametrize(("command", "package"), [("calibrate", "onnx"), ("evaluate-stream", "scipy")])
def test_a_missing_package_is_named_before_the_work(
    data: Path, monkeypatch: pytest.MonkeyPatch, command: str, package: str
) -> None:
    for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    options = ["-o", data / "x.onnx", "--false-accepts-per-hour", 1] if command == "calibrate" else []
    result = run(command, data / "hum/b.wav", "-m", data / "toy.onnx", *options)
    assert result.exit_code == 1
    assert package in result.stderr
    assert "pip install" in result.stderr
