from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from stream_store import BURST_S, SAMPLE_RATE, WORDS, burst_start, find_boundaries_once, write_store

from data_prep.store import Store
from speechcmd.audio.samples import Waveform
from speechcmd.errors import EvaluationError
from speechcmd.evaluation.streams.annotation import Word, read_annotation
from speechcmd.evaluation.synthesis import stream_plan
from speechcmd.evaluation.synthesis.stream_maker import make_stream, noise_level, render_sections
from speechcmd.evaluation.synthesis.stream_plan import StreamPlan, StreamSettings, plan_stream

pytestmark = pytest.mark.runtime

SNRS_DB = (20.0, 5.0, -5.0)
SETTINGS = StreamSettings(WORDS, minutes=1.2, snrs_db=SNRS_DB, gap_s=(0.3, 1.0))
PIECE_S = (4.0, 4.0)  # of noise: short, and of a length whose transform is quick


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with pytest.MonkeyPatch.context() as patch:
        find_boundaries_once(patch)
        patch.setattr(stream_plan, "PIECE_S", PIECE_S)
        yield write_store(tmp_path_factory.mktemp("maker") / "store")


@pytest.fixture(scope="module")
def plan(store: Store) -> StreamPlan:
    return plan_stream(store, SETTINGS)


def rendered(store: Store, plan: StreamPlan) -> tuple[Waveform, list[Word]]:
    parts = list(render_sections(store, plan))
    return np.concatenate([audio for audio, _ in parts]), [word for _, words in parts for word in words]


def silenced(plan: StreamPlan) -> StreamPlan:
    """The same noise with nothing said."""
    return replace(plan, sections=tuple(replace(section, events=()) for section in plan.sections))


def rms_between(waveform: Waveform, start_s: float, end_s: float) -> float:
    part = waveform[round(start_s * SAMPLE_RATE) : round(end_s * SAMPLE_RATE)].astype(np.float64)
    return float(np.sqrt(np.mean(part**2)))


@pytest.fixture(scope="module")
def heard(store: Store, plan: StreamPlan) -> tuple[Waveform, Waveform, list[Word]]:
    """The recording, its noise alone, and its labels."""
    mixed, words = rendered(store, plan)
    noise, nothing = rendered(store, silenced(plan))
    assert nothing == []
    return mixed, noise, words


def test_each_word_is_as_far_above_its_noise_as_stated(heard: tuple[Waveform, Waveform, list[Word]]) -> None:
    mixed, noise, words = heard
    assert len(words) > 60
    said = mixed - noise
    n_as_stated = 0
    for word in words:
        ratio = rms_between(said, word.start_s, word.end_s) / rms_between(noise, word.start_s, word.end_s)
        snr_db = 20 * np.log10(ratio)
        assert word.attributes["measured_snr_db"] == pytest.approx(snr_db, abs=0.05)
        n_as_stated += abs(float(word.attributes["snr_db"]) - snr_db) < 0.1
    assert n_as_stated >= 0.98 * len(words)
    assert {word.attributes["snr_db"] for word in words} == set(SNRS_DB)


def test_labels_lie_where_the_bursts_are(heard: tuple[Waveform, Waveform, list[Word]]) -> None:
    mixed, noise, words = heard
    said = mixed - noise
    in_words = np.zeros(len(said), dtype=bool)
    for word in words:
        first, last = round(word.start_s * SAMPLE_RATE), round(word.end_s * SAMPLE_RATE)
        in_words[first - 480 : last + 480] = True
        if word.attributes["kind"] == "speech":
            continue
        around = np.abs(said[first - 480 : last + 480])
        loud = np.flatnonzero(around > 0.05 * around.max())
        assert abs(loud[0] - 480) <= 90  # 5 ms and what the sine needs to rise
        assert abs(loud[-1] - (480 + last - first)) <= 90
        assert word.end_s - word.start_s == pytest.approx(BURST_S, abs=0.011)
    assert np.all(said[~in_words] == 0)


