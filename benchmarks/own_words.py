"""Three own words of thirty clips each, by the commands of the README, from clips to what the model hears.

usage: python benchmarks/own_words.py [--set several|commands] [--test 20] [--no-noise] [--keep DIR] DATA [-- TRAIN OPTIONS]
       python benchmarks/own_words.py --model MODEL [--set several|commands] [--test 20] DATA

DATA is the unpacked speech data. The words are "alexa", "computer" and "jarvis", or "bird", "cat" and "happy", of
as many people as clips. Those of the test are others: "trimmed" ones end a tenth of a second round the word, "in
3 s" lie anywhere in three seconds of noise at their own floor. Other words are of role calibrate and of validation
speakers. A transcription is right if it has the word and no other; other words, speech and noise shall give none.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from data_prep.trim import find_speech
from speechcmd import Recognizer
from speechcmd.audio.reading import read_int16
from speechcmd.audio.samples import SAMPLE_RATE, Waveform, int16_to_float32

COMMANDS = "SpeechCommands/speech_commands_v0.02"
SETS = {
    "several": [f"isolated_words/{word}" for word in ("alexa", "computer", "jarvis")],
    "commands": [f"{COMMANDS}/{word}" for word in ("bird", "cat", "happy")],
}
OTHERS = ["isolated_words/smart_mirror", "other_words/amelia", "other_words/how_are_you", f"{COMMANDS}/bed"]
N_CLIPS, N_OTHERS, LONG_S, MARGIN_S = 30, 20, 3.0, 0.1
SPEECH_S, NOISE_S = 900.0, 150.0
Clips = list[tuple[str, Waveform]]


def read(path: Path) -> Waveform:
    return int16_to_float32(read_int16(path))


def draw(data: Path, folder: str, n_clips: int, held_out: bool, rng: np.random.Generator) -> list[Path]:
    """Clips of one word; those of a test are by other people than those of a training."""
    paths = sorted((data / folder).glob("*.wav"))
    if folder.startswith(COMMANDS):
        listed = set((data / COMMANDS / "validation_list.txt").read_text().split())
        testing = set((data / COMMANDS / "testing_list.txt").read_text().split())
        word = folder.rpartition("/")[2]
        wanted = listed if held_out else {f"{word}/{path.name}" for path in paths} - listed - testing
        paths = [path for path in paths if f"{word}/{path.name}" in wanted]
    else:
        paths = paths[::2] if held_out else paths[1::2]
    speakers: dict[str, Path] = {path.name.partition("_nohash_")[0]: path for path in paths}
    chosen = sorted(speakers.values())
    return [chosen[number] for number in rng.permutation(len(chosen))[:n_clips]]


def write_clips(data: Path, folders: Sequence[str], into: Path, has_noise: bool) -> None:
    rng = np.random.default_rng(0)
    for folder in folders:
        word = folder.rpartition("/")[2]
        (into / word).mkdir(parents=True)
        for number, path in enumerate(draw(data, folder, N_CLIPS, False, rng)):
            shutil.copy(path, into / word / f"p{number:02d}_nohash_0.wav")
    if has_noise:
        (into / "_background_noise_").mkdir()
        shutil.copy(data / COMMANDS / "_background_noise_/doing_the_dishes.wav", into / "_background_noise_")


def trim(waveform: Waveform) -> Waveform:
    speech = find_speech(waveform, SAMPLE_RATE)
    margin = round(MARGIN_S * SAMPLE_RATE)
    return waveform[max(0, speech.start - margin) : speech.end + margin]


def lengthen(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    """Three seconds with the clip anywhere in them, over noise at its own floor."""
    level = 10 ** (find_speech(waveform, SAMPLE_RATE).floor_db / 20)
    whole = rng.standard_normal(max(round(LONG_S * SAMPLE_RATE), len(waveform))).astype(np.float32)
    whole *= np.float32(level)
    first = int(rng.integers(0, len(whole) - len(waveform) + 1))
    whole[first : first + len(waveform)] = waveform
    return whole


def recordings(data: Path, folders: tuple[str, ...], seconds: float, rng: np.random.Generator) -> Waveform:
    """Recordings of role calibrate one after the other, without the words of any set in speech."""
    with (data / "roles.csv").open(newline="") as handle:
        rows = [row["path"] for row in csv.DictReader(handle) if row["role"] == "calibrate"]
    paths = [path for path in rows if path.startswith(folders)]
    parts, n_samples = [], 0
    for number in rng.permutation(len(paths)):
        parts.append(read(data / paths[number]))
        n_samples += len(parts[-1])
        if n_samples >= seconds * SAMPLE_RATE:
            break
    return np.concatenate(parts)


def run(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "speechcmd", *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"speechcmd {' '.join(arguments)}\n{done.stderr[-2000:]}")
    return done.stdout + done.stderr


def measure(recognizer: Recognizer, own: Clips, others: Clips, data: Path) -> Iterator[tuple[str, str]]:
    rng = np.random.default_rng(1)
    long_own = [(word, lengthen(clip, rng)) for word, clip in own]
    long_others = [(word, lengthen(clip, rng)) for word, clip in others]

    def share(clips: Clips, is_right: Callable[[str, Waveform], bool]) -> str:
        return f"{sum(is_right(*clip) for clip in clips)} of {len(clips)}"

    def classified(word: str, clip: Waveform) -> bool:
        return recognizer.classify(clip).label == word

    def heard(clip: Waveform) -> set[str]:
        return {detection.label for detection in recognizer.transcribe(clip)}

    yield "classify, own words trimmed", share([(word, trim(clip)) for word, clip in own], classified)
    yield "classify, own words in 3 s", share(long_own, classified)
    fires = lambda _, clip: recognizer.classify(clip).label in recognizer.card.words  # noqa: E731
    yield "classify, other words that fired", share(long_others, fires)
    yield "transcribe, own words in 3 s", share(long_own, lambda word, clip: heard(clip) == {word})
    yield "transcribe, other words that fired", share(long_others, lambda _, clip: bool(heard(clip)))
    for name, folders, seconds in (
        ("speech", ("audiobooks/", "sentences/"), SPEECH_S),
        ("noise", ("noise/", "music/"), NOISE_S),
    ):
        waveform = recordings(data, folders, seconds, rng)
        n_fired = len(list(recognizer.transcribe(waveform)))
        yield f"transcribe, fired in {name}", f"{n_fired} in {len(waveform) / SAMPLE_RATE / 60:.1f} min"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--set", choices=SETS, default="several", dest="words")
    parser.add_argument("--test", type=int, default=20, help="test clips of each word")
    parser.add_argument("--no-noise", action="store_true", help="no _background_noise_ among the clips")
    parser.add_argument("--keep", type=Path, help="folder for clips, store, run and model")
    parser.add_argument("--model", type=Path, help="measure this one of these words, which --keep kept")
    parser.add_argument("train", nargs="*", help="options of `speechcmd train`")
    args = parser.parse_args()
    folders = SETS[args.words]
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        model, said = (args.model, "") if args.model else train(args, args.keep or Path(scratch))
        seconds = time.perf_counter() - began
        rng = np.random.default_rng(2)
        own = [
            (folder.rpartition("/")[2], read(path))
            for folder in folders
            for path in draw(args.data, folder, args.test, True, rng)
        ]
        others = [
            ("", read(path)) for folder in OTHERS for path in draw(args.data, folder, N_OTHERS, True, rng)
        ]
        print(f"| {args.words}: {names_of(folders)} | {' '.join(args.train)} |\n|---|---|")
        for what, figure in measure(Recognizer.load(model), own, others, args.data):
            print(f"| {what} | {figure} |")
        if said:
            print(f"| clips to model | {seconds:.0f} s; {said} |")


def names_of(folders: Sequence[str]) -> str:
    return ",".join(folder.rpartition("/")[2] for folder in folders)


def train(args: argparse.Namespace, work: Path) -> tuple[Path, str]:
    """Write the clips, prepare, train, export: the model and what the training said of its best epoch."""
    folders = SETS[args.words]
    work.mkdir(parents=True, exist_ok=True)
    write_clips(args.data, folders, work / "clips", not args.no_noise)
    run("prepare", str(work / "clips"), "--store", str(work / "store"))
    said = run(
        "train", str(work / "store"), "--run", str(work / "run"), "--words", names_of(folders), *args.train
    )
    run("export", str(work / "run"), "-o", str(work / "own.onnx"))
    return work / "own.onnx", next(line for line in said.splitlines() if line.startswith("Best"))


if __name__ == "__main__":
    main()
