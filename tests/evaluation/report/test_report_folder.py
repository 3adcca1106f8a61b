"""The report folder and its page: whole, self-contained, and unimpressed by hostile names."""

from __future__ import annotations

import base64
import errno
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from evaluation_results import clips, clips_result, read, robustness, stream, stream_result
from fakes import SAMPLE_RATE, tone_recording, toy_model
from page_reader import PageReader
from report_parts import leave_out_pictures, whole_report

from speechcmd.errors import EvaluationError
from speechcmd.evaluation.clips.clip_result import ClipMistake
from speechcmd.evaluation.mistakes import Sound
from speechcmd.evaluation.report import report_folder
from speechcmd.evaluation.report.released_figures import read_own_results
from speechcmd.evaluation.report.report_folder import write_report
from speechcmd.evaluation.report.results import make_encodable
from speechcmd.evaluation.streams.stream_result import StreamMistake
from speechcmd.runtime.recognition.recognizer import Recognizer
from speechcmd.typed import as_type

HOSTILE = "</style><script>alert('x')</script><img src=http://example.org/x.png>"
LARGEST_PAGE = 8_000_000


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    path = tmp_path_factory.mktemp("model") / "toy.onnx"
    path.write_bytes(toy_model())
    return Recognizer.load(path)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_out_pictures(monkeypatch)


def sound(title: str = "“high” taken for “low”", n_samples: int = 3_200, **changes: Any) -> Sound:
    facts = {"title": title, "truth": "high", "answer": "low", "score": 0.9, "path": "high/a.wav"}
    waveform = tone_recording([("low", 0.0)], 0.2)[:n_samples]
    return Sound(as_type(facts | changes, ClipMistake), waveform, SAMPLE_RATE, "low")


HEARD = {"title": "no, said by nobody", "what": "false accept", "path": "book.wav", "label": "", "heard": "no",
         "time_s": 12.5, "score": 0.93, "sentence": "I know", "recording": 0, "kind": "books"}  # fmt: skip


def heard_sound(n_samples: int = 3_200) -> Sound:
    """What was heard in a recording where nobody said it."""
    waveform = tone_recording([("low", 0.0)], 0.2)[:n_samples]
    return Sound(as_type(HEARD, StreamMistake), waveform, SAMPLE_RATE, "low")


