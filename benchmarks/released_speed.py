"""What released models cost on one core: each part of a long file, loading, memory and live updates, in one run.

usage: python benchmarks/released_speed.py [MODEL ...] [--minutes 10] [--audio FILE] [--runs 5]

A model is a path or a released name; by default all released models. The long file is 16 kHz wav: the recording
(by default those in examples/, one after the other) again and again with seeded noise at -60 dB. Each model runs
in a process of its own, the models in turns; a figure is the median of its runs. Times are those of the one
processor that a process uses, whatever else runs beside it. `front end` is from samples to
log-mel bands, `network` what comes after it: their time is divided as onnxruntime's profile divides it. `rest` is
the level of each hundredth of a second and the edges of the recording. `load` checks the file and its check
vector in a process that has imported everything, `peak` is all of the process, with Python.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from transcribe import Parts

from speechcmd.audio.reading import read_waveform
from speechcmd.audio.reproducible_noise import white_noise
from speechcmd.audio.samples import SAMPLE_RATE, float32_to_int16
from speechcmd.runtime.model.engine import onnxruntime
from speechcmd.runtime.model.model_file import load_model_file, released_models
from speechcmd.runtime.recognition.recognizer import FILE_UPDATE_S, LIVE_UPDATE_S, Recognizer

ROOT = Path(__file__).resolve().parent.parent
NOISE = 1e-3
LIVE_S = 30.0
WARM_S = 3.0  # until the first second is over, and caches are warm
COLUMNS = (
    ("x real time", "times", "{:.0f}"), ("total", "total", "{:.3f}"), ("reading", "reading", "{:.3f}"),
    ("front end", "front_end", "{:.3f}"), ("network", "network", "{:.3f}"),
    ("decoding", "decoding", "{:.3f}"), ("rest", "rest", "{:.3f}"), ("load ms", "load_ms", "{:.0f}"),
    ("peak MB", "peak_mb", "{:.0f}"), ("update ms", "update_ms", "{:.2f}"), ("95 %", "late_ms", "{:.2f}"),
)  # fmt: skip
Figures = dict[str, float]


def make_recording(sources: list[Path], minutes: float, path: Path) -> None:
    said = np.concatenate([read_waveform(source) for source in sources])
    n_samples = round(minutes * 60 * SAMPLE_RATE)
    waveform = np.resize(said, n_samples) + np.float32(NOISE) * white_noise(n_samples, seed=0)
    soundfile.write(path, float32_to_int16(waveform), SAMPLE_RATE, subtype="PCM_16")


def measure(model: str, path: Path) -> Figures:
    """All figures of one run, in this process."""
    began = time.process_time()
    recognizer = Recognizer.load(model)
    load_s = time.process_time() - began
    audio_s = soundfile.info(path).duration
    parts = Parts(recognizer, path, time.process_time)
    of_second = {
        name: 1_000 * seconds / audio_s
        for name, seconds in (
            ("total", parts.total_s), ("reading", parts.reading_s), ("both", parts.network_s),
            ("decoding", parts.decoding_s),
        )
    }  # fmt: skip
    both = of_second.pop("both")
    share = front_end_share(model, path)
    updates_ms = live_updates_ms(recognizer, path)
    return {
        **of_second,
        "times": audio_s / parts.total_s,
        "front_end": share * both,
        "network": (1 - share) * both,
        "rest": of_second["total"] - both - of_second["reading"] - of_second["decoding"],
        "load_ms": 1_000 * load_s,
        "peak_mb": peak_mb(),
        "update_ms": statistics.median(updates_ms),
        "late_ms": float(np.percentile(updates_ms, 95)),
        "n_words": len(parts.detections),
    }


def front_end_share(model: str, path: Path) -> float:
    """Part of the time of a piece of a file that is spent up to the logarithm of the bands."""
    model_bytes, card = load_model_file(model)
    n_samples = card.steps_in(FILE_UPDATE_S) * card.step_samples + card.window_samples - card.step_samples
    waveform = soundfile.read(path, frames=n_samples, dtype="float32")[0][None]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(model_bytes, options, providers=["CPUExecutionProvider"])
        for _ in range(10):
            session.run(["logits"], {"waveform": waveform})
        events = json.loads(Path(session.end_profiling()).read_text())
    before, after, is_before = 0, 0, True
    for event in events:
        if event["name"] == "model_run":
            is_before = True
        if event.get("cat") != "Node" or not event["name"].endswith("_kernel_time"):
            continue
        before, after = (before + event["dur"], after) if is_before else (before, after + event["dur"])
        is_before = is_before and event["args"]["op_name"] != "Log"
    return before / (before + after)


def live_updates_ms(recognizer: Recognizer, path: Path) -> list[float]:
    """Time of each update of a stream, which gets its audio one update at a time."""
    card = recognizer.card
    n_samples = card.steps_in(LIVE_UPDATE_S) * card.step_samples
    waveform = soundfile.read(path, frames=round(LIVE_S * card.sample_rate), dtype="float32")[0]
    stream = recognizer.stream(keep_near_misses=True)
    times_ms = []
    for first in range(0, len(waveform), n_samples):
        began = time.process_time()
        stream.feed(waveform[first : first + n_samples])
        times_ms.append(1_000 * (time.process_time() - began))
    return times_ms[round(WARM_S * card.sample_rate / n_samples) :]


def peak_mb() -> float:
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1_000


def run_alone(model: str, path: Path) -> Figures:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, model, "--measure", str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    figures: Figures = json.loads(done.stdout)
    return figures


def print_table(rows: dict[str, Figures]) -> None:
    print(f"{'':37s}{'milliseconds for each second of audio':s}")
    width = max(len("model"), *map(len, rows))
    print(f"{'model':{width}s}", *(f"{title:>11s}" for title, _, _ in COLUMNS))
    for model, figures in rows.items():
        print(f"{model:{width}s}", *(f"{form.format(figures[key]):>11s}" for _, key, form in COLUMNS))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--audio", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    models = arguments.models or sorted(released_models())
    if arguments.measure is not None:
        print(json.dumps(measure(models[0], arguments.measure)))
        return
    sources = [arguments.audio] if arguments.audio else sorted((ROOT / "examples").glob("*.flac"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.wav"
        make_recording(sources, arguments.minutes, path)
        runs = [{model: run_alone(model, path) for model in models} for _ in range(arguments.runs)]
    rows = {
        model: {key: statistics.median(run[model][key] for run in runs) for key in runs[0][model]}
        for model in models
    }
    print_table(rows)
    words = ", ".join(f"{model} {figures['n_words']:.0f}" for model, figures in rows.items())
    print(f"{arguments.minutes:g} minutes, {arguments.runs} runs; words heard: {words}")


if __name__ == "__main__":
    main()
