"""Make the released models from the unpacked data, step by step; what is done already is left as it is.

usage: python recipes/release.py DATA WORK [--models cnn,gru,tiny,cnn35] [--until train|export|calibrate|measure]
           [--threads N]                                  (needs espeak-ng, for words without real audio)

DATA holds SpeechCommands/, log_mel_images/, audiobooks/, sentences/, isolated_words/, noise/, music/ and
roles.csv; beside it come lists without homophones, roles-10.csv and roles-35.csv. In WORK come stores, runs,
streams, files and reports; interrupted, run it again: trainings go on where they were. The models end up in
WORK/released with their cards and figures. docs/measurements/released-models.md tells why each recipe is as it is.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from speechcmd.evaluation.streams.homophone import labels_heard_in
from speechcmd.files import open_text
from speechcmd.labels import ALL_WORDS, TEN_WORDS, join_labels

RECIPES = Path(__file__).resolve().parent
DATA = Path("data")  # all paths are relative to WORK: they come into the cards
OFFICIAL = DATA / "SpeechCommands" / "speech_commands_v0.02"
AUDIO, IMAGES, CALIBRATION = Path("audio"), Path("images"), Path("calibration")
LOOKALIKES = Path("lookalikes")
SPEECH = ("audiobooks", "sentences", "isolated_words")
TEN, ALL = join_labels(TEN_WORDS), join_labels(ALL_WORDS)
# with hardly any audio: clips of espeak-ng to train on, and of other voices to choose thresholds with
SPARSE = ("on", "off")
UNHEARD = (
    "zero", "one", "two", "three", "six", "seven", "nine", "dog", "follow", "house", "learn", "marvin",
    "sheila", "tree", "visual", "wow",
)  # fmt: skip
TRAINING_VOICES = "m1,m2,m3,m4,m5,m6,m7,f1,f2,f3,f4,f5"
CALIBRATION_VOICES = "m8,Annie,Andy,Denis,Mario,Storm,klatt2,klatt4"
FALSE_ACCEPTS_PER_HOUR = "1"
MOST_LOSS = "0.2"  # points that 8 bits may cost: 0.3 on the clips of others, with room for chance
# where nobody says a command; roles.csv tells which of it is for what
NEGATIVES = (
    *(DATA / name for name in (*SPEECH, "noise", "music")),
    f"noise={OFFICIAL / '_background_noise_'}",
)
# so often said without stress that it is no "two" or "four"
UNSTRESSED = ("to", "for")
SOURCES = (
    "Speech Commands v0.02|CC BY 4.0|https://arxiv.org/abs/1804.03209",
    "LibriSpeech (train-clean-5, dev-clean, in part)|CC BY 4.0|https://www.openslr.org/12",
    "speechocean762, in part|CC BY 4.0|https://www.openslr.org/101",
    "Wake-word recordings alexa, computer, jarvis|Apache-2.0|https://github.com/Picovoice/wake-word-benchmark",
    "ESC-10, folds 1 to 3|CC BY 3.0|https://github.com/karolpiczak/ESC-50",
    "Hungarian Dance No. 5, string orchestra|public domain|https://librosa.org/doc/latest/recordings.html",
    "Synthetic speech (espeak-ng)|not covered by the program's licence|https://github.com/espeak-ng/espeak-ng",
)


@dataclass(frozen=True)
class Training:
    """The stores of audio, the run that it begins with and the one that it learns from."""

    audio: tuple[str, ...]
    initial: str = ""
    teacher: str = ""


# the recipe of each is NAME.toml
TRAININGS = {
    "cnn-words": Training(("audio",)),
    "gru-words": Training(("audio",)),
    "gru": Training(("audio-10",), initial="gru-words"),
    "cnn": Training(("audio-10",), initial="cnn-words"),
    "tiny": Training(("audio-10", "lookalikes"), teacher="cnn"),
    "cnn35-words": Training(("audio",)),
    "cnn35": Training(("audio-35",), initial="cnn35-words"),
}
RELEASED = ("cnn", "gru", "tiny", "cnn35")


def run(*command: str | Path) -> None:
    """Show a command and run it; one that fails ends everything."""
    print("$", *command, flush=True)
    subprocess.run([str(each) for each in command], check=True)


def speechcmd(*arguments: str | Path) -> None:
    run(sys.executable, "-m", "speechcmd", *arguments)


# --- data


def make_corpus(folder: Path, words: tuple[str, ...], voices: str, n_clips: int, split: str) -> Path:
    """The official folder, and synthetic clips of some words, all of one split, beside the real ones."""
    corpus = folder / OFFICIAL.name
    if (folder / "done").exists():
        return corpus
    shutil.rmtree(folder, ignore_errors=True)
    corpus.mkdir(parents=True)
    for entry in OFFICIAL.resolve().iterdir():
        if entry.name in words:
            (corpus / entry.name).mkdir()
            for clip in entry.iterdir():
                (corpus / entry.name / clip.name).symlink_to(clip)
        elif entry.suffix != ".txt":
            (corpus / entry.name).symlink_to(entry)
    real = {path for word in words for path in (corpus / word).iterdir()}
    wanted = ["--voices", voices, "--clips", str(n_clips)]
    run(sys.executable, RECIPES / "synthesise_words.py", corpus, ",".join(words), *wanted)
    made = sorted(path for word in words for path in (corpus / word).iterdir() if path not in real)
    for name in ("validation", "testing"):
        listed = (OFFICIAL / f"{name}_list.txt").read_text()
        added = "".join(f"{path.relative_to(corpus)}\n" for path in made) if name == split else ""
        (corpus / f"{name}_list.txt").write_text(listed + added)
    (folder / "done").touch()
    return corpus


def roles_without(words: str) -> Path:
    """A list of roles in which speech to train on and choose by has none if a word is said, or sounds so.

    It lies beside the one of the data: paths count from there.
    """
    names = words.split(",")
    roles = DATA / f"roles-{len(names)}.csv"
    if roles.exists():
        return roles
    held = set()
    for folder in ("audiobooks", "sentences"):
        with (DATA / folder / "transcripts.csv").open(encoding="utf-8") as handle:
            for row in csv.DictReader(handle):
                said = " ".join(word for word in row["sentence"].split() if word not in UNSTRESSED)
                if labels_heard_in(said, names):
                    held.add(f"{folder}/{row['path']}")
    with (DATA / "roles.csv").open(encoding="utf-8") as handle:
        rows = [(row["path"], row["role"]) for row in csv.DictReader(handle)]
    with open_text(roles) as handle:
        writer = csv.writer(handle)
        writer.writerow(("path", "role"))
        writer.writerows(
            (path, "unused" if role != "figures" and path in held else role) for path, role in rows
        )
    return roles


def make_lookalikes() -> None:
    """A store of synthetic clips of words that sound like commands, and of commands in the same voices, to train on."""
    corpus = Path("corpus-lookalikes")
    if (LOOKALIKES / "store.json").exists():
        return
    shutil.rmtree(corpus, ignore_errors=True)
    corpus.mkdir()
    for split in ("validation", "testing"):
        (corpus / f"{split}_list.txt").touch()
    lines = (RECIPES / "lookalikes.txt").read_text().splitlines()
    others = sorted(word for line in lines if not line.startswith("#") for word in line.split()[1:])
    # of the sparse there are made ones already
    heard = [word for word in TEN.split(",") if word not in SPARSE]
    for words, n_clips, seed in ((others, "30", "5"), (heard, "200", "6")):
        wanted = ["--voices", TRAINING_VOICES, "--clips", n_clips, "--seed", seed]
        run(sys.executable, RECIPES / "synthesise_words.py", corpus, ",".join(words), *wanted)
    speechcmd("prepare", corpus, "--store", LOOKALIKES)


def prepare(corpus: Path, store: Path, roles: Path) -> None:
    """A store of the corpus with all recordings that have a role."""
    if (store / "store.json").exists():
        return
    speech = [argument for name in SPEECH for argument in ("--speech", DATA / name)]
    others = ["--noise", DATA / "noise", "--music", DATA / "music", "--roles", roles]
    speechcmd("prepare", corpus, *speech, *others, "--store", store)


def prepare_all() -> None:
    """The stores: audio and images to train on, and one with made validation clips of rare words."""
    roles = DATA / "roles.csv"
    corpus = make_corpus(Path("corpus"), SPARSE, TRAINING_VOICES, 400, "training")
    prepare(corpus, AUDIO, roles)
    for words in (TEN, ALL):
        prepare(corpus, Path(f"audio-{len(words.split(','))}"), roles_without(words))
    make_lookalikes()
    rare = (*SPARSE, *UNHEARD)
    made = make_corpus(Path("corpus-calibration"), rare, CALIBRATION_VOICES, 40, "validation")
    prepare(made, CALIBRATION, roles)
    if not (IMAGES / "store.json").exists():
        run(sys.executable, "-m", "data_prep.log_mel_images", DATA / "log_mel_images", "--store", IMAGES)


def stream_of(words: str, split: str) -> Path:
    """An hour of words over noise of a split."""
    path = Path("streams") / f"{split}-{len(words.split(','))}.wav"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        store = CALIBRATION if split == "validation" else AUDIO
        speechcmd("make-stream", store, "-o", path, "--split", split, "--words", words)
    return path


# --- models


def train(name: str, threads: int) -> None:
    """A training and, before it, those that it needs."""
    needs, folder = TRAININGS[name], Path("runs") / name
    if (folder / "curves.png").exists():  # drawn after the last epoch
        return
    given: list[str | Path] = []
    for option, needed in (("--initial", needs.initial), ("--teacher", needs.teacher)):
        if needed:
            train(needed, threads)
            given += [option, Path("runs") / needed]
    if (folder / "last.pt").exists():
        given.append("--resume")
    speechcmd(
        "train", *needs.audio, IMAGES, "--run", folder, "--recipe", RECIPES / f"{name}.toml", *given,
        "--feature-cache", "cache", "--threads", str(threads),
    )  # fmt: skip


def export(name: str) -> Path:
    """The file of a model, in 8 bits where that loses little enough."""
    path = Path("exported") / f"{name}.onnx"
    if path.exists():
        return path
    path.parent.mkdir(exist_ok=True)
    sources = [argument for source in SOURCES for argument in ("--data", source)]
    wanted = ["-o", path, "--name", name, "--licence", "Apache-2.0", "--balance", *sources]
    try:
        speechcmd("export", Path("runs") / name, *wanted, "--int8", "--most-loss", MOST_LOSS)
    except subprocess.CalledProcessError as error:
        if error.returncode != 1:  # it was not refused, it was cut short
            raise
        speechcmd("export", Path("runs") / name, *wanted)
    return path


def words_of(name: str) -> str:
    return ALL if name == "cnn35" else TEN


def calibrate(name: str) -> Path:
    """The released file: thresholds and smoothing for the promised rate, true probabilities."""
    path = Path("released") / f"{name}.onnx"
    if path.exists():
        return path
    path.parent.mkdir(exist_ok=True)
    stream = stream_of(words_of(name), "validation")
    speechcmd(
        "calibrate", *NEGATIVES, stream, "-m", export(name), "-o", path,
        "--false-accepts-per-hour", FALSE_ACCEPTS_PER_HOUR, "--clips", AUDIO,
    )  # fmt: skip
    return path


def measure(name: str) -> None:
    """Its report, card and figures, on audio that nothing was chosen by."""
    model, report, card = calibrate(name), Path("reports") / name, Path("released") / f"{name}.md"
    if card.exists():
        return
    task = "35" if name == "cnn35" else "12"
    on_clips = ["evaluate", AUDIO, "--task", task, "-m", model, "--report", report]
    speechcmd(*on_clips)
    speechcmd(*on_clips, "--robustness")
    recordings = [stream_of(words_of(name), "testing"), *NEGATIVES]
    speechcmd("evaluate-stream", *recordings, "-m", model, "--report", report)
    notes, figures = RECIPES / "notes" / f"{name}.md", card.with_suffix(".json")
    speechcmd("card", model, "--report", report, "--notes", notes, "-o", card, "--figures", figures)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--models", default=",".join(RELEASED))
    parser.add_argument("--until", choices=("train", "export", "calibrate", "measure"), default="measure")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    data = arguments.data.resolve()
    os.chdir(arguments.work)
    if not DATA.exists():
        DATA.symlink_to(data)
    prepare_all()
    for name in arguments.models.split(","):
        train(name, arguments.threads)
        if arguments.until != "train":
            {"export": export, "calibrate": calibrate, "measure": measure}[arguments.until](name)


if __name__ == "__main__":
    main()
