"""Clips around hits and near misses: the right samples, whatever the blocks, in a folder of bounded size."""

from __future__ import annotations

import json
import tempfile
import tracemalloc
from datetime import datetime, tzinfo
from pathlib import Path

import numpy as np
import pytest
import soundfile
from clips import NAME, RATE, hit, make, ramp, saved
from hypothesis import given, settings
from hypothesis import strategies as st

from speechcmd.audio.samples import Int16, Waveform, int16_to_float32
from speechcmd.runtime.listening import clip_saver

pytestmark = pytest.mark.runtime


def test_a_clip_lies_around_its_middle(tmp_path: Path) -> None:
    audio = ramp(8_000)
    saver = make(tmp_path / "new" / "folder")
    saver.feed(int16_to_float32(audio[:4_400]))
    saver.mark(hit(4.0))
    saver.feed(int16_to_float32(audio[4_400:4_999]))
    assert list((tmp_path / "new" / "folder").iterdir()) == []
    saver.feed(int16_to_float32(audio[4_999:5_000]))  # the last sample of the clip
    ((samples, about),) = saved(tmp_path / "new" / "folder").values()
    assert samples == audio[3_000:5_000].tolist()
    time = datetime.fromisoformat(about.pop("time"))
    assert time.tzinfo is not None
    assert abs((datetime.now().astimezone() - time).total_seconds()) < 60
    assert about == {
        "label": "yes",
        "kind": "hit",
        "score": 0.9711,
        "start_s": 3.7,
        "end_s": 4.3,
        "decided_s": 4.4,
        "clip_start_s": 3.0,
        "start_in_clip_s": 0.7,
        "end_in_clip_s": 1.3,
        "sample_rate": RATE,
        "n_samples": 2_000,
        "n_missing_samples": 0,
        "details": {"model": "toy", "thresholds": {"yes": 0.7}},
    }
    assert soundfile.info(next(tmp_path.rglob("*.flac"))).subtype == "PCM_16"
    assert (saver.n_saved, saver.n_failed, saver.take_problems()) == (1, 0, [])


def test_at_the_edges_a_clip_holds_what_there_is(tmp_path: Path) -> None:
    audio = ramp(3_000)
    saver = make(tmp_path)
    saver.feed(int16_to_float32(audio[:1_500]))
    saver.mark(hit(0.4, "first"))
    saver.feed(int16_to_float32(audio[1_500:]))
    saver.mark(hit(2.6, "last"))
    saver.mark(hit(9.0, "never came"))
    assert list(saved(tmp_path)) == ["first"]
    saver.close()
    found = saved(tmp_path)
    assert found["first"][0] == audio[:1_400].tolist()
    assert found["last"][0] == audio[1_600:].tolist()
    assert found["last"][1]["clip_start_s"] == 1.6
    assert set(found) == {"first", "last"}
    assert saver.take_problems() == [f"{tmp_path}: a clip was not saved (its audio is gone)"]


def test_a_late_mark_saves_what_is_left(tmp_path: Path) -> None:
    audio = ramp(12_000)
    saver = make(tmp_path)
    for begin in range(0, 12_000, 100):
        saver.feed(int16_to_float32(audio[begin : begin + 100]))
    saver.mark(hit(7.9, "in time"))
    saver.mark(hit(6.5, "late"))
    saver.mark(hit(2.0, "too late"))
    found = saved(tmp_path)
    assert found["in time"][0] == audio[6_900:8_900].tolist()
    assert found["late"][0] == audio[6_900:7_500].tolist()  # of five seconds, and the last block more
    assert "too late" not in found
    assert saver.n_failed == 1


def test_lost_audio_is_silent_and_counted(tmp_path: Path) -> None:
    audio = ramp(5_000)
    saver = make(tmp_path)
    saver.feed(int16_to_float32(audio[:2_500]))
    saver.mark(hit(2.0, "before"))
    saver.skip(300)
    saver.skip(0)
    saver.mark(hit(2.9, "across"))
    saver.feed(int16_to_float32(audio[2_500:]))
    found = saved(tmp_path)
    assert found["before"][0] == [*audio[1_000:2_500], *[0] * 300, *audio[2_500:2_700]]
    assert found["across"][0] == [*audio[1_900:2_500], *[0] * 300, *audio[2_500:3_600]]
    assert found["before"][1]["n_missing_samples"] == 300
    assert found["across"][1]["n_missing_samples"] == 300


def test_a_device_that_was_away_for_a_month(tmp_path: Path) -> None:
    audio = ramp(3_000)
    away = 30 * 24 * 3600 * RATE
    saver = make(tmp_path)
    saver.feed(int16_to_float32(audio[:1_500]))
    saver.mark(hit(1.0, "before"))
    tracemalloc.start()
    saver.skip(away)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()
    saver.feed(int16_to_float32(audio[1_500:]))
    saver.mark(hit((away + 2_000) / RATE, "after"))
    found = saved(tmp_path)
    assert found["before"][0] == [*audio[:1_500], *[0] * 500]
    assert found["before"][1]["n_missing_samples"] == 500
    assert found["after"][0] == [*[0] * 500, *audio[1_500:]]
    assert found["after"][1]["n_missing_samples"] == 500


