"""`speechcmd evaluate`, from the command line to its figures."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from clip_corpus import CLIPS_OF_A_SPEAKER, SPEAKERS_OF_A_SPLIT, write_corpus, write_store
from evaluation_results import clips
from fakes import toy_model
from report_parts import explain_coarsely, leave_out_pictures

from speechcmd.cli.main import cli
from speechcmd.evaluation.clips.clip_text import render_text

pytest.importorskip("scipy")

OF_A_WORD = CLIPS_OF_A_SPEAKER * SPEAKERS_OF_A_SPLIT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, its store, and the toy model."""
    folder = tmp_path_factory.mktemp("evaluate")
    write_store(write_corpus(folder / "corpus"), folder / "store")
    (folder / "toy.onnx").write_bytes(toy_model())
    return folder


@pytest.fixture(autouse=True)
def _here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["evaluate", *arguments, "-m", "toy.onnx"])


def figures_of(*arguments: str) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1
    figures: dict[str, Any] = json.loads(result.stdout)
    return figures


def test_json_has_the_fields_of_the_schema() -> None:
    figures = figures_of("store")
    assert list(figures) == [
        "kind", "schema", "model", "command", "versions", "date", "source", "labels", "accuracy", "macro_f1",
        "by_label", "confusion", "pairs", "calibration", "by_speaker", "unknown_by_word", "groups",
    ]  # fmt: skip
    assert (figures["kind"], figures["schema"], figures["model"]["name"]) == ("clips", 1, "toy")
    n_clips = 2 * OF_A_WORD + 2 + 2
    assert {**figures["source"], "draw": None} == {
        "path": "store",
        "task": "own",
        "split": "testing",
        "n_clips": n_clips,
        "draw": None,
        "voices": "",
    }
    assert list(figures["source"]["draw"]) == ["rule", "seed", "n_unknown", "n_silence", "sha256"]
    assert figures["accuracy"]["n"] == figures["accuracy"]["n_right"] == n_clips
    assert list(figures["accuracy"]) == ["value", "low", "high", "interval", "n", "n_right"]
    assert figures["labels"] == ["low", "high", "_unknown_", "_silence_"]
    assert list(figures["by_label"][0]) == [
        "label", "n", "precision", "recall", "f1", "recall_low", "recall_high", "interval",
    ]  # fmt: skip
    assert len(figures["calibration"]["bins"]) == 15
    assert figures["by_speaker"]["n_speakers"] == 2
    assert figures["groups"] == []
    assert figures["pairs"] == []


def test_a_folder_gives_the_figures_of_its_store() -> None:
    one, other = figures_of("corpus"), figures_of("store")
    for key in (
        "labels",
        "accuracy",
        "by_label",
        "confusion",
        "calibration",
        "by_speaker",
        "unknown_by_word",
    ):
        assert one[key] == other[key]
    assert one["source"]["draw"] == other["source"]["draw"]


def test_text_for_people_fits_a_terminal() -> None:
    result = run("store", "--split", "validation", "--unknown", "all", "--seed", "3")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    n_clips = 4 * OF_A_WORD + 2
    assert lines[0] == "toy on store: task own, validation"
    assert lines[1] == f"accuracy     100.00 % (87.1–100.0 %)   {n_clips} of {n_clips} clips"
    assert lines[2] == "intervals    95 %, Wilson"
    assert lines[5].startswith("drawn        12 unknown, 2 silence, seed 3, sha256 ")
    # whoever reads the figures shall know what they are of
    rule = " ".join(line.strip() for line in lines[6:8])
    assert rule == "_unknown_: every other word; _silence_: windows of the noise kept for validation"
    assert max(map(len, lines)) <= 80
    table = [line.split() for line in lines if line.startswith(("low ", "_silence_ "))]
    assert [row[:3] for row in table] == [["low", "6", "100.0"], ["_silence_", "2", "100.0"]]
    assert "2 speakers: mean 100.0 %, standard deviation 0.0 %, worst tenth 100.0 %" in lines


