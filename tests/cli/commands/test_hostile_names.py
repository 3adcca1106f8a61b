"""Names steer no terminal: each command is run on files, folders, words and devices with hostile names."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from pathlib import Path

import pytest
import soundfile
from clip_corpus import write_corpus, write_store
from evaluation_results import clips_result
from fake_sound import FakeDevice, use
from fakes import SAMPLE_RATE, tone_recording, toy_model

from speechcmd.cli.main import COMMANDS, main

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a file cannot have such a name there")

# a title, a clear screen, a colour as one C1 character, a name that is read backwards, rich markup
EVIL = "a\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp[red][bold"
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe]"
)
WAV, MODEL, FOLDER, STORE = f"{EVIL}.wav", f"{EVIL}.onnx", f"{EVIL}.dir", f"{EVIL}.store"
# what rich draws with; none of it is in the name
DRAWING = re.compile(r"\x1b\[(?:[0-9;]*[mAK]|\?25[lh])|\r")
RUNS = {
    "classify": (["classify", "-m", MODEL, WAV], 0),
    "classify missing": (["classify", "-m", "toy.onnx", f"{EVIL}.mp3", WAV], 1),
    "classify no model": (["classify", "-m", f"{EVIL}.nix", WAV], 1),
    "classify no label": (["classify", "-m", "toy.onnx", "--labels", EVIL, WAV], 2),
    "classify no option": (["classify", f"--{EVIL}"], 2),
    "transcribe": (["transcribe", "-m", MODEL, WAV], 0),
    "transcribe folder": (["transcribe", "-m", "toy.onnx", FOLDER, "-o", f"{EVIL}.results/"], 0),
    "listen": (["listen", "-m", MODEL, "--input-file", WAV], 0),
    "listen no rules": (["listen", "-m", "toy.onnx", "--input-file", WAV, "--exec", f"{EVIL}.toml"], 1),
    "info": (["info", "-m", f"{EVIL}.nix"], 1),
    "info broken": (["info", "-m", WAV], 1),
    "models": (["models", EVIL], 2),
    "devices": (["devices"], 0),
    "doctor": (["doctor", "--device", EVIL], 1),
    "prepare": (["prepare", FOLDER, "--store", f"{EVIL}.new"], 0),
    "prepare nothing": (["prepare", f"{EVIL}.nix", "--store", "x"], 1),
    "train": (["train", STORE, "--run", f"{EVIL}.run", "--words", "nix"], 1),
    "train no store": (["train", f"{EVIL}.nix", "--run", "run"], 1),
    "export": (["export", FOLDER, "-o", f"{EVIL}.x.onnx"], 1),
    "evaluate": (["evaluate", f"{EVIL}.nix", "-m", MODEL], 1),
    "evaluate store": (["evaluate", STORE, "-m", MODEL, "--split", "testing"], 0),
    "make-stream": (["make-stream", STORE, "-o", f"{EVIL}.stream.wav", "--minutes", "0.2"], 1),
    "evaluate-stream": (["evaluate-stream", FOLDER, "-m", MODEL], 0),
    "calibrate": (
        ["calibrate", f"{EVIL}.nix", "-m", MODEL, "-o", f"{EVIL}.out.onnx", "--false-accepts-per-hour", "1"],
        1,
    ),
    "card": (["card", MODEL, "--report", f"{EVIL}.report"], 1),
    "card nothing": (["card", MODEL, "--report", f"{EVIL}.nix"], 1),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names")
    for name in (MODEL, "toy.onnx"):
        (folder / name).write_bytes(toy_model())
    corpus = write_corpus(folder / FOLDER)
    (corpus / "hum").rename(corpus / EVIL)
    for name in ("validation_list.txt", "testing_list.txt"):
        (corpus / name).unlink()
    write_store(corpus, folder / STORE)
    soundfile.write(folder / WAV, tone_recording([("low", 0.5)], 2.0), SAMPLE_RATE)
    (folder / f"{EVIL}.report").mkdir()
    (folder / f"{EVIL}.report" / "clips.json").write_text(json.dumps(clips_result()))
    return folder


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["speechcmd", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def on_terminal(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Exit status and all that a terminal gets."""
    import pty
    import tty

    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    got: list[bytes] = []

    def read() -> None:
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                return
            got.append(piece)

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        patch.setattr(sys, "stderr", terminal)
        status = run(arguments, patch)
    reader.join()
    os.close(ours)
    return status, b"".join(got).decode()


def test_every_command_is_tried() -> None:
    assert {arguments[0] for arguments, _ in RUNS.values()} == COMMANDS.keys()


@pytest.mark.parametrize("name", RUNS)
def test_no_command_lets_a_name_steer_the_terminal(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments, status = RUNS[name]
    monkeypatch.chdir(folder)
    use(monkeypatch, devices=[FakeDevice(name=EVIL)])
    assert run(arguments, monkeypatch) == status
    piped = "".join(capfd.readouterr())
    again, shown = on_terminal(arguments, monkeypatch)
    assert again in (status, 0, 1)  # the second time the store or the results are there
    assert not OBEYED.findall(piped)
    assert not OBEYED.findall(DRAWING.sub("", shown))
    assert "gnp" in piped or "31m" in piped, "the name is not shown at all: this run proves nothing"
