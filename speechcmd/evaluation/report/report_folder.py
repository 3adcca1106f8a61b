"""The report folder: results as JSON, sounds of the worst mistakes, and one page that shows all of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from speechcmd.audio.reading import encode_flac
from speechcmd.audio.samples import float32_to_int16
from speechcmd.evaluation.mistakes import Mistake, Sound
from speechcmd.evaluation.report.page import render_page
from speechcmd.evaluation.report.results import Result, Results, from_plain, kind_of, read_results, to_plain
from speechcmd.evaluation.report.saliency import LEAST_FALL, Saliency, explain_answer
from speechcmd.evaluation.report.sound_picture import draw_sound
from speechcmd.files import open_binary
from speechcmd.folder_lock import lock_folder
from speechcmd.progress import Progress
from speechcmd.runtime.recognition.recognizer import Recognizer

PAGE = "report.html"
SOUNDS = "sounds"
_WAIT_S = 60.0  # for another measurement that writes its result; that takes some seconds
_LEAST_EXPLAINED_S = 0.1  # shorter sounds have no patches to cover


def write_report(
    folder: Path,
    result: Result,
    sounds: Sequence[Sound],
    recognizer: Recognizer,
    on_progress: Progress = lambda done, total: None,
) -> Path:
    """Write a result into a report folder, with its sounds, and make the page of the folder anew.

    Nothing is written until all of it is ready; every file appears whole or not at all.

    Parameters
    ----------
    result
        Its mistakes become those of `sounds`.
    on_progress
        Called with the number of parts done and of all: each sound is one, the page another.

    Returns
    -------
    The page.

    Raises
    ------
    EvaluationError
        If another result in the folder cannot be read.
    OSError
        If the folder cannot be written.
    """
    kind = kind_of(result)
    files: dict[str, bytes] = {}
    mistakes = []
    for number, sound in enumerate(sounds, start=1):
        mistakes.append(_add_sound(f"{SOUNDS}/{kind}-{number:02d}", sound, recognizer, files))
        on_progress(number, len(sounds) + 1)
    named: dict[str, Any] = {"mistakes": tuple(mistakes)}
    content = to_plain(replace(result, **named))
    with lock_folder(folder, wait_s=_WAIT_S):  # two measurements may end at once
        results = read_results(folder).with_one(from_plain(content, kind))
        page = render_page(results, {**_read_sounds(folder, results), **files})
        files[f"{kind}.json"] = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1).encode()
        files[PAGE] = page.encode("utf-8", "replace")
        _write_all(folder, files)
        _remove_stale(folder, kind, files)
    on_progress(len(sounds) + 1, len(sounds) + 1)
    return folder / PAGE


def _read_sounds(folder: Path, results: Results) -> dict[str, bytes]:
    """Contents of the files that the mistakes name; a result may name nothing outside its folder."""
    files = {}
    for result in results.measured:
        for mistake in result.mistakes or ():
            for name in (mistake.sound, mistake.picture):
                if name and re.fullmatch(rf"{SOUNDS}/[\w-]+\.(flac|svg)", name):
                    with suppress(FileNotFoundError):
                        files[name] = (folder / name).read_bytes()
    return files


def _add_sound(stem: str, sound: Sound, recognizer: Recognizer, files: dict[str, bytes]) -> Mistake:
    """The mistake with the names of its files, which are added to the others."""
    if not len(sound.waveform):
        return sound.mistake
    mistake = replace(sound.mistake, sound=f"{stem}.flac")
    files[f"{stem}.flac"] = encode_flac(float32_to_int16(sound.waveform), sound.sample_rate)
    if len(sound.waveform) < _LEAST_EXPLAINED_S * sound.sample_rate:
        return mistake
    saliency = explain_answer(recognizer, sound.waveform, sound.sample_rate, sound.target)
    files[f"{stem}.svg"] = draw_sound(sound.waveform, sound.sample_rate, saliency)
    return replace(mistake, picture=f"{stem}.svg", listened=_describe_saliency(saliency))


def _describe_saliency(saliency: Saliency) -> str:
    score = f"“{saliency.label}” scores {saliency.score:.2f} here"
    if saliency.falls.max() < LEAST_FALL:
        return f"{score}; no single part of the sound changes that."
    start_s, end_s, low_hz, high_hz = saliency.peak
    return (
        f"{score}, most of all for what sounds from {start_s:.2f} to {end_s:.2f} s "
        f"between {low_hz:,.0f} and {high_hz:,.0f} Hz."
    )


def _write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files beside their places before the first of them is moved there."""
    (folder / SOUNDS).mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        for name, content in files.items():
            file = stack.enter_context(open_binary(folder / name))
            file.write(content)
            file.flush()  # a full disk shows now


def _remove_stale(folder: Path, kind: str, files: Mapping[str, bytes]) -> None:
    for path in (folder / SOUNDS).glob(f"{kind}-*"):
        if f"{SOUNDS}/{path.name}" not in files:
            path.unlink()
