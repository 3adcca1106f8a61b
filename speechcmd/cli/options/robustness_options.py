"""Options of `speechcmd evaluate --robustness`, and what they name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from speechcmd.errors import EvaluationError

if TYPE_CHECKING:
    from speechcmd.evaluation.clips.clip_set import ClipSet
    from speechcmd.evaluation.robustness.noise_source import NoiseFiles
    from speechcmd.evaluation.robustness.robustness_result import RobustnessResult
    from speechcmd.runtime.recognition.recognizer import Recognizer

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--robustness",
        is_flag=True,
        help="Measure instead how accuracy falls in noise, rooms, coding and so on.",
    ),
    click.option(
        "--noise",
        "noises",
        multiple=True,
        metavar="PATH",
        help="File or folder of noise for --robustness, instead of synthetic noise; obeys roles.csv.",
    ),
    click.option(
        "--impulse-response",
        "responses",
        multiple=True,
        metavar="PATH",
        help="File or folder of impulse responses for --robustness, instead of simulated rooms.",
    ),
    click.option(
        "--limit",
        type=click.IntRange(min=1),
        metavar="N",
        help="Most clips for --robustness.  [default: 300, about two minutes]",
    ),
)


@dataclass(frozen=True)
class RobustnessOptions:
    """What the command line says about robustness."""

    noises: tuple[str, ...]
    responses: tuple[str, ...]
    limit: int | None


def robustness_options(command: _Command) -> _Command:
    """Add the options of robustness: `robustness`, `noises`, `responses`, `limit`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def check_robustness(
    robustness: bool, noises: tuple[str, ...], responses: tuple[str, ...], limit: int | None
) -> RobustnessOptions | None:
    """Bring the options together; None if robustness is not asked for.

    Raises
    ------
    click.UsageError
        If an option is given that means nothing without --robustness.
    """
    if robustness:
        return RobustnessOptions(noises, responses, limit)
    given = {"--noise": noises, "--impulse-response": responses, "--limit": limit}
    for name, value in given.items():
        if value:
            raise click.UsageError(f"{name} belongs to --robustness")
    return None


def run_robustness(
    recognizer: Recognizer, model: str | None, clips: ClipSet, options: RobustnessOptions, seed: int
) -> RobustnessResult:
    """Measure, with a progress bar."""
    from data_prep.split import SPLIT_OF_ROLE
    from speechcmd.cli.console.progress import StepProgress
    from speechcmd.evaluation.robustness.evaluate_robustness import MOST_CLIPS, make_robustness_result

    role = next((role for role, split in SPLIT_OF_ROLE.items() if split == clips.split), "figures")
    noises = [_noise_files(path, role) for path in options.noises]
    responses = [file for path in options.responses for file in _find_files(path, role)]
    with StepProgress("clips") as progress:
        return make_robustness_result(
            recognizer,
            model,
            clips,
            noises=noises,
            responses=responses,
            limit=options.limit or MOST_CLIPS,
            seed=seed,
            on_progress=progress.update,
        )


def _noise_files(path: str, role: str) -> NoiseFiles:
    from speechcmd.evaluation.robustness.noise_source import NoiseFiles

    place = Path(path)
    name = place.resolve().name if place.is_dir() else place.stem
    return NoiseFiles(name, _find_files(path, role))


def _find_files(path: str, role: str) -> Sequence[Path]:
    """The audio files that a path stands for; of a role, where a `roles.csv` speaks of them.

    Raises
    ------
    EvaluationError
        If there are none.
    """
    from speechcmd.batch.inputs import STANDARD_INPUT, find_recordings
    from speechcmd.evaluation.streams.role import of_role

    if path == STANDARD_INPUT:
        raise EvaluationError("expected a file or a folder, got - (standard input)")
    found = find_recordings([path])
    for recording in found:
        if recording.problem is not None:
            raise EvaluationError(recording.problem, path=recording.path)
    kept = of_role(Path(path), [Path(recording.path) for recording in found], role)
    if not kept:
        raise EvaluationError(
            f"expected recordings of role {role}, all {len(found)} in it have another", path=path
        )
    return kept
