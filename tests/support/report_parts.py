"""Reports for tests: quickly made ones, and one with everything on it that is made once."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from evaluation_results import LABELS, clips, robustness_result, stream_result
from fakes import SAMPLE_RATE, tone_recording, toy_model

from speechcmd.evaluation.clips.clip_result import ClipMistake
from speechcmd.evaluation.mistakes import Sound
from speechcmd.evaluation.report import page, report_folder, saliency
from speechcmd.evaluation.report.drawing import Picture
from speechcmd.evaluation.report.report_folder import write_report
from speechcmd.runtime.recognition.recognizer import Recognizer

HOSTILE = "<img src=x onerror=\"console.error('run')\">"
SOUNDS_S = (0.2, 0.05)  # the second is too short for a picture


def explain_coarsely(patch: pytest.MonkeyPatch) -> None:
    """What an answer rests on is asked of few patches; the full grid has tests of its own."""
    patch.setattr(saliency, "N_BANDS", 3)
    patch.setattr(saliency, "MOST_TIMES", 3)


def leave_out_pictures(patch: pytest.MonkeyPatch) -> None:
    """Without pictures, which other tests look at."""

    def no_picture(*_: Any) -> Picture:
        return Picture("title", "what it shows", b"<svg xmlns='http://www.w3.org/2000/svg'/>")

    explain_coarsely(patch)
    patch.setattr(report_folder, "draw_sound", lambda *_: no_picture().svg)
    for module in (page.clip_picture, page.stream_picture):
        for name in dir(module):
            if name.startswith("draw_"):
                patch.setattr(module, name, no_picture)
    patch.setattr(page.clip_picture, "draw_conditions", lambda _: [no_picture()])


@cache
def whole_report(base: Path) -> Path:
    """The page of all three results, with two sounds and names that are not meant well, in a new folder."""
    folder = base / "whole_report"
    folder.mkdir()
    model = folder / "toy.onnx"
    model.write_bytes(toy_model())
    sounds = [
        Sound(
            ClipMistake(title=f"{HOSTILE} taken for “low”", truth="high", answer="low", score=0.9, path=path),
            tone_recording([("low", 0.0)], sound_s), SAMPLE_RATE, None,
        )
        for sound_s, path in zip(SOUNDS_S, ("high/" + "a" * 80 + ".wav", HOSTILE), strict=True)
    ]  # fmt: skip
    stream, robustness = stream_result(), robustness_result()
    for result in (
        stream | {"points": [stream["points"][0], stream["points"][-1]]},
        robustness | {"conditions": robustness["conditions"][:1]},
    ):
        (folder / f"{result['kind']}.json").write_text(json.dumps(result), encoding="utf-8")
    return write_report(folder, clips(labels=(*LABELS, HOSTILE)), sounds, Recognizer.load(model))
