"""`speechcmd prepare` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from data_prep.store import Store
from data_prep.synthetic import make_corpus
from speechcmd.audio.coloured_noise import coloured_noise
from speechcmd.cli.main import cli


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in ("prepare", *arguments)])


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return make_corpus(tmp_path / "clips", ("up", "down"), n_speakers=6, clips_per_word=6, noise_s=1)


def test_it_says_what_came_of_it_and_leaves_audit_and_picture(corpus: Path, tmp_path: Path) -> None:
    result = run(corpus, "--store", tmp_path / "store", "--workers", "1")
    assert result.exit_code == 0, result.output
    assert "up" in result.stdout
    assert "is ready" in result.stdout
    audit = json.loads((tmp_path / "store" / "audit.json").read_text())
    assert sum(split["n_clips"] for split in audit["splits"].values()) == 12
    assert (tmp_path / "store" / "audit.png").read_bytes().startswith(b"\x89PNG")
    again = run(corpus, "--store", tmp_path / "store")
    assert again.exit_code == 0
    assert "was complete already" in again.stdout


def test_json_is_the_audit_alone(corpus: Path, tmp_path: Path) -> None:
    result = run(corpus, "--store", tmp_path / "store", "--json", "--workers", "1")
    assert json.loads(result.stdout)["splits"]["training"]["n_clips"] > 0


def test_length_and_export(corpus: Path, tmp_path: Path) -> None:
    result = run(
        corpus,
        "--store",
        tmp_path / "store",
        "--length",
        "0.8",
        "--export-wav",
        tmp_path / "wav",
        "--workers",
        "1",
    )
    assert result.exit_code == 0, result.output
    assert "12 trimmed clips" in result.stderr
    wavs = list((tmp_path / "wav").rglob("*.wav"))
    assert len(wavs) == 12
    assert {soundfile.info(wav).frames for wav in wavs} == {12_800}
    assert Store.open(tmp_path / "store").info["length"] == "0.8"


def test_noise_speech_music_and_roles(corpus: Path, tmp_path: Path) -> None:
    for kind in ("noise", "speech", "music"):
        (tmp_path / kind).mkdir()
        audio = coloured_noise(16_000, 1.0, np.random.default_rng(len(kind))) * 0.01
        soundfile.write(tmp_path / kind / "one.wav", audio, 16_000)
    roles = tmp_path / "my_roles.csv"
    roles.write_text("path,role\nnoise/one.wav,train\nspeech/one.wav,calibrate\nmusic/one.wav,figures\n")
    # the corpus's own noise is not in this file, so it is left out
    (corpus / "_background_noise_").rename(tmp_path / "unused")
    options = [f"--{kind}={tmp_path / kind}" for kind in ("noise", "speech", "music")]
    result = run(corpus, "--store", tmp_path / "store", *options, "--roles", roles, "--workers", "1")
    assert result.exit_code == 0, result.output
    found = {row.kind: row.role for row in Store.open(tmp_path / "store").rows if row.kind != "word"}
    assert found == {"noise": "train", "speech": "calibrate", "music": "figures"}


def test_download_is_asked_for_before_anything_else(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(
        "data_prep.download.download_speech_commands",
        lambda root, version, progress: asked.append((root, version)) or root,
    )
    assert run(corpus, "--store", tmp_path / "store", "--download", "v0.02", "--workers", "1").exit_code == 0
    assert asked == [(corpus, "v0.02")]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nowhere"], 1, "expected a folder of clips, found nothing"),
        (["clips", "--length", "long"], 2, "expected mean, p95 or seconds from 0.1 to 10"),
        (["clips", "--noise", "nowhere"], 1, "expected a folder of recordings, found nothing"),
        (["clips", "--workers", "-1"], 2, "Invalid value for '--workers'"),
    ],
)
def test_bad_input_is_one_line(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], status: int, message: str
) -> None:
    monkeypatch.chdir(corpus.parent)
    result = run(*arguments, "--store", "store")
    assert result.exit_code == status
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not Path("store").exists()
    assert not Path("store.part").exists()


def test_a_speaker_in_two_splits_is_an_error(corpus: Path, tmp_path: Path) -> None:
    clips = sorted(path.relative_to(corpus).as_posix() for path in corpus.glob("[du]*/*.wav"))
    speaker = Path(clips[0]).name.partition("_nohash_")[0]
    other = next(path for path in (corpus / "up").iterdir() if path.name.startswith(speaker))
    (corpus / "testing_list.txt").write_text(f"{clips[0]}\n")
    (corpus / "validation_list.txt").write_text(
        "".join(f"{clip}\n" for clip in clips if Path(clip).name == Path(clips[-1]).name)
    )
    result = run(corpus, "--store", tmp_path / "store")
    assert result.exit_code == 1
    assert f"speaker {speaker} is in two splits" in result.stderr
    assert other.name in result.stderr


def test_an_export_never_goes_over_the_clips_themselves(corpus: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in corpus.rglob("*.wav")}
    result = run(corpus, "--store", tmp_path / "store", "--export-wav", corpus, "--workers", "1")
    assert result.exit_code == 1
    assert "expected a new or empty folder to export to" in result.stderr
    assert {path: path.read_bytes() for path in corpus.rglob("*.wav")} == before
    assert not (tmp_path / "store").exists()


def test_an_export_may_be_written_again(corpus: Path, tmp_path: Path) -> None:
    arguments = (corpus, "--store", tmp_path / "store", "--export-wav", tmp_path / "wav", "--workers", "1")
    assert [run(*arguments).exit_code for _ in range(2)] == [0, 0]
