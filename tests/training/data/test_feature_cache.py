"""The feature cache: what the front end gives, computed once, computed again when it does not fit."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from run_checks import failure

from data_prep import log_mel_images
from data_prep.feature_store import FeatureStore
from data_prep.store import COLUMNS, Row, Store, write_rows
from data_prep.task import TaskConfig, make_split_task
from models.frontend import FrontEndConfig, LogMel
from speechcmd.audio.samples import Int16, int16_to_float32
from speechcmd.errors import StoreError
from speechcmd.training.augment import image_channel
from speechcmd.training.data import feature_cache, frame_gather
from speechcmd.training.data.feature_cache import cached_features
from speechcmd.training.data.windows import StoreWindows

N_FRAMES = 40
WINDOW = 480 + 39 * 160  # 6720 samples
FRONT_END = FrontEndConfig()
HALF_ULP = 2.0**-8  # of float16 between 8 and 16
FLOOR_DB = -60.0

# name, kind, samples, speech from, to, centre
CLIPS = (
    ("yes/exact", "word", WINDOW, 1000, 5000, 3000),
    ("yes/short", "word", 3000, 200, 3000, 1500),
    ("yes/long", "word", 16_000, 7000, 13_000, 10_000),
    ("yes/late", "word", 16_000, 12_000, 16_000, 15_000),
    ("yes/early", "word", 16_000, 0, 3000, 1000),
    ("yes/tiny", "word", 100, 0, 100, 50),
    ("hum", "noise", 480 + 99 * 160, 0, 16_320, 8160),  # 100 frames: two pieces and a half
    ("talk", "speech", 4000, 0, 4000, 2000),
    ("nothing", "music", 0, 0, 0, 0),
)


def samples_of(number: int, n_samples: int) -> Int16:
    rng = np.random.default_rng(number)
    return np.rint(rng.normal(0, 2000, n_samples)).astype(np.int16)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    path = tmp_path / "store"
    path.mkdir()
    audio = [samples_of(number, clip[2]) for number, clip in enumerate(CLIPS)]
    rows, offset = [], 0
    for name, kind, n_samples, start, end, centre in CLIPS:
        role = "" if kind == "word" else "train"
        word, speaker = ("yes", "anna") if kind == "word" else ("", "")
        place = (offset, n_samples, start, end, centre)
        rows.append(Row(kind, word, speaker, "training", role, name, *place, FLOOR_DB, (), "00"))
        offset += n_samples
    np.save(path / "audio.npy", np.concatenate(audio))
    with (path / "index.csv").open("w", newline="") as handle:
        handle.write(",".join(COLUMNS) + "\n")
        write_rows(handle, rows)
    statistics = {"mean_trimmed_samples": 4321, "p95_trimmed_samples": 6001, "n_words_measured": 6}
    info = {"schema": 1, "length": "p95", "data_digest": "d", "statistics": statistics}
    (path / "store.json").write_text(json.dumps(info))
    return Store.open(path)


def log_mel_of(samples: Int16) -> np.ndarray:
    waveform = torch.from_numpy(int16_to_float32(samples))
    return LogMel(FRONT_END)(waveform.unsqueeze(0))[0].numpy()


def cache(store: Store, tmp_path: Path, **other: Callable[[int, int], None]) -> FeatureStore:
    return cached_features(store, FRONT_END, N_FRAMES, tmp_path / "cache", **other)


def row_of(store: Store | FeatureStore, path: str) -> Row:
    return next(row for row in store.rows if row.path == path)


def assert_frames(found: FeatureStore, path: str, expected: np.ndarray) -> None:
    log_mel = found.log_mel_of(row_of(found, path))
    np.testing.assert_allclose(log_mel[: len(expected)], expected, atol=HALF_ULP + 1e-4)


def test_a_word_that_fits_is_kept_from_its_first_sample(store: Store, tmp_path: Path) -> None:
    found = FeatureStore.open(cache(store, tmp_path).path)
    assert found.log_mel.shape == (10, N_FRAMES, 40)
    assert found.log_mel.dtype == np.float16
    assert (found.scale, found.offset) == (1.0, 0.0)
    assert found.front_end == {
        "sample_rate": 16_000, "n_fft": 512, "win_length": 480, "hop_length": 160, "n_mels": 40,
        "f_min_hz": 0.0, "f_max_hz": 4000.0, "log_floor": 1e-6,
    }  # fmt: skip
    assert_frames(found, "yes/exact", log_mel_of(store.samples_of(store.rows[0])))
    source, kept = row_of(store, "yes/exact"), row_of(found, "yes/exact")
    assert replace(kept, offset=source.offset, digest=source.digest) == source


def test_the_end_of_a_short_word_is_noise_at_its_floor(store: Store, tmp_path: Path) -> None:
    found = cache(store, tmp_path)
    short = row_of(found, "yes/short")
    # 16 frames lie inside 3000 samples and cover 2880 of them
    assert (short.n_samples, short.speech_start, short.speech_end, short.centre) == (2880, 200, 2880, 1500)
    assert_frames(found, "yes/short", log_mel_of(store.samples_of(store.rows[1])))
    filling = found.log_mel_of(short)[20:]
    noise = np.random.default_rng(9).normal(0, 10 ** (FLOOR_DB / 20), 16_000).astype(np.float32)
    expected = LogMel(FRONT_END)(torch.from_numpy(noise).unsqueeze(0))[0].numpy()
    np.testing.assert_allclose(filling.mean(), expected.mean(), atol=0.2)
    assert filling.std() > 0.3
    tiny = row_of(found, "yes/tiny")
    assert (tiny.n_samples, tiny.speech_start, tiny.speech_end, tiny.centre) == (480, 0, 100, 50)


@pytest.mark.parametrize(
    ("path", "number", "first", "place"),
    [
        ("yes/long", 2, 10_000 - WINDOW // 2, (360, 6360, 3360)),
        ("yes/late", 3, 16_000 - WINDOW, (2720, 6720, 5720)),
        ("yes/early", 4, 0, (0, 3000, 1000)),
    ],
)
def test_of_a_long_word_the_part_around_its_centre_is_kept(
    store: Store, tmp_path: Path, path: str, number: int, first: int, place: tuple[int, int, int]
) -> None:
    found = cache(store, tmp_path)
    samples = store.samples_of(store.rows[number])[first : first + WINDOW]
    assert_frames(found, path, log_mel_of(samples))
    kept = row_of(found, path)
    assert (kept.speech_start, kept.speech_end, kept.centre) == place
    assert kept.n_samples == WINDOW


def test_a_recording_is_kept_in_consecutive_pieces(store: Store, tmp_path: Path) -> None:
    found = FeatureStore.open(cache(store, tmp_path).path)
    whole = log_mel_of(store.samples_of(store.rows[6]))
    assert_frames(found, "hum#0", whole[:40])
    assert_frames(found, "hum#1", whole[40:80])
    assert_frames(found, "hum#2", whole[80:])
    pieces = [row for row in found.rows if row.kind == "noise"]
    assert [row.path for row in pieces] == ["hum#0", "hum#1", "hum#2"]
    for piece, n_samples in zip(pieces, (WINDOW, WINDOW, 480 + 19 * 160), strict=True):
        assert (piece.role, piece.split, piece.floor_db) == ("train", "training", FLOOR_DB)
        assert (piece.n_samples, piece.speech_start, piece.speech_end) == (n_samples, 0, n_samples)
    assert_frames(found, "talk#0", log_mel_of(store.samples_of(store.rows[7])))
    assert row_of(found, "talk#0").n_samples == 480 + 22 * 160
    assert not [row for row in found.rows if row.kind == "music"]


def test_a_recording_comes_back_as_one(store: Store, tmp_path: Path) -> None:
    found = cache(store, tmp_path)
    hum, talk = (row for row in found.rows if row.kind != "word")
    n_samples = 480 + 99 * 160  # all of it
    assert (hum.path, hum.n_samples, hum.offset) == ("hum", n_samples, 6)
    assert (hum.speech_start, hum.speech_end, hum.centre) == (0, n_samples, n_samples // 2)
    assert (hum.kind, hum.role, hum.split, hum.floor_db) == ("noise", "train", "training", FLOOR_DB)
    assert (talk.path, talk.n_samples, talk.offset) == ("talk", 480 + 22 * 160, 9)
    assert [row.path for row in found.rows[:6]] == [clip[0] for clip in CLIPS[:6]]
    assert len(FeatureStore.open(found.path).rows) == 10  # the files stay what they are


@pytest.mark.parametrize("gather", ["memory", "device"])
def test_windows_cross_the_borders_of_pieces(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gather: str
) -> None:
    if gather == "device":
        monkeypatch.setattr(frame_gather, "gather_rows", frame_gather.gather_at_once)
    found = cache(store, tmp_path)
    task = make_split_task(found, TaskConfig(("yes",)), "training")
    (hum,) = task.silence
    starts = task.examples.first[hum] + 160 * np.array([0, 20, 33, 50, 90, -10])
    windows = StoreWindows((found,), task, torch.device("cpu"), FRONT_END)
    cut = windows.cut_frames(np.full(6, hum), starts, 30, np.random.default_rng(0)).numpy()
    whole = log_mel_of(store.samples_of(store.rows[6]))
    for window, first in zip(cut[:4], (0, 20, 33, 50), strict=True):
        np.testing.assert_allclose(window, whole[first : first + 30], atol=HALF_ULP + 1e-4)
    np.testing.assert_allclose(cut[4, :10], whole[90:], atol=HALF_ULP + 1e-4)  # behind it lies filling
    np.testing.assert_allclose(cut[5, 10:], whole[:20], atol=HALF_ULP + 1e-4)  # before it a word
    kept = found.log_mel.astype(np.float32)
    for filled, inside in ((cut[4, 10:], cut[4, :10]), (cut[5, :10], cut[5, 10:])):
        assert all(any(np.array_equal(frame, other) for other in inside) for frame in filled)
    assert not any(np.array_equal(frame, other) for frame in cut[4, 10:] for other in kept[8, 20:])


def test_a_word_never_runs_into_the_next_clip(store: Store, tmp_path: Path) -> None:
    """Of each word a window that reaches beyond both its ends holds nothing but its own frames."""
    found = cache(store, tmp_path)
    task = make_split_task(found, TaskConfig(("yes",)), "training")
    starts = task.examples.first[task.words] - 160 * 15
    windows = StoreWindows((found,), task, torch.device("cpu"), FRONT_END)
    cut = windows.cut_frames(task.words, starts, 70, np.random.default_rng(0)).numpy()
    for row, window in zip(found.rows, cut, strict=False):
        own = {frame.tobytes() for frame in found.log_mel_of(row)[: FRONT_END.n_frames(row.n_samples)]}
        assert {frame.tobytes() for frame in window} <= own
    assert len(cut) == 6


def test_lengths_stay_those_of_the_audio(store: Store, tmp_path: Path) -> None:
    found = cache(store, tmp_path)
    assert found.info["length"] == "p95"
    assert [found.length_samples(length) for length in ("mean", "p95")] == [4321, 6001]


def test_it_is_computed_once(store: Store, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    first = cache(store, tmp_path, on_progress=lambda *progress: seen.append(progress))
    assert seen == [(10, 10)]
    before = (first.path / "log_mel.npy").stat().st_mtime_ns
    second = cache(store, tmp_path, on_progress=lambda *progress: seen.append(progress))
    assert seen == [(10, 10)]
    assert (second.path, second.digest) == (first.path, first.digest)
    assert (first.path / "log_mel.npy").stat().st_mtime_ns == before
    assert len(first.path.name) == 16


def test_blocks_change_nothing(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = cache(store, tmp_path).log_mel.copy()
    monkeypatch.setattr(feature_cache, "_BLOCK", 4)
    seen: list[int] = []
    found = cached_features(
        store, FRONT_END, N_FRAMES, tmp_path / "other", lambda done, total: seen.append(done)
    )
    assert seen == [4, 8, 10]
    np.testing.assert_allclose(found.log_mel.astype(float), at_once.astype(float), atol=2 * HALF_ULP)


def test_each_configuration_has_a_cache_of_its_own(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    other = Store(store.path, store.rows, store.info | {"data_digest": "e"})
    found = [
        cached_features(store, FRONT_END, N_FRAMES, folder),
        cached_features(store, FRONT_END, N_FRAMES + 1, folder),
        cached_features(store, FrontEndConfig(f_max_hz=8000.0), N_FRAMES, folder),
        cached_features(other, FRONT_END, N_FRAMES, folder),
    ]
    assert len({each.path for each in found}) == 4
    assert found[1].n_frames == 41


def cut_features(path: Path) -> None:
    features = path / "log_mel.npy"
    features.write_bytes(features.read_bytes()[:-100])


def lose_info(path: Path) -> None:
    (path / "store.json").unlink()


def change_settings(path: Path) -> None:
    info = json.loads((path / "store.json").read_text())
    info["settings"]["version"] = -1
    (path / "store.json").write_text(json.dumps(info))


@pytest.mark.parametrize("damage", [cut_features, lose_info, change_settings])
def test_a_stale_or_damaged_cache_is_computed_again(
    store: Store, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    first = cache(store, tmp_path)
    whole = (first.path / "log_mel.npy").read_bytes()
    damage(first.path)
    again = cache(store, tmp_path)
    assert (again.path / "log_mel.npy").read_bytes() == whole
    assert FeatureStore.open(again.path).info == first.info
    assert [path.name for path in again.path.parent.iterdir()] == [again.path.name]


def test_two_processes_may_write_the_same_cache(store: Store, tmp_path: Path) -> None:
    """Interleaved: the second begins and ends while the first is at work, and is what both use."""
    written: list[int] = []

    def meanwhile(done: int, total: int) -> None:
        written.append((cache(store, tmp_path).path / "log_mel.npy").stat().st_ino)

    first = cache(store, tmp_path, on_progress=meanwhile)
    assert written == [(first.path / "log_mel.npy").stat().st_ino]
    assert [path.name for path in first.path.parent.iterdir()] == [first.path.name]
    assert_frames(first, "yes/exact", log_mel_of(store.samples_of(store.rows[0])))


@pytest.mark.parametrize("name", ["notes.txt", "notes.txt/cache"])
def test_what_is_no_folder_is_one_line(store: Store, tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    message = failure(lambda: cached_features(store, FRONT_END, N_FRAMES, tmp_path / name))
    assert message.startswith(f"{tmp_path / name}: cannot keep a feature cache (")
    assert message.endswith(
        "expected a folder that can be written and has room; choose another --feature-cache"
    )
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_full_disk_is_one_line(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **settings: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(feature_cache, "write_feature_store", fail)
    message = failure(lambda: cache(store, tmp_path))
    assert "cache: cannot keep a feature cache (No space left on device); expected a folder" in message
    assert not list((tmp_path / "cache").iterdir())


def test_somebody_elses_folder_is_left_alone(store: Store, tmp_path: Path) -> None:
    path = cache(store, tmp_path).path
    (path / "diary.txt").write_text("mine")
    (path / "store.json").unlink()
    with pytest.raises(StoreError, match="found something else"):
        cache(store, tmp_path)
    assert (path / "diary.txt").read_text() == "mine"


def test_the_importer_reads_what_the_image_channel_writes() -> None:
    assert log_mel_images.SCALE == 1 / image_channel.PIXEL_SCALE
    assert pytest.approx(log_mel_images.OFFSET) == -image_channel.PIXEL_OFFSET / image_channel.PIXEL_SCALE
    assert asdict(replace(FRONT_END, log_floor=image_channel.PIXEL_FLOOR)) == log_mel_images.FRONT_END
