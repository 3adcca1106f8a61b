"""Which recordings are taken, of which kind and role, with which labels and transcripts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from speechcmd.errors import EvaluationError
from speechcmd.evaluation.streams.homophone import HOMOPHONES, labels_heard_in
from speechcmd.evaluation.streams.recording_set import collect_recordings

LABELS = ("yes", "no", "go", "right")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two folders of recordings, which need not be readable to be listed."""
    for name in ("talk/a/1.wav", "talk/b/2.flac", "talk/notes.md", "music/song.mp3", "music/.hidden.wav"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "data"


def names(data: Path, *sources: str, role: str = "figures") -> list[tuple[str, str]]:
    found = collect_recordings([str(data / source) for source in sources], LABELS, role=role)
    return [(one.path.name, one.kind) for one in found.recordings]


def test_the_folder_names_the_kind(data: Path) -> None:
    assert names(data, "talk", "music") == [("1.wav", "talk"), ("2.flac", "talk"), ("song.mp3", "music")]
    found = collect_recordings([f"hum={data / 'music'}", str(data / "talk/a/1.wav")], LABELS, role="figures")
    assert [one.kind for one in found.recordings] == ["hum", "recordings"]
    assert len(collect_recordings([str(data), str(data / "talk")], LABELS, role="figures").recordings) == 3


def test_a_roles_file_decides(data: Path) -> None:
    (data / "roles.csv").write_text(
        "path,role\ntalk/a/1.wav,train\ntalk/b/2.flac,figures\nmusic/song.mp3,calibrate\n"
    )
    assert names(data, "talk") == [("2.flac", "talk")]
    assert collect_recordings([str(data / "talk")], LABELS, role="figures").n_other_role == 1
    assert names(data, "talk", role="train") == [("1.wav", "talk")]
    with pytest.raises(EvaluationError, match=r"music: expected recordings of role figures, all 1 in it"):
        names(data, "music")
    with pytest.raises(
        EvaluationError, match=r"1\.wav: has the role train in .*, here recordings of role figures"
    ):
        names(data, "talk/a/1.wav")


def test_a_roles_file_that_speaks_of_other_recordings_decides_nothing(data: Path) -> None:
    (data / "roles.csv").write_text("path,role\nelsewhere/x.wav,train\n")
    assert names(data, "talk/a/1.wav") == [("1.wav", "recordings")]
    assert len(names(data, "talk")) == 2


def test_a_recording_that_is_said_to_be_unused_stays_unused(data: Path) -> None:
    (data / "roles.csv").write_text("path,role\nmusic/song.mp3,unused\ntalk/a/1.wav,figures\n")
    with pytest.raises(EvaluationError, match=r"song\.mp3: is unused in .*roles\.csv"):
        names(data, "music/song.mp3")
    with pytest.raises(EvaluationError, match="music: expected recordings of role figures, all 1 in it"):
        names(data, "music")


@pytest.mark.skipif(os.name != "posix", reason="makes links")
def test_a_link_leads_round_no_roles(data: Path, tmp_path: Path) -> None:
    (data / "roles.csv").write_text("path,role\ntalk/a/1.wav,train\n")
    link = tmp_path / "link.wav"
    link.symlink_to(data / "talk/a/1.wav")
    with pytest.raises(EvaluationError, match=r"link\.wav: has the role train"):
        collect_recordings([str(link)], LABELS, role="figures")


def test_labels_lie_beside_a_recording(data: Path) -> None:
    (data / "talk/a/1.txt").write_text("0.5\t1.0\tyes\n")
    first, second = collect_recordings([str(data / "talk")], LABELS, role="figures").recordings
    assert first.annotation is not None
    assert [word.label for word in first.annotation.words] == ["yes"]
    assert second.annotation is None
    truth = data / "other.txt"
    truth.write_text("2.0\t2.5\tno\n")
    (only,) = collect_recordings([str(data / "talk/a/1.wav")], LABELS, role="figures", truth=truth).recordings
    assert only.annotation is not None
    assert only.annotation.words[0].label == "no"
    with pytest.raises(EvaluationError, match="--truth: expected one recording for its labels, got 2"):
        collect_recordings([str(data / "talk")], LABELS, role="figures", truth=truth)
    (data / "talk/a/1.txt").write_text("he went home\n")
    with pytest.raises(EvaluationError, match=r"1\.txt, line 1: expected start, end and label"):
        names(data, "talk")


def test_transcripts_tell_which_labels_sound(data: Path) -> None:
    (data / "transcripts.csv").write_text(
        "path,speaker,sentence\ntalk/a/1.wav,x,I know it\ntalk/b/2.flac,y,nothing at all\n"
    )
    first, second = collect_recordings([str(data / "talk")], LABELS, role="figures").recordings
    assert (first.sentence, first.heard) == ("I know it", {"no"})
    assert second.heard == frozenset()
    (data / "transcripts.csv").write_text("file,text\n")
    with pytest.raises(EvaluationError, match=r"transcripts\.csv: expected the columns path and sentence"):
        names(data, "talk")


def test_what_is_not_there_is_said(data: Path) -> None:
    with pytest.raises(EvaluationError, match="nowhere: expected a recording or a folder, found nothing"):
        names(data, "nowhere")
    (data / "empty").mkdir()
    with pytest.raises(EvaluationError, match="empty: expected recordings in the folder, found none"):
        names(data, "empty")


@pytest.mark.parametrize(
    ("sentence", "heard"),
    [
        ("I KNOW what they're going to do", {"no", "go"}),
        ("Mr. Wright will write right away", {"right"}),
        ("say yes!", {"yes"}),
        ("unknown nobody knows a goat", set()),
        ("", set()),
        ("I won\u2019t go", {"go"}),
    ],
)
def test_homophones(sentence: str, heard: set[str]) -> None:
    assert labels_heard_in(sentence, LABELS) == heard


def test_the_published_list() -> None:
    assert labels_heard_in("ate too won for", ["eight", "two", "one", "four", "no"]) == {
        "eight",
        "two",
        "one",
        "four",
    }
    assert labels_heard_in("a Smart mirror", ["smart_mirror", "No"]) == {"smart_mirror"}
    assert labels_heard_in("l'été, I know", ["été", "No"]) == {"No"}, "an apostrophe joins"
    assert not any(label in words for label, words in HOMOPHONES.items())
