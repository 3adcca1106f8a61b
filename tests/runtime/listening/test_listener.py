"""What happens to audio while listening, and that it can go on for days."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from fakes import LABELS, SAMPLE_RATE, STEP_SAMPLES, WINDOW_SAMPLES, plain_card, tone_recording, toy_model

from speechcmd.arrays import FloatArray
from speechcmd.runtime.listening import listener as listener_module
from speechcmd.runtime.listening.clip_saver import ClipSaver
from speechcmd.runtime.listening.listener import LatencyMeter, Listener, LoadMeter, measure_level
from speechcmd.runtime.microphone.open_microphone import Block
from speechcmd.runtime.model.card import DecoderSettings, LabelSettings
from speechcmd.runtime.recognition.decoder import Decoder, Detection
from speechcmd.runtime.recognition.recognizer import Recognizer
from speechcmd.runtime.recognition.stream import PosteriorStream, Stream, edge_samples

pytestmark = pytest.mark.runtime

# "high" never gets above 1, so it is a near miss each time
SETTINGS = DecoderSettings(labels={"high": LabelSettings(threshold=1.0, release_ratio=0.5)})


class Rules:
    """Stands in for a `RuleRunner`."""

    def __init__(self) -> None:
        self.got: list[Detection] = []
        self.n_polls = self.n_closes = 0

    def on_detection(self, detection: Detection) -> None:
        self.got.append(detection)

    def poll(self) -> None:
        self.n_polls += 1

    def close(self) -> None:
        self.n_closes += 1


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    path = tmp_path_factory.mktemp("model") / "toy.onnx"
    path.write_bytes(toy_model())
    return Recognizer.load(path)


def make_saver(folder: Path, limit_bytes: int = 10_000_000, sample_rate: int = SAMPLE_RATE) -> ClipSaver:
    return ClipSaver(folder, sample_rate=sample_rate, limit_bytes=limit_bytes, details={})


def make_listener(recognizer: Recognizer, **parts: Any) -> tuple[Listener, list[tuple[str, str]]]:
    notices: list[tuple[str, str]] = []
    stream = recognizer.stream(settings=SETTINGS, keep_near_misses=True)
    return Listener(stream, on_notice=lambda *notice: notices.append(notice), **parts), notices


def blocks_of(waveform: FloatArray, lost: int = 0) -> Iterator[Block]:
    for start in range(0, len(waveform), 320):
        yield Block(waveform[start : start + 320], 0 if start else lost, 0.0)


def hear(listener: Listener, waveform: FloatArray, lost: int = 0) -> list[Detection]:
    return [one for piece in blocks_of(waveform, lost) for one in listener.feed(piece).detections]


def clips(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    return sorted(found, key=lambda about: about["start_s"])


def test_words_and_near_misses_reach_everybody_once(recognizer: Recognizer, tmp_path: Path) -> None:
    rules = Rules()
    listener, notices = make_listener(recognizer, saver=make_saver(tmp_path), rules=rules)
    waveform = tone_recording([("low", 1.2), ("high", 2.5), ("low", 3.9), ("low", 5.5)], 8.0)
    heard = hear(listener, waveform)
    assert [one.label for one in heard] == ["low"] * 3
    assert rules.got == heard
    assert rules.n_polls >= 400  # commands that end are noticed though no word comes
    assert listener.finish() == []
    assert rules.n_closes == 1
    assert [(one["label"], one["kind"]) for one in clips(tmp_path)] == [
        ("low", "hit"),
        ("high", "near_miss"),
        ("low", "hit"),
        ("low", "hit"),
    ]
    assert notices == []
    assert listener.summary.heard == {"low": 3}
    assert listener.summary.n_near_misses == 1
    assert listener.summary.heard_s == pytest.approx(8.0)
    assert (listener.summary.lost_s, listener.summary.n_gaps) == (0, 0)
    assert listener.position_s == 0  # the stream is as new


def test_the_end_decides_and_writes_what_is_open(recognizer: Recognizer, tmp_path: Path) -> None:
    """A word that is still being spoken, and a near miss too: both at their own times."""
    for label in ("low", "high"):
        folder, rules = tmp_path / label, Rules()
        listener, _ = make_listener(recognizer, saver=make_saver(folder), rules=rules)
        waveform = tone_recording([(label, 1.9)], 2.12)
        assert hear(listener, waveform) == []
        heard = listener.finish()
        assert [one.label for one in heard] == ["low"] * (label == "low")
        assert rules.got == heard
        (about,) = clips(folder)
        assert about["start_s"] == pytest.approx(1.9, abs=0.03)
        assert about["start_in_clip_s"] == pytest.approx(1.0, abs=0.15)
        (path,) = folder.glob("*.flac")
        saved, _ = soundfile.read(path, dtype="float32")
        first = round(about["clip_start_s"] * SAMPLE_RATE)
        np.testing.assert_allclose(saved, waveform[first:], atol=1 / 32_768)


@pytest.mark.parametrize("gap_s", [0.1, 3.0, 3_600.0])
def test_a_word_right_before_a_gap_is_kept(recognizer: Recognizer, tmp_path: Path, gap_s: float) -> None:
    """However long it is: the microphone may be away for hours."""
    for label in ("low", "high"):
        folder = tmp_path / label
        listener, notices = make_listener(recognizer, saver=make_saver(folder), rules=(rules := Rules()))
        heard = hear(listener, tone_recording([(label, 1.2)], 1.44))
        assert heard == []
        heard = hear(listener, tone_recording([], 1.0, seed=1), lost=round(gap_s * SAMPLE_RATE))
        assert [one.label for one in heard] == ["low"] * (label == "low")
        assert rules.got == heard
        assert listener.position_s == pytest.approx(2.44 + gap_s)
        listener.finish()
        (about,) = clips(folder)
        assert about["start_s"] == pytest.approx(1.2, abs=0.03)
        assert about["n_missing_samples"] == pytest.approx(min(gap_s, 0.9) * SAMPLE_RATE, abs=1_600)
        assert notices == []
        assert listener.summary.n_gaps == 1
        assert listener.summary.lost_s == pytest.approx(gap_s)
        assert listener.summary.heard_s == pytest.approx(2.44)
        assert listener.summary.heard.total() + listener.summary.n_near_misses == 1


def test_a_word_after_a_gap_is_kept_at_its_place(recognizer: Recognizer, tmp_path: Path) -> None:
    listener, _ = make_listener(recognizer, saver=make_saver(tmp_path))
    hear(listener, tone_recording([], 2.0))
    right = tone_recording([("low", 1.5)], 4.0, seed=1)
    hear(listener, right, lost=123_457)
    listener.finish()
    (about,) = clips(tmp_path)
    first = round(about["clip_start_s"] * SAMPLE_RATE) - 2 * SAMPLE_RATE - 123_457
    (path,) = tmp_path.glob("*.flac")
    saved, _ = soundfile.read(path, dtype="float32")
    # three decimals of a second say the place to within 8 samples
    errors = [np.abs(saved - right[first + shift :][: len(saved)]).max() for shift in range(-9, 10)]
    assert min(errors) <= 1 / 32_768


def test_a_gap_without_audio_behind_it(recognizer: Recognizer) -> None:
    listener, _ = make_listener(recognizer)
    hear(listener, tone_recording([("low", 1.2)], 1.44))
    update = listener.feed(Block(np.zeros(0, dtype=np.float32), 8_000, 0.0))
    assert [one.label for one in update.detections] == ["low"]
    assert (update.n_samples, update.level_db, update.peak_db) == (0, -100.0, -100.0)
    assert listener.position_s == pytest.approx(1.94)


def test_problems_of_the_saver_are_told(recognizer: Recognizer, tmp_path: Path) -> None:
    listener, notices = make_listener(recognizer, saver=make_saver(tmp_path / "gone"))
    (tmp_path / "gone").rmdir()
    hear(listener, tone_recording([("low", 1.2), ("low", 2.4)], 5.0))
    listener.finish()
    assert [kind for kind, _ in notices] == ["saving"]
    assert "a clip was not saved" in notices[0][1]
    assert listener.saver is not None
    assert (listener.saver.n_saved, listener.saver.n_failed) == (0, 2)


def test_an_update(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        listener_module, "time", SimpleNamespace(monotonic=lambda: 10.5, process_time=lambda: 0.0)
    )
    listener, _ = make_listener(recognizer)
    square = np.tile(np.array([0.1, -0.1], dtype=np.float32), 160)
    square[7] = -0.5
    update = listener.feed(Block(square, 0, 10.45))
    assert update.latency_ms == pytest.approx(50)
    assert update.n_samples == 320
    assert update.peak_db == pytest.approx(-6.02, abs=0.01)
    assert update.level_db == pytest.approx(10 * np.log10((319 * 0.01 + 0.25) / 320), abs=0.01)
    assert listener.scores == {"low": 0.0, "high": 0.0}


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([], (-100.0, -100.0)),
        ([0.0, 0.0], (-100.0, -100.0)),
        ([1e-9], (-100.0, -100.0)),
        ([1.0, -1.0], (0.0, 0.0)),
        ([-1.0, 0.0], (-3.0103, 0.0)),
    ],
)
def test_levels(samples: list[float], expected: tuple[float, float]) -> None:
    assert measure_level(np.array(samples, dtype=np.float32)) == pytest.approx(expected, abs=1e-3)


def test_the_load_is_the_share_of_the_last_second(monkeypatch: pytest.MonkeyPatch) -> None:
    wall, used = [100.0], [5.0]
    clocks = SimpleNamespace(monotonic=lambda: wall[0], process_time=lambda: used[0])
    monkeypatch.setattr(listener_module, "time", clocks)
    meter = LoadMeter()
    shares = []
    for busy_s in [0.05] * 10 + [0.01] * 20:
        wall[0] += 0.1001
        used[0] += busy_s
        meter.measure()
        shares.append(meter.share)
    assert shares[:9] == [0.0] * 9
    assert shares[9:19] == pytest.approx([0.5] * 10, rel=0.01)
    assert shares[19:29] == pytest.approx([0.1] * 10, rel=0.01)


# Two hours -----------------------------------------------------------------------------------------------


LOW_RATE = SAMPLE_RATE // 4
PIECE_S = 2.0


def cheap_stream() -> Stream:
    """The real stream and decoder around a network that costs nothing: a loud window is "low".

    At a quarter of the rate and with long updates: what may grow is counted in pieces, steps and words.
    """
    card = plain_card(
        sample_rate=LOW_RATE, window_samples=WINDOW_SAMPLES // 4, step_samples=STEP_SAMPLES // 4
    )

    def infer(waveform: FloatArray) -> FloatArray:
        windows = np.lib.stride_tricks.sliding_window_view(waveform**2, card.window_samples)
        power = windows[:: card.step_samples].mean(axis=1)
        n_steps = len(power)
        posteriors = np.zeros((n_steps, len(LABELS)), dtype=np.float32)
        posteriors[:, 2] = np.clip(power / 0.03, 0.0, 1.0)
        posteriors[:, 0] = 1 - posteriors[:, 2]
        return posteriors

    decoder = Decoder(card, first_sample=-edge_samples(card), keep_near_misses=True)
    return Stream(PosteriorStream(infer, card, PIECE_S), decoder, card)


def minute_of_audio() -> FloatArray:
    """A word every twenty seconds, one of them quiet: a near miss."""
    waveform = tone_recording([("low", 5.0), ("low", 45.0)], 60.0)
    waveform += np.float32(0.63) * tone_recording([("low", 25.0)], 60.0, noise_rms=0.0)
    return waveform[::4].copy()


def listen_for_two_hours(folder: Path) -> None:
    """The live path with gaps, clips and rules, two seconds a piece; what came of it goes to standard output."""
    rules = Rules()
    saver = make_saver(folder, limit_bytes=200_000, sample_rate=LOW_RATE)
    listener = Listener(cheap_stream(), saver=saver, rules=rules, on_notice=pytest.fail)
    minute, size = minute_of_audio(), round(PIECE_S * LOW_RATE)
    resident = []
    for number in range(120):
        for start in range(0, len(minute), size):
            lost = 400 if start == 0 and number % 5 == 4 else 0
            listener.feed(Block(minute[start : start + size], lost, 0.0))
        rules.got.clear()  # it is the test's own
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        resident.append(pages * os.sysconf("SC_PAGESIZE"))
    listener.finish()
    found = listener.summary
    counts = [found.heard["low"], found.n_near_misses, found.n_gaps, saver.n_saved]
    json.dump({"resident": resident, "counts": counts}, sys.stdout)


@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="only Linux says so simply how much is used"
)
def test_two_hours_do_not_grow(tmp_path: Path) -> None:
    """Flat from minute ten to the end, in a process of its own: what others freed would hide a growth."""
    script = "import sys, pathlib, test_listener as one; one.listen_for_two_hours(pathlib.Path(sys.argv[1]))"
    folder = Path(__file__).resolve().parent
    root = folder.parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (folder, root / "tests/support", root)))},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["counts"] == [240, 120, 24, 360]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 200_000
    assert result["resident"][-1] - result["resident"][9] < 1_000_000


def test_the_latency_shown_is_the_longest_of_the_last_second_or_two() -> None:
    now = [100.0]
    meter = LatencyMeter(lambda: now[0])
    for at, latency_ms, expected in (
        (0, 3, 3),
        (0.5, 1, 3),
        (1.1, 2, 3),
        (1.5, 1, 3),
        (2.2, 1, 2),
        (3.3, 0.5, 1),
    ):
        now[0] = 100.0 + at
        meter.see(latency_ms)
        assert meter.longest_ms == expected