def test_a_word_that_its_clip_cuts_off_is_faded_for_five_milliseconds_only(
    store: Store, plan: StreamPlan
) -> None:
    section = next(section for section in plan.sections if section.events[0].spoken.row.word == WORDS[0])
    event = section.events[0]
    start, end = event.spoken.boundaries[0] + 800, event.spoken.boundaries[1] - 800  # inside the burst
    event = replace(event, spoken=replace(event.spoken, cut=(start, end), boundaries=(start, end)))
    alone = replace(plan, sections=(replace(section, events=(event,)),))
    mixed, _ = rendered(store, alone)
    said = (mixed - rendered(store, silenced(alone))[0])[event.start - section.start :][: end - start]
    clip = store.samples_of(event.spoken.row)[start:end].astype(np.float64)
    clip -= clip.mean()
    clip *= np.abs(said).max() / np.abs(clip).max()
    np.testing.assert_allclose(said[80:-80], clip[80:-80], atol=0.002 * np.abs(clip).max())
    fade = np.sin((np.arange(80) + 0.5) * np.pi / 160)
    np.testing.assert_allclose(said[:80], clip[:80] * fade, atol=0.002 * np.abs(clip).max())
    np.testing.assert_allclose(said[-80:], clip[-80:] * fade[::-1], atol=0.002 * np.abs(clip).max())


def test_boundaries_are_those_of_the_clip(plan: StreamPlan, store: Store) -> None:
    """Which clip is the n-th of the store tells where its burst is."""
    numbers = {row.path: number for number, row in enumerate(store.rows)}
    checked = 0
    for event in plan.events:
        start, _ = event.spoken.boundaries
        row = event.spoken.row
        if row.word == WORDS[0]:
            assert abs(start - burst_start(1 + numbers[row.path])) <= 80
            checked += 1
    assert checked > 10


def test_the_noise_keeps_its_level_under_every_word(plan: StreamPlan) -> None:
    level = noise_level(plan, 0, plan.settings.n_samples)
    for section in plan.sections:
        for event in section.events:
            np.testing.assert_allclose(
                level[event.start : event.end], 10 ** (section.noise_db / 20), rtol=1e-5
            )
    assert np.abs(np.diff(level) / level[1:]).max() < 0.005  # no step between sections either
    assert level.max() / level.min() > 5
    np.testing.assert_array_equal(noise_level(plan, 700_000, 900_000), level[700_000:900_000])


