"""What commands share: options, and the model they ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from speechcmd.errors import ModelError
from speechcmd.labels import split_labels

if TYPE_CHECKING:
    from speechcmd.runtime.recognition.recognizer import Recognizer

_Value = TypeVar("_Value")
_Command = TypeVar("_Command", bound=Callable[..., Any])

model_option = click.option(
    "-m",
    "--model",
    metavar="MODEL",
    help="Name of a released model, or path of a model file.  [default: cnn]",
)


def recording_options(
    *formats: str, output_type: click.Path, output_help: str
) -> Callable[[_Command], _Command]:
    """Add the arguments and options that read recordings and write results."""
    options = [
        click.argument("paths", nargs=-1, required=True, metavar="PATHS..."),
        model_option,
        labels_option,
        click.option(
            "--format",
            "output_format",
            type=click.Choice(formats),
            default=formats[0],
            show_default=True,
            help="Form of the results.",
        ),
        click.option("--json", "output_format", flag_value="jsonl", help="Short for --format jsonl."),
        click.option(
            "-o", "--output", type=output_type, callback=_check_path, metavar="PATH", help=output_help
        ),
    ]

    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def load_recognizer(model: str | None, labels: Sequence[str] | None) -> Recognizer:
    """Load the model and check the asked words against it (a wrong word is wrong usage)."""
    from speechcmd.runtime.recognition.recognizer import Recognizer

    recognizer = Recognizer.load(model)
    try:
        recognizer.check_labels(labels)
    except ModelError as error:
        raise click.UsageError(str(error)) from error
    return recognizer


def check_length(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Refuse a length that is neither mean nor p95 nor seconds from 0.1 to 10."""
    if value in (None, "mean", "p95"):
        return value
    try:
        fits = 0.1 <= float(value or "") <= 10.0
    except ValueError:
        fits = False
    if not fits:
        raise click.BadParameter(f"expected mean, p95 or seconds from 0.1 to 10, got {value!r}")
    return value


def _check_path(_: click.Context, __: click.Parameter, value: _Value) -> _Value:
    if value is not None and not str(value).strip():
        raise click.BadParameter("expected a path, got nothing")
    return value


def read_labels(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """The labels of an option, as `split_labels` reads them; None if it is not given."""
    if value is None:
        return None
    try:
        labels = split_labels(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}; {_LIST_FORM}") from error
    if not labels:
        raise click.BadParameter(_LIST_FORM)
    return labels


_LIST_FORM = (
    "expected words with commas between them, such as yes,no; a word that has a comma itself stands in "
    """double quotes within single ones: 'yes,"lamp, off"'"""
)

labels_option = click.option(
    "--labels",
    callback=read_labels,
    metavar="WORDS",
    help="Words that may be heard: yes,no",
)
