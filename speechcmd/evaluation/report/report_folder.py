"""The report folder: results as JSON, sounds of the worst mistakes, and one page that shows all of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechcmd.audio.reading import encode_flac
from speechcmd.audio.samples import float32_to_int16
from speechcmd.errors import printable
from speechcmd.evaluation.mistakes import Sound
from speechcmd.evaluation.report.page import render_page
from speechcmd.evaluation.report.results import read_results, refuse_unreadable
from speechcmd.evaluation.report.saliency import LEAST_FALL, Saliency, explain_answer
from speechcmd.evaluation.report.sound_picture import draw_sound
from speechcmd.files import open_binary
from speechcmd.folder_lock import lock_folder
from speechcmd.progress import Progress

if TYPE_CHECKING:
    from speechcmd.runtime.recognition.recognizer import Recognizer

PAGE = "report.html"
SOUNDS = "sounds"
_WAIT_S = 60.0  # for another measurement that writes its result; that takes some seconds
_LEAST_EXPLAINED_S = 0.1  # shorter sounds have no patches to cover


def write_report(
    folder: Path,
    result: dict[str, Any],
    sounds: Sequence[Sound],
    recognizer: Recognizer,
    on_progress: Progress = lambda done, total: None,
) -> Path:
    """Write a result into a report folder, with its sounds, and make the page of the folder anew.

    Nothing is written until all of it is ready; every file appears whole or not at all.

    Parameters
    ----------
    result
        As `clips.json`, `stream.json` and `robustness.json` hold it. If it names "mistakes", these are
        those of `sounds`, one for one; otherwise they are made from `sounds`.
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
    result = make_encodable(result)
    kind = result["kind"]
    files: dict[str, bytes] = {}
    entries = result.get("mistakes") or [_entry_of(sound) for sound in sounds]
    mistakes = []
    for number, (entry, sound) in enumerate(zip(entries, sounds, strict=True), start=1):
        mistakes.append(entry | _add_sound(f"{SOUNDS}/{kind}-{number:02d}", sound, recognizer, files))
        on_progress(number, len(sounds) + 1)
    result = result | {"mistakes": make_encodable(mistakes)}
    with lock_folder(folder, wait_s=_WAIT_S):  # two measurements may end at once
        results = {**read_results(folder), kind: result}
        page = _render(results, {**_read_sounds(folder, results), **files})
        files[f"{kind}.json"] = json.dumps(result, ensure_ascii=False, allow_nan=False, indent=1).encode()
        files[PAGE] = page
        _write_all(folder, files)
        _remove_stale(folder, kind, files)
    on_progress(len(sounds) + 1, len(sounds) + 1)
    return folder / PAGE


def make_encodable(value: Any) -> Any:
    """A result in which names of files that are no text are printable; other texts stay as they are."""
    if isinstance(value, str):
        is_text = value.encode(errors="replace").decode() == value
        return value if is_text else printable(value)
    if isinstance(value, dict):
        return {make_encodable(key): make_encodable(item) for key, item in value.items()}
    return [make_encodable(item) for item in value] if isinstance(value, list | tuple) else value


def _read_sounds(folder: Path, results: Mapping[str, dict[str, Any]]) -> dict[str, bytes]:
    """Contents of the files that the mistakes name; a result may name nothing outside its folder."""
    files = {}
    for result in results.values():
        for entry in result.get("mistakes") or ():
            for name in (entry.get("sound"), entry.get("picture")):
                if name and re.fullmatch(rf"{SOUNDS}/[\w-]+\.(flac|svg)", name):
                    with suppress(FileNotFoundError):
                        files[name] = (folder / name).read_bytes()
    return files


def _render(results: Mapping[str, dict[str, Any]], files: Mapping[str, bytes]) -> bytes:
    with refuse_unreadable(results):
        return render_page(results, files).encode("utf-8", "replace")


def _entry_of(sound: Sound) -> dict[str, Any]:
    entry = {"title": sound.title, "truth": sound.truth, "answer": sound.answer, "score": float(sound.score)}
    return entry | {"path": sound.path}


def _add_sound(stem: str, sound: Sound, recognizer: Recognizer, files: dict[str, bytes]) -> dict[str, Any]:
    if not len(sound.waveform):
        return {"title": sound.title}
    names = {"title": sound.title, "sound": f"{stem}.flac"}
    files[names["sound"]] = encode_flac(float32_to_int16(sound.waveform), sound.sample_rate)
    if len(sound.waveform) < _LEAST_EXPLAINED_S * sound.sample_rate:
        return names
    saliency = explain_answer(recognizer, sound.waveform, sound.sample_rate, sound.target)
    names["picture"] = f"{stem}.svg"
    files[names["picture"]] = draw_sound(sound.waveform, sound.sample_rate, saliency)
    return names | {"listened": _describe_saliency(saliency)}


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
