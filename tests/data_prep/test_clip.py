"""One clip: flags at their bounds, equal audio, and wav files of odd forms read as soundfile reads them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_prep.clip import Clip, count_full_scale, digest_of, flags_of, measure_clip, measure_clips
from data_prep.corpus import Source
from data_prep.store_check import Skipped
from data_prep.synthetic import make_clip, voice_of
from data_prep.trim import TrimConfig
from speechcmd.audio import reading as audio
from speechcmd.audio.reading import read_int16
from speechcmd.audio.samples import Int16

SAMPLES = np.random.default_rng(0).integers(-32768, 32768, 4001).astype("<i2")


def source(path: Path, kind: str = "word") -> Source:
    return Source(path, f"yes/{path.name}", kind, "yes", "anna", "training", "", path.stat().st_size)


def wav_bytes(samples: Int16, before: bytes = b"", after: bytes = b"") -> bytes:
    """A 16 kHz mono wav by hand, with chunks before and after its samples."""
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16)
    body = b"WAVE" + form + before + b"data" + struct.pack("<I", samples.nbytes) + samples.tobytes() + after
    return b"RIFF" + struct.pack("<I", len(body)) + body


def test_flags_at_their_bounds() -> None:
    assert flags_of(3200, 15, 0.01) == ()
    assert flags_of(3199, 15, 0.0) == ("too_short",)
    assert flags_of(3200, 16, 0.0) == ("clipped",)
    assert flags_of(3200, 0, -0.0101) == ("dc_offset",)
    assert flags_of(10, 16, 0.5) == ("too_short", "clipped", "dc_offset")


def test_full_scale_is_counted_on_both_sides() -> None:
    assert count_full_scale(np.array([32767, -32768, -32767, 32766, 0], dtype=np.int16)) == 3
    assert count_full_scale(np.array([32766, -32766], dtype=np.int16)) == 0


def test_equal_audio_has_an_equal_digest_in_any_file(tmp_path: Path) -> None:
    rows = []
    for name in ("a.wav", "b.flac"):
        soundfile.write(tmp_path / name, SAMPLES, 16_000, subtype="PCM_16")
        clip = measure_clip(source(tmp_path / name))
        assert isinstance(clip, Clip)
        rows.append(clip.row)
    assert rows[0].digest == rows[1].digest == digest_of(SAMPLES)
    changed = SAMPLES.copy()
    changed[7] ^= 1
    assert digest_of(changed) != digest_of(SAMPLES)
    # a view with gaps is the same audio as its copy
    assert digest_of(SAMPLES[::2]) == digest_of(SAMPLES[::2].copy())


def test_clips_measured_together_are_those_measured_alone(tmp_path: Path) -> None:
    sources = []
    for i in range(6):
        waveform, _ = make_clip("go", voice_of(f"{i}"), np.random.default_rng(i), clip_s=0.6 + 0.0371 * i)
        soundfile.write(tmp_path / f"{i}.wav", waveform, 16_000)
        sources.append(source(tmp_path / f"{i}.wav", "noise" if i == 2 else "word"))
    (tmp_path / "4.wav").write_bytes(b"")
    together = measure_clips(sources, TrimConfig())
    for one, many in zip(map(measure_clip, sources), together, strict=True):
        if isinstance(one, Clip) and isinstance(many, Clip):
            assert one.row == many.row
            np.testing.assert_array_equal(one.samples, many.samples)
        else:
            assert one == many
    assert [type(found) for found in together] == [Clip] * 4 + [Skipped, Clip]
    assert together[4] == Skipped("yes/4.wav", "the file is empty (0 bytes)")


PLAIN = wav_bytes(SAMPLES)
ODD = wav_bytes(SAMPLES[:1]) + b"\0"
LIST = b"LIST" + struct.pack("<I", 4) + b"INFO"
FORMS = {
    "plain": (PLAIN, True),
    "no samples": (wav_bytes(SAMPLES[:0]), True),
    "wrong RIFF length": (PLAIN[:4] + b"\xff\xff\xff\xff" + PLAIN[8:], True),
    "chunk before": (wav_bytes(SAMPLES, before=LIST), False),
    "chunk after": (wav_bytes(SAMPLES, after=LIST), False),
    "cut": (PLAIN[:-100], False),
    "cut within a sample": (PLAIN[:-101], False),
    "streamed, length unknown": (PLAIN[:40] + b"\xff\xff\xff\xff" + PLAIN[44:], False),
    "more than it says": (ODD, False),
}


@pytest.mark.parametrize("form", FORMS)
def test_wav_of_any_form_is_read_bit_for_bit_as_by_soundfile(tmp_path: Path, form: str) -> None:
    content, is_plain = FORMS[form]
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    # the short way takes the plain ones only, or this test would compare soundfile with itself
    assert (audio._read_plain_wav(path) is not None) == is_plain
    expected = soundfile.read(path, dtype="int16")[0]
    found = read_int16(path)
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, expected)


def test_other_rates_and_widths_do_not_take_the_short_way(tmp_path: Path) -> None:
    for name, rate, subtype, n_samples in (("8bit", 16_000, "PCM_U8", 4001), ("cd", 44_100, "PCM_16", 1452)):
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, SAMPLES, rate, subtype=subtype)
        assert audio._read_plain_wav(path) is None
        assert abs(len(read_int16(path)) - n_samples) <= 1
    eight = soundfile.read(tmp_path / "8bit.wav", dtype="int16")[0]
    np.testing.assert_array_equal(read_int16(tmp_path / "8bit.wav"), eight)
