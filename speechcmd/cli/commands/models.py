"""`speechcmd models`: the architectures that `speechcmd train` knows, or the released models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from speechcmd.cli.console.released_table import show_released
from speechcmd.cli.console.table import align
from speechcmd.cli.options.train_settings import check_pairs

if TYPE_CHECKING:
    from models.summary import NetworkSummary

_HEADER = ("architecture", "kind", "window", "parameters", "MACs/window", "MACs/second")
_NAME_AND_KIND = 2  # columns of words, the others are figures
_NOTES = (
    "MACs: multiply-accumulates of the network. The log-mel front end, the same for all, adds "
    "{front_end} per second. MACs/second: one more second of a long recording. A sliding network "
    "computes once what windows share; a windowed one runs most of itself for each of its {rate:g} "
    "windows per second."
)
_LINE_LENGTH = 78
_WITH_RELEASED = {"released", "as_json"}


def _check_length(_: click.Context, __: click.Parameter, value: float) -> float:
    if not 0.1 <= value <= 10.0:  # FloatRange lets "nan" through
        raise click.BadParameter(f"expected seconds from 0.1 to 10, got {value:g}")
    return value


@click.command()
@click.argument("name", required=False)
@click.option(
    "--model", "settings", multiple=True, metavar="NAME=VALUE", help="Setting of the network NAME, as tau=2."
)
@click.option(
    "--length",
    type=float,
    callback=_check_length,
    default=1.0,
    show_default=True,
    help="Window in seconds; each network takes the nearest that it can.",
)
@click.option(
    "--labels",
    "n_labels",
    type=click.IntRange(1, 10_000),
    default=12,
    show_default=True,
    help="Number of labels, _unknown_ and _silence_ among them.",
)
@click.option(
    "--released", is_flag=True, help="List the models that come with speechcmd, with their figures."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each of them, a line each.")
@click.pass_context
def models(
    context: click.Context,
    name: str | None,
    settings: tuple[str, ...],
    length: float,
    n_labels: int,
    released: bool,
    as_json: bool,
) -> None:
    """List the architectures that can be trained, or show NAME and its settings.

    Needs the packages of training, no data and no model file. With --released: list the trained models
    that come with speechcmd, for -m; needs nothing but speechcmd.
    """
    if released:
        _refuse_beside_released(context)
        show_released(as_json)
        return
    _list_architectures(name, settings, length, n_labels, as_json)


def _refuse_beside_released(context: click.Context) -> None:
    for parameter in context.command.params:
        is_given = context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
        if is_given and parameter.name not in _WITH_RELEASED:
            shown = parameter.opts[0] if isinstance(parameter, click.Option) else "NAME"
            raise click.UsageError(f"--released lists all released models; expected no {shown} beside it")


def _list_architectures(
    name: str | None, settings: tuple[str, ...], length: float, n_labels: int, as_json: bool
) -> None:
    from models.registry import list_architectures
    from models.summary import summarise
    from speechcmd.audio.samples import SAMPLE_RATE
    from speechcmd.training.settings.recipe import parse_setting

    names = list_architectures()
    if name is None and settings:
        raise click.UsageError("--model: expected the NAME of an architecture beside it, got none")
    if name is not None and name not in names:
        raise click.UsageError(f"NAME: expected one of {', '.join(names)}, got {name!r}")
    check_pairs("--model", settings)
    chosen = {
        key.removeprefix("model."): value
        for key, value in (parse_setting(f"model.{setting}") for setting in settings)
    }
    summaries = [
        summarise(each, n_labels, round(length * SAMPLE_RATE), chosen) for each in ([name] if name else names)
    ]
    if as_json:
        click.echo("\n".join(json.dumps(_facts_of(summary)) for summary in summaries))
    else:
        click.echo(_show_one(summaries[0]) if name else _show_all(summaries))


def _facts_of(summary: NetworkSummary) -> dict[str, Any]:
    return {
        "architecture": summary.architecture,
        "description": summary.description,
        "arxiv": list(summary.arxiv),
        "kind": summary.kind,
        "window_s": summary.window_s,
        "step_s": summary.step_s,
        "parameters": summary.parameters,
        "macs_per_window": summary.cost.window,
        "macs_per_second": summary.cost.second,
        "front_end_macs_per_window": summary.cost.front_end_window,
        "front_end_macs_per_second": summary.cost.front_end_second,
        "settings": summary.settings,
    }


def _show_all(summaries: list[NetworkSummary]) -> str:
    lines = align([_HEADER, *map(_row_of, summaries)], _NAME_AND_KIND)
    notes = _NOTES.format(
        front_end=_millions(summaries[0].cost.front_end_second), rate=1 / summaries[0].step_s
    )
    described = _list([(summary.architecture, _describe(summary)) for summary in summaries])
    return "\n".join([*lines, "", click.wrap_text(notes, _LINE_LENGTH), "", described])


def _row_of(summary: NetworkSummary) -> tuple[str, ...]:
    return (
        summary.architecture,
        summary.kind,
        f"{summary.window_s:.3f} s",
        f"{summary.parameters:,}",
        _millions(summary.cost.window),
        _millions(summary.cost.second),
    )


def _show_one(summary: NetworkSummary) -> str:
    cost = summary.cost
    rows = [
        ("architecture:", summary.architecture),
        ("description:", _describe(summary)),
        ("kind:", summary.kind),
        ("window:", f"{summary.window_s:.3f} s"),
        ("step:", f"{summary.step_s:.3f} s"),
        ("parameters:", f"{summary.parameters:,}"),
        ("MACs:", f"{_millions(cost.window)} per window, {_millions(cost.second)} per second"),
        (
            "front end:",
            f"{_millions(cost.front_end_window)} more per window, "
            f"{_millions(cost.front_end_second)} per second",
        ),
    ]
    settings = [f"  --model {name}={_written(value)}" for name, value in summary.settings.items()]
    return "\n".join([_list(rows), "settings:", *settings])


def _list(rows: list[tuple[str, str]]) -> str:
    """Names, and beside them their texts in as many lines as they need."""
    formatter = click.HelpFormatter(width=_LINE_LENGTH)
    formatter.write_dl(rows)
    return formatter.getvalue().rstrip()


def _describe(summary: NetworkSummary) -> str:
    return summary.description + (f" (arXiv {', '.join(summary.arxiv)})" if summary.arxiv else "")


def _millions(macs: int) -> str:
    return f"{macs / 1e6:,.2f} M"


def _written(value: Any) -> str:
    """A value as `--model NAME=VALUE` takes it, without spaces, which a shell would split at."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