def test_memory_does_not_grow(tmp_path: Path) -> None:
    saver = make(tmp_path, rate=16_000)
    second = np.zeros(16_000, dtype=np.float32)
    for _ in range(10):
        saver.feed(second)
        saver.skip(10)
    tracemalloc.start()
    for _ in range(100):
        saver.feed(second)
        saver.skip(10)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 500_000  # all of it would be 3.2 MB


def test_odd_samples_do_no_harm(tmp_path: Path) -> None:
    saver = make(tmp_path)
    saver.feed(np.tile(np.array([np.nan, np.inf, -np.inf, 2.0, 0.25], dtype=np.float32), 400))
    saver.mark(hit(1.0))
    assert saved(tmp_path)["yes"][0][:5] == [0, 32_767, -32_768, 32_767, 8_192]


# positions at which something happens: marks (decided), a loss
MARKS = [hit(0.5, "a"), hit(2.0, "b"), hit(2.2, "c"), hit(4.4, "d"), hit(6.9, "e")]
LOSS_AT, N_LOST = 2_900, 170


def feed_in_pieces(folder: Path, audio: Int16, cuts: list[int]) -> None:
    """Feed at the given cuts; marks come with the first piece that holds all that decided them."""
    waveform: Waveform = int16_to_float32(audio)
    waiting, position = list(MARKS), 0
    saver = make(folder)
    for cut in sorted({*cuts, LOSS_AT, len(audio)}):
        if position == LOSS_AT:
            saver.skip(N_LOST)
            position += N_LOST
        if cut <= position:
            continue
        saver.feed(waveform[position:cut])
        position = cut
        while waiting and waiting[0].decided_s * RATE <= position:
            saver.mark(waiting.pop(0))
    saver.close()


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(1, 7_399), max_size=60))
def test_any_division_gives_the_same_files(cuts: list[int]) -> None:
    audio = np.random.default_rng(1).integers(-32_768, 32_767, 7_400).astype(np.int16)
    heard = audio.copy()
    heard[LOSS_AT : LOSS_AT + N_LOST] = 0
    with tempfile.TemporaryDirectory() as name:
        feed_in_pieces(Path(name), audio, cuts)
        found = saved(Path(name))
    assert set(found) == {"a", "b", "c", "d", "e"}
    for label, middle, n_missing in [
        ("a", 500, 0),
        ("b", 2_000, 100),
        ("c", 2_200, 170),
        ("d", 4_400, 0),
        ("e", 6_900, 0),
    ]:
        assert found[label][0] == heard[max(0, middle - 1_000) : middle + 1_000].tolist()
        assert found[label][1]["n_missing_samples"] == n_missing


def test_near_misses_are_a_second_apart(tmp_path: Path) -> None:
    saver = make(tmp_path)
    saver.feed(int16_to_float32(ramp(6_000)))
    for i, decided_s in enumerate((1.0, 1.9, 2.0, 2.5, 3.1)):
        saver.mark(hit(1.5 + i / 10, f"near{i}", kind="near_miss", decided_s=decided_s))
        saver.mark(hit(1.5 + i / 10, f"hit{i}", decided_s=decided_s))
    kept = {label for label in saved(tmp_path) if label.startswith("near")}
    assert kept == {"near0", "near2", "near4"}  # the distance counts from the last one kept
    assert len(saved(tmp_path)) == 8


HOSTILE = ["a/b", "..", "../../x", "CON", "x:y*?<>|\"", "C:\\x", "naïve", "你好", "हाँ", "", "a" * 5_000, "語" * 300, "a\nb", "a\0b", "\ud800", "~", " yes ", "*"]  # fmt: skip


def test_hostile_labels_make_harmless_names(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    saver = make(folder)
    saver.feed(int16_to_float32(ramp(3_000)))
    for label in HOSTILE:
        saver.mark(hit(1.5, label))
    assert saver.take_problems() == []
    assert [path.name for path in tmp_path.iterdir()] == ["clips"]
    names = [path.name for path in folder.iterdir()]
    assert len({name.casefold() for name in names}) == len(names) == 2 * len(HOSTILE)
    assert [name for name in names if not NAME.fullmatch(name) or len(name.encode()) > 255] == []
    kept = {json.loads(path.read_text(encoding="utf-8"))["label"] for path in folder.glob("*.json")}
    assert kept == {label.replace("\ud800", "?") for label in HOSTILE}


class _StoppedClock(datetime):
    """Always the same moment."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> _StoppedClock:
        return cls(2026, 1, 2, 3, 4, 5, 678_900)


def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_saver, "datetime", _StoppedClock)
    saver = make(tmp_path)
    saver.feed(int16_to_float32(ramp(3_000)))
    for _ in range(3):
        saver.mark(hit(1.5))
    saver.mark(hit(1.5, kind="near_miss"))
    stem = "2026-01-02T03-04-05.678_yes_"
    stems = [f"{stem}{end}" for end in ("hit", "hit-2", "hit-3", "near_miss")]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"{one}{suffix}" for one in stems for suffix in (".flac", ".json")
    )
