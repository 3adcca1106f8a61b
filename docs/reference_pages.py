"""Write the pages of the reference that say what the code says: commands.md and training-settings.md.

usage: python docs/reference_pages.py

They hold what `speechcmd COMMAND --help` says and what stands beside the fields of the settings, so they are
never edited by hand; a test compares them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from pathlib import Path

import click

from speechcmd.cli.main import cli
from speechcmd.training.settings.reference import setting_rows

MOST_COMMAS = 6
REFERENCE = Path(__file__).resolve().parent / "reference"
COMMANDS_INTRODUCTION = """\
# Commands

Made from the commands by `python docs/reference_pages.py`; `speechcmd COMMAND --help` says the same. What
they print and how they end: [output](output.md).
"""
SETTINGS_INTRODUCTION = """\
# Training settings

Made from the code by `python docs/reference_pages.py`. Settings come from the defaults, then a recipe
(`--recipe`), then options of [`train`](commands.md#train), then `--set NAME=VALUE`; the last one counts.
Options have the names of the settings with dashes (`learning_rate` is `--learning-rate`; `n_workers` and
`n_threads` are `--workers` and `--threads`).

A recipe is a TOML file; an unknown name is refused, and the nearest known one is named. The `config.toml`
of a run is a recipe too: `--recipe RUN/config.toml` repeats it.

```toml
architecture = "bc_resnet"
length = "1.28"
ema = 0.999

[model]                # of the network: `speechcmd models bc_resnet` lists them
tau = 1

[augment]
noise_percent = 80
noise_snr_db = [0, 30]
```

How an epoch goes: [what is trained](../explanation/what-is-trained.md).
"""
AUGMENT_INTRODUCTION = """\
## Augmentation

What is done to training batches only, in the table `[augment]`. On audio it is done to the waveform, on
features to the power that a log-mel stands for: right on average, without what two waveforms cancel. All
draws are seeded by counters. `--no-time-shift`, `--no-noise`, `--no-gain` and `--no-spec-augment` switch
off one each.

Where a window reaches beyond its clip it is filled with noise at the clip's own floor (of features: with
the clip's own quiet frames), never with digital zero: a network would learn zeros as a sign of words.
Masks are filled with the mean for the same reason, for zero is *loud* in a log-mel. What each part adds:
[data](../measurements/data.md#parts-of-the-recipe).
"""


def settings_page() -> str:
    """The page of all settings of a training in Markdown."""
    own, augment = settings_table(""), settings_table("augment")
    return "\n".join((SETTINGS_INTRODUCTION, "## Settings\n", own, AUGMENT_INTRODUCTION, augment))


def settings_table(table: str) -> str:
    """The settings of one table of a recipe."""
    rows = [(f"`{name}`", *map(escaped, cells)) for name, *cells in setting_rows(table)]
    return (
        "\n".join(map(table_line, (("setting", "default", "expected", "meaning"), ("---",) * 4, *rows)))
        + "\n"
    )


def table_line(cells: Iterable[str]) -> str:
    """A line of a table; a long list can be broken behind its commas."""
    cells = [re.sub(r",(?=\w)", ", ", cell) if cell.count(",") > MOST_COMMAS else cell for cell in cells]
    return "| " + " | ".join(cell.replace("|", "\\|").replace("<", "\\<") for cell in cells) + " |"


def commands_page() -> str:
    """The page of all commands in Markdown."""
    root = click.Context(cli, info_name="speechcmd")
    parts = [COMMANDS_INTRODUCTION]
    for name in cli.list_commands(root):
        command = cli.get_command(root, name)
        if command is not None:
            parts.append(command_section(command, click.Context(command, root, name)))
    return "\n".join(parts)


def command_section(command: click.Command, context: click.Context) -> str:
    """Heading, usage, text and table of one command."""
    usage = " ".join((context.command_path, *command.collect_usage_pieces(context)))
    rows = [option_row(option, context) for option in command.params if isinstance(option, click.Option)]
    text = re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(command.help or ""))
    table = "\n".join(("| option | default | range | meaning |", "|---|---|---|---|", *rows))
    return f"## {context.info_name}\n\n```text\n{usage}\n```\n\n{escaped(text)}\n\n{table}\n"


def option_row(option: click.Option, context: click.Context) -> str:
    """A row of the table: names with their value, default, range or choices, meaning."""
    extra = option.get_help_extra(context)
    meaning, _, default_in_words = (option.help or "").partition("[default: ")
    names = [f"`{name}`" for name in (*option.opts, *option.secondary_opts)]
    if not option.is_flag:
        metavar = option.make_metavar(context).removesuffix(" RANGE")
        names[-1] = f"{names[-1][:-1]} {'NAME' if choices_of(option) else metavar}`"
    default = "required" if option.required else default_in_words.rstrip("] ") or extra.get("default", "")
    range_ = choices_of(option) or extra.get("range", "").replace("<=", "≤").replace(">=", "≥")
    cells = (", ".join(names), str(default).strip("()"), range_, escaped(meaning.strip()))
    return table_line(cells)


def choices_of(option: click.Option) -> str:
    """The values that it may have, if they are a list."""
    return (
        ", ".join(f"`{each}`" for each in option.type.choices)
        if isinstance(option.type, click.Choice)
        else ""
    )


def escaped(text: str) -> str:
    """Help text as Markdown: what stands in it is meant literally, but for its back quotes."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([_*\[\]])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


PAGES = {REFERENCE / "commands.md": commands_page, REFERENCE / "training-settings.md": settings_page}

if __name__ == "__main__":
    for path, make_page in PAGES.items():
        path.write_text(make_page(), encoding="utf-8")