def measure_again(folder: Path, recognizer: Recognizer) -> Path:
    """Another measurement makes the page anew, from what lies in the folder."""
    return write_report(folder, robustness(conditions=[]), [], recognizer)


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_everything_measured_is_on_one_page(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = whole_report(tmp_path_factory.getbasetemp())
    assert path.name == "report.html"
    assert (path.parent / "clips.json").is_file()
    html = path.read_text(encoding="utf-8")
    page = PageReader(html)
    for said in (
        "90.5 %", "of 2,200 clips recognised rightly (95\u00a0% interval 89.2–91.7\u00a0%)",
        "10.0 %", "of 240 words missed as the model is set", "4.00", "6 in 90 min",
        "67.5 %", "noise: pink at 0 (signal-to-noise ratio, dB)", "2.3 h of speech and noise: 2 false accepts",
        "median delay", "speechcmd clips -m 'toy model.onnx' --report out", "onnxruntime 1.26.0", "2026-01-31",
        "made tones (CC0-1.0)", "168,090 parameters", "0.01 false accepts per hour", "not reached",
        "without homophones", "0a7c2a8d", "yes/a_nohash_0.wav (0.81)", "20 dB", "80.0 % of 80",
    ):  # fmt: skip
        assert said in page.text, said
    # clips, stream, its levels of noise, a distortion, a sound
    assert len(page.all("img")) == 5 + 4 + 1 + 1 + 1
    assert all(len(image["alt"]) > 10 for image in page.all("img"))
    assert len(page.all("table")) >= 15
    assert len(html) < LARGEST_PAGE


def test_the_page_needs_nothing_but_itself(tmp_path: Path, recognizer: Recognizer, quick: None) -> None:
    labels = (HOSTILE, '" onload="x', "yes")
    result = clips_result(labels)
    result["command"] = result["source"]["path"] = result["model"]["name"] = HOSTILE
    result["by_speaker"]["worst"][0]["speaker"] = result["groups"][0]["column"] = HOSTILE
    (tmp_path / "stream.json").write_text(json.dumps(stream_result(labels)))
    write_report(tmp_path, read(result), [sound(HOSTILE, truth=HOSTILE, path=HOSTILE)], recognizer)
    page = PageReader((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.all("script") == []
    assert all(resource.startswith(("data:", "#")) for resource in page.resources)
    assert not any(name.startswith("on") for _, values in page.elements for name in values)
    assert page.text.count(HOSTILE) >= 8
    assert "default-src 'none'" in page.all("meta")[3]["content"]
    links = {values["href"][1:] for values in page.all("a")}
    assert links <= {values.get("id") for _, values in page.elements}


def test_sounds_are_kept_as_files_and_in_the_page(
    tmp_path: Path, recognizer: Recognizer, quick: None
) -> None:
    path = write_report(tmp_path, clips(), [sound("first"), sound("second")], recognizer)
    saved = json.loads((tmp_path / "clips.json").read_text(encoding="utf-8"))
    first, second = saved["mistakes"]
    assert (first["title"], second["title"]) == ("first", "second")
    assert {key: first[key] for key in ("truth", "answer", "score", "path", "sound", "picture")} == {
        "truth": "high", "answer": "low", "score": 0.9, "path": "high/a.wav",
        "sound": "sounds/clips-01.flac", "picture": "sounds/clips-01.svg",
    }  # fmt: skip
    assert "“low” scores" in first["listened"]
    assert {key: value for key, value in saved.items() if key != "mistakes"} == clips_result()
    page = PageReader(path.read_text(encoding="utf-8"))
    content = base64.b64decode(page.all("audio")[1]["src"].partition(",")[2])
    assert content == (tmp_path / second["sound"]).read_bytes()
    samples, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    assert rate == SAMPLE_RATE
    np.testing.assert_allclose(samples, sound().waveform, atol=1 / 32_768)
    assert first["listened"] in page.text


def test_the_page_is_made_from_the_folder_alone(tmp_path: Path, recognizer: Recognizer, quick: None) -> None:
    write_report(tmp_path, clips(), [sound()], recognizer)
    page = measure_again(tmp_path, recognizer)
    before = page.read_bytes()
    page.unlink()
    assert measure_again(tmp_path, recognizer) == page
    assert page.read_bytes() == before
    assert len(PageReader(page.read_text(encoding="utf-8")).all("audio")) == 1
    (tmp_path / "sounds" / "clips-01.flac").unlink()
    measure_again(tmp_path, recognizer)
    assert "The sound is no longer in the folder." in page.read_text(encoding="utf-8")


def test_the_sounds_of_before_go_those_of_other_results_stay(
    tmp_path: Path, recognizer: Recognizer, quick: None
) -> None:
    write_report(tmp_path, clips(), [sound(), sound()], recognizer)
    write_report(tmp_path, stream(), [heard_sound()], recognizer)
    own = {"clips.json", "stream.json", "report.html"}
    stream_sounds = {"sounds/stream-01.flac", "sounds/stream-01.svg"}
    assert names_in(tmp_path) == own | stream_sounds | {
        f"sounds/clips-0{number}.{kind}" for number in (1, 2) for kind in ("flac", "svg")
    }
    write_report(tmp_path, clips(), [], recognizer)
    assert names_in(tmp_path) == own | stream_sounds
    assert len(PageReader((tmp_path / "report.html").read_text(encoding="utf-8")).all("audio")) == 1


def test_mistakes_of_recordings_are_kept(tmp_path: Path, recognizer: Recognizer, quick: None) -> None:
    sounds = [heard_sound(), heard_sound(n_samples=0)]
    path = write_report(tmp_path, stream(), sounds, recognizer)
    first, second = json.loads((tmp_path / "stream.json").read_text())["mistakes"]
    assert first.items() > HEARD.items()
    assert "sound" not in second
    page = PageReader(path.read_text(encoding="utf-8"))
    assert len(page.all("audio")) == 1
    for what in ("false accept", "miss"):  # a word that was not heard has no score
        result = stream_result(mistakes=[first | {"what": what}])
        (tmp_path / "stream.json").write_text(json.dumps(result))
        html = measure_again(tmp_path, recognizer).read_text(encoding="utf-8")
        assert ("<dt>score</dt><dd>0.93</dd>" in html) == (what == "false accept")
    assert all(said in page.text for said in ("false accept", "12.50", "I know", "book.wav"))


def test_short_sounds_are_kept_without_a_picture(tmp_path: Path, recognizer: Recognizer, quick: None) -> None:
    path = write_report(tmp_path, clips(), [sound(n_samples=800)], recognizer)
    assert names_in(tmp_path) == {"clips.json", "report.html", "sounds/clips-01.flac"}
    assert len(PageReader(path.read_text(encoding="utf-8")).all("audio")) == 1


def test_a_page_of_two_models_says_so(tmp_path: Path, recognizer: Recognizer, quick: None) -> None:
    write_report(tmp_path, clips(), [], recognizer)
    assert "different model files" not in (tmp_path / "report.html").read_text(encoding="utf-8")
    other = stream_result()
    other["model"]["sha256"] = "ff" * 32
    page = write_report(tmp_path, read(other), [], recognizer)
    assert "measured on 2 different model files" in page.read_text(encoding="utf-8")


def damage_missing_field(result: dict[str, Any]) -> str:
    del result["accuracy"]
    return json.dumps(result)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda _: "{", "it is not JSON"),
        (lambda _: "[]", '"kind" is not "clips"'),
        (lambda result: json.dumps(result | {"kind": "stream"}), '"kind" is not "clips"'),
        (
            lambda result: json.dumps(result | {"schema": 2}),
            "schema: expected 1, which this version reads, got 2",
        ),
        (damage_missing_field, "(accuracy: expected a table, got nothing); measure again"),
        (lambda result: json.dumps(result | {"labels": 3}), "(labels: expected a list, got 3)"),
        (lambda result: json.dumps(result | {"labels": ["one"]}), "confusion: expected a row and a column"),
    ],
)
def test_a_damaged_result_is_one_line(
    tmp_path: Path, recognizer: Recognizer, quick: None, damage: Callable[[Any], str], says: str
) -> None:
    (tmp_path / "clips.json").write_text(damage(clips_result()))
    with pytest.raises(EvaluationError) as caught:
        measure_again(tmp_path, recognizer)
    assert says in str(caught.value)
    assert "clips.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_results_is_refused(tmp_path: Path, recognizer: Recognizer) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(
            EvaluationError, match=r"expected a report folder with clips\.json, stream\.json, .* none"
        ):
            read_own_results(recognizer.card, "ab", folder)


