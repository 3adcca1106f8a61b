"""The folders that the blocks of the pages run in, made once for all of them."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from page_blocks import ROOT, TINY_CNN, TINY_TRAINING
from toy_line import command
from toy_run import temporary_folder

from data_prep.synthetic import make_corpus, make_recording
from speechcmd.audio.coloured_noise import coloured_noise
from speechcmd.audio.samples import SAMPLE_RATE, float32_to_int16

WORDS = ("lamp", "music")
OTHER_WORDS = ("bird", "tree", "zero")
# fmt: off
TRAINED_TO_HEAR = (
    "--words", ",".join(WORDS), "--epochs", "12", "--learning-rate", "0.01", "--unknown", "all", "--length", "0.6",
    "--speech-percent", "25", "--no-gain", "--no-spec-augment", "--set", "augment.half_seen_percent=0",
    "--set", "augment.room_percent=0", "--set", "patience=12", "--model", "dropout=0",
)
# fmt: on
ROLES = ("train", "calibrate", "figures")


def copy_folder(name: str, dest: Path) -> None:
    """Copy a prepared folder; links in it stay links."""
    shutil.copytree(FOLDERS[name](), dest, symlinks=True)


@functools.cache
def empty_folder() -> Path:
    return new_folder()


@functools.cache
def examples_folder() -> Path:
    """A recording, a clip, samples without a header, and the repository's examples."""
    folder = new_folder()
    (folder / "examples").symlink_to(ROOT / "examples")
    samples, rate = soundfile.read(ROOT / "examples/commands.flac", dtype="int16")
    (folder / "recordings").mkdir()
    soundfile.write(folder / "recordings/talk.wav", samples[: 8 * rate], rate)
    (folder / "clips").mkdir()
    soundfile.write(folder / "clips/yes.wav", samples[:rate], rate)
    (folder / "samples.raw").write_bytes(samples[: 2 * rate].tobytes())
    (folder / "bin").mkdir()
    for program in ("playerctl", "notify-send"):
        (folder / "bin" / program).symlink_to("/bin/true")
    return folder


@functools.cache
def clips_folder() -> Path:
    """Folders of clips of ten people, speech and noise."""
    folder = new_folder()
    make_corpus(folder / "clips", (*WORDS, *OTHER_WORDS), n_speakers=10, clips_per_word=30, noise_s=4.0)
    for kind in ("talk", "noise"):
        (folder / kind).mkdir()
    rng = np.random.default_rng(0)
    for number in range(8):
        words = rng.choice(["one", "two", "three", "four", "five"], 6)
        talk, _ = make_recording(
            [str(word) for word in words], gaps_s=0.1, speaker=f"{number:08x}", seed=number
        )
        soundfile.write(folder / f"talk/{number}.wav", float32_to_int16(talk), SAMPLE_RATE)
    for role in ROLES:
        noise = 0.05 * coloured_noise(3 * SAMPLE_RATE, 1.0, rng)
        soundfile.write(folder / f"noise/{role}.wav", float32_to_int16(noise), SAMPLE_RATE)
    lines = ("path,role", *(f"{role}.wav,{role}" for role in ROLES))
    (folder / "noise/roles.csv").write_text("\n".join(lines) + "\n")
    return folder


@functools.cache
def trained_folder() -> Path:
    """The clips and their store, with speech and noise."""
    folder = new_folder(clips_folder())
    recordings = ("--speech", folder / "talk", "--noise", folder / "noise")
    command("prepare", folder / "clips", *recordings, "--store", folder / "store", "--workers", "1")
    return folder


@functools.cache
def measured_folder() -> Path:
    """A run, its model file and a recording whose words are known."""
    folder = new_folder(trained_folder())
    command("train", folder / "store", "--run", folder / "run", *TINY_TRAINING, *TINY_CNN, *TRAINED_TO_HEAR)
    command("export", folder / "run", "-o", folder / "mine.onnx")
    stream = ("-o", folder / "stream.wav", "-m", folder / "mine.onnx", "--minutes", "1")
    command("make-stream", folder / "store", *stream)
    return folder


@functools.cache
def voice_folder() -> Path:
    """Clips of two words by one voice, as a recorder names them."""
    folder = new_folder()
    for number, word in enumerate(WORDS):
        (folder / "clips" / word).mkdir(parents=True)
        for take in range(20):
            clip, _ = make_recording([word], gaps_s=0.5, speaker="a11ce000", seed=100 * number + take)
            soundfile.write(folder / f"clips/{word}/me_{take + 1}.wav", float32_to_int16(clip), SAMPLE_RATE)
    spoken, _ = make_recording(["lamp", "music", "lamp"], gaps_s=1.0, speaker="a11ce000")
    soundfile.write(folder / "test.wav", float32_to_int16(spoken), SAMPLE_RATE)
    return folder


def new_folder(of: Path | None = None) -> Path:
    folder = temporary_folder() / "folder"
    if of is None:
        folder.mkdir()
    else:
        shutil.copytree(of, folder, symlinks=True)
    return folder


FOLDERS: dict[str, Callable[[], Path]] = {
    "empty": empty_folder,
    "examples": examples_folder,
    "clips": clips_folder,
    "trained": trained_folder,
    "measured": measured_folder,
    "voice": voice_folder,
}