def test_mistakes_are_counted_and_named(tmp_path: Path, folder: Path) -> None:
    wrong = tmp_path / "wrong"
    for word, heard in (("low", "high"), ("high", "high"), ("hum", "hum")):
        (wrong / word).mkdir(parents=True)
        for path in (folder / "corpus" / heard).glob("te*"):
            (wrong / word / path.name).write_bytes(path.read_bytes())
    (wrong / "testing_list.txt").write_text(
        "\n".join(f"{path.parent.name}/{path.name}" for path in wrong.glob("*/*.wav"))
    )
    figures = figures_of(str(wrong))
    assert figures["accuracy"]["n"] == 2 * OF_A_WORD + 2  # there is no noise, so no silence
    assert "no noise" in figures["source"]["draw"]["rule"]
    assert figures["accuracy"]["n_right"] == OF_A_WORD + 2
    assert figures["by_label"][0]["recall"] == 0.0
    (pair,) = figures["pairs"]
    assert (pair["truth"], pair["answer"], pair["n"], len(pair["clips"])) == ("low", "high", OF_A_WORD, 5)
    text = run(str(wrong)).stdout
    assert re.search(rf"^ +{OF_A_WORD}  low as high  [01]\.\d\d  low/te\d_nohash_\d.wav$", text, re.MULTILINE)


