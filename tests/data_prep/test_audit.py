"""The audit, on indices written by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data_prep.audit import OFFICIAL_COUNTS, audit, render_text
from data_prep.audit_files import bins_of, draw_audit
from data_prep.store import Row
from data_prep.store_check import Skipped


def row(
    path: str,
    split: str = "training",
    *,
    kind: str = "word",
    n_samples: int = 16_000,
    speech: tuple[int, int] = (4000, 12_000),
    flags: tuple[str, ...] = (),
    digest: str = "",
    role: str = "",
) -> Row:
    folder, _, name = path.partition("/")
    speaker = folder if kind == "speech" else name.partition("_")[0]
    word = folder if kind == "word" else ""
    return Row(
        kind, word, speaker, split, role, path, 0, n_samples, *speech, sum(speech) // 2, -60.0, flags,
        digest or path,
    )  # fmt: skip


CLEAN = [
    row("yes/ann_nohash_0.wav", speech=(0, 8000)),
    row("yes/ann_nohash_1.wav", speech=(0, 4000)),
    row("no/bob_nohash_0.wav", speech=(0, 12_000), n_samples=12_000),
    row("yes/cid_nohash_0.wav", "validation"),
    row("no/dan_nohash_0.wav", "testing"),
]


def test_counts_and_durations_by_hand() -> None:
    found = audit(CLEAN)
    training = found.splits["training"]
    assert (training.n_clips, training.n_speakers, training.clips) == (3, 2, {"no": 1, "yes": 2})
    # 1, 1 and 0.75 s before; 0.5, 0.25 and 0.75 s after
    assert training.before.mean_s == pytest.approx(2.75 / 3, abs=1e-4)
    assert (training.after.mean_s, training.after.median_s) == (0.5, 0.5)
    assert (training.after.p5_s, training.after.p95_s) == (0.275, 0.725)
    assert found.splits["testing"].clips == {"no": 1}
    assert found.words == ["no", "yes"]
    assert (found.errors, found.official) == ((), None)
    assert [note.partition(":")[0] for note in found.notes] == [
        "no clips of other words (a folder unknown) and no running speech"
    ]
    counts = [findings.count for findings in found.flags.values()]
    assert (counts, found.unreadable.count) == ([0] * len(counts), 0)


def test_other_rate_changes_seconds_only() -> None:
    assert audit(CLEAN, sample_rate=8000).splits["training"].after.mean_s == 1.0


def test_flags_and_unreadable_are_listed_and_cut() -> None:
    rows = [row(f"yes/s{i}_nohash_0.wav", flags=("too_short", "clipped")) for i in range(5)]
    found = audit([*rows, *CLEAN], [Skipped("yes/bad.wav", "the file is empty")], n_examples=3)
    assert found.flags["too_short"].count == found.flags["clipped"].count == 5
    assert found.flags["clipped"].examples == tuple(f"yes/s{i}_nohash_0.wav" for i in range(3))
    assert found.flags["dc_offset"].count == 0
    assert (found.unreadable.count, found.unreadable.examples) == (1, ("yes/bad.wav: the file is empty",))
    text = render_text(found)
    assert "clipped                          5   yes/s0_nohash_0.wav; yes/s1_nohash_0.wav; …\n" in text
    assert "yes/bad.wav: the file is empty\n" in text


def test_duplicates_across_splits_and_with_another_word() -> None:
    found = audit([
        row("yes/ann_nohash_0.wav", digest="aa"),
        row("yes/cid_nohash_0.wav", "validation", digest="aa"),
        row("no/ann_nohash_0.wav", digest="aa"),
        row("yes/bob_nohash_0.wav", digest="bb"),  # twice the same word in one split: harmless
        row("yes/bob_nohash_1.wav", digest="bb"),
        row("no/eve_nohash_0.wav", "testing", digest="cc"),
    ])  # fmt: skip
    assert found.duplicates_across_splits.examples == (
        "yes/ann_nohash_0.wav (training) = yes/cid_nohash_0.wav (validation)"
        " = no/ann_nohash_0.wav (training)",
    )
    assert found.duplicates_with_other_word.examples == ("yes/ann_nohash_0.wav = no/ann_nohash_0.wav",)
    assert found.errors == ()


def test_speaker_in_two_splits_is_an_error() -> None:
    found = audit([*CLEAN, row("no/ann_nohash_7.wav", "testing")])
    assert found.speakers_in_two_splits.count == 1
    (error,) = found.errors
    assert error.startswith("1 speaker in two splits, expected none: ann: yes/ann_nohash_0.wav (training)")
    assert f"error: {error}" in render_text(found)


def test_recordings_are_counted_by_kind_and_role() -> None:
    noises = [
        row(f"hum/{i}.wav", kind="noise", role="train", n_samples=16_000 * 900, digest=str(i)) for i in (0, 1)
    ]
    speech = [row("book/0.wav", kind="speech", role="figures", split="testing", n_samples=16_000 * 3600)]
    found = audit([*CLEAN, *noises, *speech])
    assert [(r.kind, r.role, r.count, r.hours) for r in found.recordings] == [
        ("noise", "train", 2, 0.5),
        ("speech", "figures", 1, 1.0),
    ]
    assert found.splits["training"].n_clips == 3
    assert "noise       train              2      0.50" in render_text(found)
    both = audit([*CLEAN, *speech, row("book/1.wav", kind="speech", role="train")])
    assert both.errors == ()
    assert both.notes[0].startswith("1 folder of speech in two splits")


@pytest.mark.parametrize(
    ("extra", "note"),
    [(0, "the complete official v9"), (-1, "a subset of the official v9: 2 of 3 training, "),
     (1, "not the official v9: more clips")],
)  # fmt: skip
def test_official_counts(monkeypatch: pytest.MonkeyPatch, extra: int, note: str) -> None:
    monkeypatch.setitem(OFFICIAL_COUNTS, "v9", {"training": 3, "validation": 1, "testing": 1})
    rows = CLEAN[1:] if extra < 0 else [*CLEAN, *[row("no/zoe_nohash_0.wav")] * extra]
    found = audit(rows, official="v9")
    assert found.notes[0].startswith(note)
    assert found.errors == ()
    assert "official" in render_text(found).splitlines()[0]


def test_official_totals_are_the_published_ones() -> None:
    assert sum(OFFICIAL_COUNTS["v0.02"].values()) == 105_829
    assert sum(OFFICIAL_COUNTS["v0.01"].values()) == 64_727 - 6


def test_audit_survives_json_and_emptiness() -> None:
    found = audit([*CLEAN, row("hum/0.wav", kind="noise", role="train")], official="v0.02").to_dict()
    assert json.loads(json.dumps(found))["splits"]["training"]["clips"] == {"no": 1, "yes": 2}
    empty = audit([])
    assert empty.splits["training"].before.mean_s == 0
    assert render_text(empty).startswith("split")


def test_a_word_with_dollars_is_drawn_as_it_is(tmp_path: Path) -> None:
    """Between two dollars matplotlib would read mathematics, and fail at what is none."""
    draw_audit([row(r"a$\bad{$b/ann_nohash_0.wav"), row("$x^2$/ann_nohash_0.wav")], tmp_path / "audit.png")
    assert (tmp_path / "audit.png").stat().st_size > 1000


@pytest.mark.parametrize("n_words", [0, 1, 35])
def test_picture_appears_whole_and_grows_with_the_labels(tmp_path: Path, n_words: int) -> None:
    rows = [row(f"word{i}/ann_nohash_{j}.wav") for i in range(n_words) for j in range(i + 1)]
    path = tmp_path / "audit.png"
    draw_audit(rows, path)
    header = path.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")
    assert width > 1000
    assert height >= 400 + 20 * n_words
    assert [entry.name for entry in tmp_path.iterdir()] == ["audit.png"]


@pytest.mark.parametrize("long_s", [1.2, 60.0, 1_800.0])
@pytest.mark.parametrize("n_clips", [1, 20, 2_000])
def test_bars_are_few_however_long_a_clip_is(long_s: float, n_clips: int) -> None:
    durations_s = np.array([0.6] * n_clips + [long_s])
    bins = bins_of(durations_s)
    assert 10 < len(bins) <= 155
    if n_clips == 2_000:
        np.testing.assert_allclose(np.diff(bins), 0.02)
        assert bins[-1] < 2