def fail_to_render(*_: object) -> str:
    raise RuntimeError("no template")


def test_nothing_is_written_if_the_page_cannot_be(
    tmp_path: Path, recognizer: Recognizer, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(tmp_path, clips(), [sound()], recognizer)
    before = {name: (tmp_path / name).read_bytes() for name in names_in(tmp_path)}
    with monkeypatch.context() as patch:
        patch.setattr(report_folder, "render_page", fail_to_render)
        with pytest.raises(RuntimeError, match="no template"):
            write_report(tmp_path, clips(), [], recognizer)

    def fail(number: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        write_report(tmp_path, clips(macro_f1=0.5), [], recognizer)
    assert {name: (tmp_path / name).read_bytes() for name in names_in(tmp_path)} == before


def test_a_result_names_no_file_outside_its_sounds(
    tmp_path: Path, recognizer: Recognizer, quick: None
) -> None:
    (tmp_path / "secret.flac").write_bytes(b"secret")
    entry = {"title": "t", "truth": "", "answer": "", "score": 0.0,
             "sound": "sounds/../../secret.flac", "picture": "/etc/passwd"}  # fmt: skip
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "clips.json").write_text(json.dumps(clips_result(mistakes=[entry])))
    html = measure_again(folder, recognizer).read_text(encoding="utf-8")
    assert base64.b64encode(b"secret").decode() not in html
    assert "The sound is no longer in the folder." in html


def test_numbers_that_are_none_are_dashes(tmp_path: Path, recognizer: Recognizer, quick: None) -> None:
    result = clips_result(groups=[], unknown_by_word=None, pairs=[], macro_f1=None)
    result["by_label"][0] |= {"n": 0, "recall": None, "recall_low": None, "recall_high": None, "f1": None}
    result["by_speaker"] = {
        "n_speakers": 0,
        "mean": None,
        "sd": None,
        "worst_tenth": None,
        "histogram": [],
        "worst": [],
    }
    result["calibration"]["ece"] = None
    result["source"] |= {"draw": None, "split": ""}
    silent = stream_result(n_words=0, recordings=[], hours={})
    for row in (silent["points"][0]["overall"], *silent["points"][0]["by_label"]):
        row |= {"n_words": 0, "false_reject_rate": None, "low": None, "high": None, "delay_ms": None}
    (tmp_path / "clips.json").write_text(json.dumps(result))
    (tmp_path / "stream.json").write_text(json.dumps(silent))
    page = PageReader(measure_again(tmp_path, recognizer).read_text(encoding="utf-8"))
    assert "–" in page.text
    assert "None" not in page.text
    assert "nan" not in page.text


def test_a_broken_promise_stands_among_the_first_figures(
    tmp_path: Path, recognizer: Recognizer, quick: None
) -> None:
    promise = {
        "promised_events": 2, "promised_hours": 2.9, "n_events": 31, "hours": 4.4, "low": 0, "high": 13,
        "is_kept": False, "is_within": False,
    }  # fmt: skip
    page = write_report(tmp_path, stream(promise=promise), [], recognizer).read_text("utf-8")
    assert "where 0 to 13 are to be expected (95 %) after 2 in 2.90 h of calibration: BROKEN" in page.replace(
        "\xa0", " "
    )


@pytest.mark.usefixtures("quick")
def test_names_that_are_no_text_are_written_as_far_as_they_are(
    tmp_path: Path, recognizer: Recognizer
) -> None:
    """Names of files may hold any bytes, which Python keeps as surrogates that UTF-8 has no place for."""
    result = clips_result(labels=("yes", "n\udcff"))
    result["source"]["path"] = "cl\udcf6ps\tof\xa0mine"
    result["pairs"][0]["clips"][0]["path"] = "yes/caf\udce9.wav"
    page = write_report(tmp_path, read(result), [sound(path="yes/caf\udce9.wav")], recognizer)
    written = json.loads((tmp_path / "clips.json").read_text(encoding="utf-8"))
    assert written["source"]["path"] == "cl\ufffdps\ufffdof\ufffdmine"
    assert written["mistakes"][0]["path"] == "yes/caf\ufffd.wav"
    assert written["labels"] == ["yes", "n\ufffd"]
    assert "caf\ufffd.wav" in page.read_text(encoding="utf-8")


def test_only_names_that_are_no_text_are_changed() -> None:
    kept = {"sentence": "größer\tals\xa0“x”", "n": [1, 2.5, None, True], "5": ("a", "b")}
    assert make_encodable(kept) == kept | {"5": ["a", "b"]}
    assert make_encodable({"k\udcff": 1}) == {"k\ufffd": 1}
