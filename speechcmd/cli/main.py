"""`speechcmd`: the group of commands, and the one place where errors become one line and an exit status.

Commands are imported when they run: `speechcmd --help` must answer at once, so it knows only this table.
"""

from __future__ import annotations

import io
import sys
import traceback
import warnings
from importlib import import_module
from typing import Any

import click

from speechcmd import __version__
from speechcmd.cli.console.interruption import ended_by_signals, exit_status
from speechcmd.cli.console.standard_streams import StandardOutputError, results_kept_apart
from speechcmd.errors import AudioWarning, SpeechcmdError, UsageError, printable

FAILED = 1
_python_shows_warning = warnings.showwarning

# name (of the file, with _ for -, and of the function in it) -> line in the help
COMMANDS = {
    "prepare": "Turn a folder of clips into a store to train from.",
    "train": "Train a network on a store.",
    "models": "List the architectures, or the released models with figures.",
    "export": "Turn a training run into one checked model file.",
    "info": "Show what a model file says of itself.",
    "classify": "Say which word each clip holds.",
    "transcribe": "List the words in recordings, with their times.",
    "listen": "Hear words from a microphone, live.",
    "evaluate": "Measure a model on clips: how often it is right.",
    "make-stream": "Make a long recording whose words are known, to measure on.",
    "evaluate-stream": "Measure a model on recordings: misses, false accepts per hour, delay.",
    "calibrate": "Set thresholds that keep a rate of false accepts.",
    "card": "Write a model card from what was measured.",
    "devices": "List the microphones.",
    "doctor": "Say why a microphone does not work, and what to do.",
}

# the smaller one where both have it: `train` brings gigabytes
EXTRA_OF_PACKAGE = {
    **dict.fromkeys(("scipy", "jinja2", "matplotlib", "onnx"), "evaluate"),
    **dict.fromkeys(("torch", "torchaudio", "librosa", "onnxscript", "lightning_fabric", "tomli_w"), "train"),
}


class Failure(click.ClickException):
    """An error as the user sees it: one line on standard error, exit status 1."""

    exit_code = FAILED

    def show(self, file: object = None) -> None:
        click.echo(f"speechcmd: error: {self.message}", err=True)


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and turns its errors into one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"speechcmd.cli.commands.{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            ctx.exit(exit_status(interrupt))
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise  # click ends the program for these, a closed pipe without a word
        except UsageError as error:
            raise click.UsageError(str(error), self._context_of_command(ctx)) from error
        except Exception as error:
            if ctx.params["debug"]:
                raise
            raise Failure(_one_line(error)) from error

    def _context_of_command(self, ctx: click.Context) -> click.Context:
        """What click makes its lines of usage from; the context that the command ran in is gone."""
        name = ctx.invoked_subcommand or ""
        command = self.get_command(ctx, name)
        return ctx if command is None else click.Context(command, parent=ctx, info_name=name)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Hear spoken commands: prepare, train, export, recognise. Nothing leaves this computer."""


def main() -> None:
    """Entry point of the `speechcmd` program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console of another code page must not end a command
    warnings.showwarning = _show_warning
    try:
        with results_kept_apart(), ended_by_signals():
            _run()
    except StandardOutputError as error:  # of the help, or of what stood in a buffer to the end
        Failure(str(error)).show()
        sys.exit(FAILED)
    except BrokenPipeError:
        sys.exit(FAILED)


def _show_warning(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """A note of our own is one line; other warnings stay what Python makes of them."""
    if issubclass(category, AudioWarning):
        click.echo(f"speechcmd: note: {message}", err=True)
    else:
        _python_shows_warning(message, category, *where, **more)


def _run() -> None:
    try:
        cli(prog_name="speechcmd")
    except (StandardOutputError, BrokenPipeError):
        raise
    except Exception:  # asked for with --debug; printed here, where names in it cannot steer the terminal
        traceback.print_exc()
        sys.exit(FAILED)


def _one_line(error: Exception) -> str:
    if isinstance(error, SpeechcmdError):
        message = str(error)
    elif isinstance(error, ImportError):
        message = _missing_package(error)
    elif isinstance(error, OSError) and error.strerror:
        message = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    else:
        message = (
            f"internal error: {type(error).__name__}: {error}; "
            "run again with `speechcmd --debug` before the command, and report what it shows"
        )
    return printable(message, " ")


def _missing_package(error: ImportError) -> str:
    package = (error.name or "").partition(".")[0]
    extra = EXTRA_OF_PACKAGE.get(package)
    requirement = f".[{extra}]" if extra else "."
    return (
        f"this command needs a package that cannot be imported ({error}); "
        f'in the folder of speechcmd: pip install "{requirement}"'
    )