def test_the_file_holds_what_was_rendered_and_its_labels(
    store: Store, heard: tuple[Waveform, Waveform, list[Word]], tmp_path: Path
) -> None:
    done_s: list[float] = []
    made = make_stream(store, tmp_path / "stream.wav", SETTINGS, done_s.append)
    assert sum(done_s) == pytest.approx(72.0)
    info = soundfile.info(made.path)
    assert (info.samplerate, info.channels, info.subtype, info.frames) == (16_000, 1, "PCM_16", 72 * 16_000)
    audio, _, words = heard
    np.testing.assert_allclose(soundfile.read(made.path, dtype="float32")[0], audio, atol=2e-5)
    assert np.abs(audio).max() < 0.999
    found = read_annotation(tmp_path / "stream.json")
    assert found == replace(made.annotation, settings=found.settings)
    assert found.duration_s == 72.0
    assert found.settings["seed"] == 0
    assert found.settings["store_digest"] == "d1"
    assert sorted(found.words + found.others, key=lambda word: word.start_s) == words
    assert {word.label for word in found.words} == set(WORDS)
    assert {word.attributes["kind"] for word in found.others} == {"unknown", "speech"}
    track = read_annotation(tmp_path / "stream.txt").words
    assert [word.label for word in track] == [word.label for word in found.words]
    assert track[-1].end_s == pytest.approx(found.words[-1].end_s, abs=1e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stream.json", "stream.txt", "stream.wav"]


def test_rumble_and_offset_of_the_noise_are_not_counted(tmp_path: Path) -> None:
    """What is stated holds for what is heard: of this noise 99 % lie below 20 Hz."""
    store = write_store(tmp_path / "store", without=("music", "noise"), rumble=True)
    plan = plan_stream(store, replace(SETTINGS, minutes=0.5, snrs_db=(10.0,)))
    mixed, words = rendered(store, plan)
    noise, _ = rendered(store, silenced(plan))
    said = mixed - noise
    spectrum = np.fft.rfft(noise)
    spectrum[np.fft.rfftfreq(len(noise), 1 / SAMPLE_RATE) < 80] = 0
    heard_noise = np.fft.irfft(spectrum, len(noise)).astype(np.float32)
    for word in words:
        span = (word.start_s, word.end_s)
        snr_db = 20 * np.log10(rms_between(said, *span) / rms_between(heard_noise, *span))
        assert snr_db == pytest.approx(10.0, abs=0.5)


@pytest.mark.parametrize("snr_db", [-20.0, 50.0])
def test_no_sample_clips_and_there_is_never_digital_silence(
    store: Store, snr_db: float, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, minutes=0.3, snrs_db=(snr_db,))
    made = make_stream(store, tmp_path / "stream.flac", settings)
    samples, _ = soundfile.read(made.path, dtype="int16")
    assert soundfile.info(made.path).format == "FLAC"
    assert np.abs(samples.astype(int)).max() < 32_000
    assert all(part.any() for part in samples.reshape(-1, SAMPLE_RATE // 10))


def test_the_same_seed_gives_the_same_bytes_in_another_process(store: Store, tmp_path: Path) -> None:
    settings = replace(SETTINGS, minutes=0.3)
    make_stream(store, tmp_path / "stream.wav", settings)
    code = (
        "import sys; from pathlib import Path; from data_prep.store import Store;"
        "from speechcmd.evaluation.synthesis import stream_plan;"
        "from speechcmd.evaluation.synthesis.stream_maker import make_stream, StreamSettings;"
        f"stream_plan.PIECE_S = {PIECE_S};"
        f"settings = StreamSettings({WORDS}, minutes=0.3, snrs_db={SNRS_DB}, gap_s=(0.3, 1.0));"
        "make_stream(Store.open(sys.argv[1]), Path(sys.argv[2]), settings)"
    )
    other = tmp_path / "other"
    other.mkdir()
    environment = {**os.environ, "PYTHONHASHSEED": "123"}
    subprocess.run(
        [sys.executable, "-c", code, str(store.path), str(other / "stream.wav")], check=True, env=environment
    )
    for name in ("stream.wav", "stream.json", "stream.txt"):
        assert (tmp_path / name).read_bytes() == (other / name).read_bytes()
    make_stream(store, tmp_path / "stream.wav", replace(settings, seed=1))
    assert (tmp_path / "stream.wav").read_bytes() != (other / "stream.wav").read_bytes()


def test_memory_is_that_of_a_section_not_of_the_recording(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_plan, "SECTION_S", (3.0, 5.0))
    # what is imported at the first call stays in memory: not counted
    make_stream(store, tmp_path / "before.wav", replace(SETTINGS, minutes=0.1))
    tracemalloc.start()
    try:
        make_stream(store, tmp_path / "stream.wav", SETTINGS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # 6.8 MB with a section at a time, 9.9 MB if all of them were kept
    assert peak < 8e6


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_what_breaks_off_leaves_what_was_there(
    store: Store, tmp_path: Path, error: type[BaseException]
) -> None:
    def stop(_: float) -> None:
        raise error

    (tmp_path / "stream.wav").write_text("before")
    with pytest.raises(error):
        make_stream(store, tmp_path / "stream.wav", replace(SETTINGS, minutes=0.1), stop)
    assert [path.name for path in tmp_path.iterdir()] == ["stream.wav"]
    assert (tmp_path / "stream.wav").read_text() == "before"


def test_a_full_disk_is_noticed(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(SETTINGS, minutes=0.1)

    def refuse(*_: Any) -> None:
        raise soundfile.LibsndfileError(2)

    with monkeypatch.context() as patch:
        patch.setattr(soundfile.SoundFile, "write", refuse)
        with pytest.raises(EvaluationError, match=r"stream\.wav: .*is the disk full"):
            make_stream(store, tmp_path / "stream.wav", settings)
    with monkeypatch.context() as patch:
        patch.setattr(soundfile.SoundFile, "write", lambda *_: None)  # lost without a word
        with pytest.raises(EvaluationError, match="is the disk full"):
            make_stream(store, tmp_path / "stream.wav", settings)
    assert list(tmp_path.iterdir()) == []


def test_a_recording_of_the_same_name_would_get_the_labels(store: Store, tmp_path: Path) -> None:
    for other in ("stream.flac", "stream.mp3", "stream.WAV"):
        (tmp_path / other).write_text("another")
        with pytest.raises(EvaluationError, match=rf"{other}: lies there already .* labels of stream\.wav"):
            make_stream(store, tmp_path / "stream.wav", SETTINGS)
        assert [path.name for path in tmp_path.iterdir()] == [other]
        (tmp_path / other).unlink()


def test_labels_of_another_hand_are_not_overwritten(store: Store, tmp_path: Path) -> None:
    settings = replace(SETTINGS, minutes=0.2)
    drawn, ours = tmp_path / "stream.txt", tmp_path / "stream.json"
    for path, text in ((drawn, "1.0\t1.5\tyes\n"), (ours, '{"words": []}'), (ours, "notes")):
        path.write_text(text)
        with pytest.raises(EvaluationError, match=rf"{path.name}: make-stream did not write these labels"):
            make_stream(store, tmp_path / "stream.wav", settings)
        assert [one.name for one in tmp_path.iterdir()] == [path.name]
        assert path.read_text() == text
        path.unlink()
    make_stream(store, tmp_path / "stream.wav", settings)
    made = ours.read_bytes()
    make_stream(store, tmp_path / "stream.wav", replace(settings, seed=5))  # one's own may be made anew
    assert ours.read_bytes() != made
    with drawn.open("a") as handle:  # a word that was heard in the speech
        handle.write("11.0\t11.5\tno\n")
    with pytest.raises(
        EvaluationError, match=r"stream\.txt: make-stream did not write these labels, or not so"
    ):
        make_stream(store, tmp_path / "stream.wav", settings)


@pytest.mark.parametrize("taken", ["stream.wav", "stream.json", "stream.txt"])
def test_a_folder_of_the_name_is_refused_and_nothing_is_left(
    store: Store, tmp_path: Path, taken: str
) -> None:
    (tmp_path / taken).mkdir()
    with pytest.raises(EvaluationError, match=rf"{taken}: is a folder"):
        make_stream(store, tmp_path / "stream.wav", SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == [taken]
    (tmp_path / taken).rmdir()

    def take(_: float) -> None:
        (tmp_path / taken).mkdir(exist_ok=True)

    with pytest.raises(OSError, match=taken):
        make_stream(store, tmp_path / "stream.wav", replace(SETTINGS, minutes=0.1), take)
    assert [path.name for path in tmp_path.iterdir()] == [taken]


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
@pytest.mark.parametrize("stem", [b"n\xe4me", b"n" * 250])
def test_any_name_that_a_file_can_have(store: Store, tmp_path: Path, stem: bytes) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9" if b"\xe4" in stem else b"cafe")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    path = folder / f"{os.fsdecode(stem)}.wav"
    made = make_stream(store, path, replace(SETTINGS, minutes=0.1))
    assert sorted(os.fsencode(one.name) for one in folder.iterdir()) == [
        stem + b".json",
        stem + b".txt",
        stem + b".wav",
    ]
    assert made.path == path


def test_a_wrong_place_is_refused_before_any_work(store: Store, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"\.wav or \.flac"):
        make_stream(store, tmp_path / "stream.mp3", SETTINGS)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        make_stream(store, tmp_path / "nowhere" / "stream.wav", SETTINGS)