def test_groups_of_a_metadata_file(tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("speaker,sex,age\nte0,female,31\n")
    figures = figures_of("store", "--metadata", str(people))
    sex, age = figures["groups"]
    assert (sex["column"], age["column"]) == ("sex", "age")
    assert [group["value"] for group in sex["groups"]] == ["female", "(no entry)"]
    assert sum(group["n"] for group in sex["groups"]) == 2 * OF_A_WORD + 2
    assert list(sex["groups"][0]) == [
        "value", "n", "accuracy", "low", "high", "interval", "macro_f1", "by_label",
    ]  # fmt: skip
    lines = run("store", "--metadata", str(people)).stdout.splitlines()
    assert "by sex: fewer than two groups of 20 clips, no gap is reported" in lines
    assert max(map(len, lines)) <= 80
    people.write_text("speaker,sex\nzoe,female\n")
    result = run("store", "--metadata", str(people))
    assert result.exit_code == 1
    assert "none of its rows belongs to any of the 16 clips" in result.stderr


def test_the_official_archive(tmp_path: Path, folder: Path) -> None:
    archive = tmp_path / "test_set.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder / "corpus" / "low" / "te0_nohash_0.wav", "./low/te0_nohash_0.wav")
        tar.add(folder / "corpus" / "hum" / "te0_nohash_0.wav", "./_unknown_/hum_te0_nohash_0.wav.wav")
    figures = figures_of(str(archive))
    assert figures["accuracy"]["n_right"] == 2
    assert (figures["source"]["split"], figures["source"]["draw"]["seed"]) == ("", None)
    assert figures["unknown_by_word"]["words"] == [{"word": "hum", "n": 1, "accuracy": 1.0}]
    assert "drawn        1 unknown, 0 silence, sha256" in run(str(archive)).stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["store", "--task", "12"], "the model lacks yes, no, up, down, left and 5 other labels"),
        (["store", "--task", "35"], "the model lacks hum, whistle"),
        (["nowhere"], "nowhere: expected a store, a folder of clips or the official test archive"),
        (["toy.onnx"], "got another file"),
    ],
)
def test_what_cannot_be_measured_is_one_line(arguments: list[str], expected: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert expected in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_broken_clip_is_named(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "low").mkdir()
    for name, content in (("te0_nohash_0", None), ("te0_nohash_1", b"RIFF")):
        good = (folder / "corpus" / "low" / "te0_nohash_0.wav").read_bytes()
        (tmp_path / "low" / f"{name}.wav").write_bytes(content or good)
    (tmp_path / "testing_list.txt").write_text("low/te0_nohash_0.wav\nlow/te0_nohash_1.wav")
    result = run(str(tmp_path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "low/te0_nohash_1.wav: not audio" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_report_is_written(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    explain_coarsely(monkeypatch)
    corpus = tmp_path / "clips"
    for path in (folder / "corpus" / "low").glob("te*"):
        (corpus / "high").mkdir(parents=True, exist_ok=True)
        (corpus / "high" / path.name).write_bytes(path.read_bytes())
    (corpus / "testing_list.txt").write_text(
        "\n".join(f"high/{path.name}" for path in corpus.glob("*/*.wav"))
    )
    result = run(str(corpus), "--report", str(tmp_path / "report"))
    assert result.exit_code == 0, result.output
    assert "report.html" in result.stderr
    assert "<html" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    written = json.loads((tmp_path / "report" / "clips.json").read_text(encoding="utf-8"))
    assert written["accuracy"]["n_right"] == 0
    # six mistakes of one pair: the two that the model was surest of
    surest = sorted((clip["score"] for pair in written["pairs"] for clip in pair["clips"]), reverse=True)[:2]
    assert [mistake["score"] for mistake in written["mistakes"]] == surest
    for mistake in written["mistakes"]:
        assert (mistake["title"], mistake["truth"], mistake["answer"]) == ("high heard as low", "high", "low")
        assert mistake["path"].startswith("high/te")
        assert (tmp_path / "report" / mistake["sound"]).stat().st_size > 1_000


def test_the_text_of_figures_that_are_missing() -> None:
    figures = figures_of("store", "--task", "own")
    nothing = {"value": None, "low": 0.0, "high": 1.0, "interval": "Wilson", "n": 0, "n_right": 0}
    figures |= {"accuracy": nothing, "macro_f1": None, "unknown_by_word": None}
    figures["by_label"][0] |= {"n": 0, "recall": None, "recall_low": None, "recall_high": None, "f1": None}
    figures["by_speaker"] = {
        "n_speakers": 0,
        "mean": None,
        "sd": None,
        "worst_tenth": None,
        "histogram": [],
        "worst": [],
    }
    lines = render_text(clips(figures)).splitlines()
    assert "accuracy     – (0.0–100.0 %)   0 of 0 clips" in lines
    assert not any("speakers" in line for line in lines)
    assert next(line for line in lines if line.startswith("low")).split() == [
        "low", "0", "–", "–", "100.0", "%", "–",
    ]  # fmt: skip


def test_the_text_of_groups_and_their_gap() -> None:
    figures = figures_of("store")
    group = {"n": 617, "accuracy": 0.8978, "low": 0.8715, "high": 0.9194, "macro_f1": 0.8312}
    groups = [
        {"value": "6 to 23", **group, "interval": "bootstrap by speaker"},
        {"value": "(no entry)", **group, "n": 1_109, "interval": "Wilson"},
    ]
    gap = {"largest_gap": 0.0578, "gap_low": None, "gap_high": None, "chance": 0.3407, "note": ""}
    nothing = dict.fromkeys(gap)
    figures["groups"] = [
        {"column": "age", **gap, "groups": groups},
        {"column": "remark", **nothing, "note": "73 different texts are too many", "groups": []},
    ]
    assert render_text(clips(figures)).splitlines()[-7:] == [
        "by age: largest gap 5.8 points; a gap this large comes by chance in 34.1 % of",
        "shuffles",
        "  6 to 23      89.8 %  87.2–91.9 %   macro F1  83.1 %  of 617 clips",
        "  (no entry)   89.8 %  87.2–91.9 %   macro F1  83.1 %  of 1,109 clips",
        "  intervals: bootstrap by speaker; Wilson for (no entry)",
        "",
        "by remark: 73 different texts are too many",
    ]


def test_a_clip_whose_name_is_no_text(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jinja2")
    leave_out_pictures(monkeypatch)
    clip = (folder / "corpus" / "low" / "te0_nohash_0.wav").read_bytes()
    (tmp_path / "clips" / "high").mkdir(parents=True)
    name = "high/caf\udce9_nohash_0.wav"
    try:
        (tmp_path / "clips" / name).write_bytes(clip)
    except (OSError, UnicodeError):
        pytest.skip("this system has only names that are text")
    split = "testing"
    while True:  # the hash of the name decides on the split
        figures = run(
            str(tmp_path / "clips"), "--split", split, "--json", "--report", str(tmp_path / "report")
        )
        if figures.exit_code == 0:
            break
        split = {"testing": "training", "training": "validation"}[split]
    heard = json.loads(figures.stdout)
    assert heard["pairs"][0]["clips"][0]["path"] == "high/caf\ufffd_nohash_0.wav"
    written = json.loads((tmp_path / "report" / "clips.json").read_text(encoding="utf-8"))
    assert written["mistakes"][0]["path"] == "high/caf\ufffd_nohash_0.wav"


@pytest.mark.parametrize("options", [[], ["--robustness"]])
def test_a_report_that_cannot_be_written_is_noticed_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    pytest.importorskip("jinja2")

    def run_for_hours(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("speechcmd.evaluation.clips.answers.classify_clips", run_for_hours)
    monkeypatch.setattr("speechcmd.cli.commands.evaluate.run_robustness", run_for_hours)
    (tmp_path / "file").write_text("in the way")
    result = run("store", *options, "--report", str(tmp_path / "file" / "below"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "file/below: Not a directory" in result.stderr
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "stream.json").write_text("half a result")
    result = run("store", *options, "--report", str(tmp_path / "old"))
    assert "stream.json: not a result that this version can read" in result.stderr
