"""`speechcmd listen`: live recognition from a microphone."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from speechcmd.cli.console.interruption import Interruption
from speechcmd.cli.options.common import labels_option, load_recognizer, model_option
from speechcmd.cli.options.decoder_options import decoder_options, decoder_settings
from speechcmd.cli.options.size import SizeType

if TYPE_CHECKING:
    from speechcmd.cli.console.listen_output import Output
    from speechcmd.runtime.listening.clip_saver import ClipSaver
    from speechcmd.runtime.listening.listener import Listener
    from speechcmd.runtime.listening.rule_runner import RuleRunner
    from speechcmd.runtime.microphone.capture import Capture
    from speechcmd.runtime.microphone.open_microphone import Block
    from speechcmd.runtime.model.card import ModelCard

_SAVE_LIMIT = 200_000_000


@click.command()
@model_option
@labels_option
@click.option("--device", metavar="NAME", help="Microphone: a part of its name (see `speechcmd devices`).")
@click.option(
    "--channel", type=click.IntRange(1, 64), help="Its one channel to use.  [default: the first two mixed]"
)
@click.option("--no-reconnect", is_flag=True, help="End with status 1 when the microphone goes away.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a word, nothing else.")
@decoder_options
@click.option(
    "--save-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep two seconds around each hit and near miss here.",
)
@click.option(
    "--save-limit",
    type=SizeType(),
    help="With --save-dir: delete the oldest clips beyond this size.  [default: 200MB]",
)
@click.option(
    "--exec",
    "rules_path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="RULES.toml",
    help="Run commands on words.",
)
@click.option("--dry-run", is_flag=True, help="With --exec: say what would run, and run nothing.")
@click.option("--input-file", metavar="FILE", help="Listen to a recording instead of a microphone.")
@click.option("--realtime", is_flag=True, help="With --input-file: at the pace at which it was spoken.")
def listen(
    model: str | None,
    labels: tuple[str, ...] | None,
    device: str | None,
    channel: int | None,
    no_reconnect: bool,
    as_json: bool,
    save_dir: Path | None,
    save_limit: int | None,
    rules_path: Path | None,
    dry_run: bool,
    input_file: str | None,
    realtime: bool,
    **decoder: Any,
) -> None:
    """Hear words from a microphone, until Ctrl-C.

    A terminal shows level, scores and words; otherwise each word is a line at once. Nothing leaves this
    computer, and nothing is kept unless --save-dir asks for it. Exit status: 0 ended by Ctrl-C, or the
    recording is over; 1 the microphone or the model failed; 2 wrong usage.
    """
    from speechcmd.cli.console.listen_output import choose_output
    from speechcmd.cli.console.quiet import quiet_libraries
    from speechcmd.runtime.listening.listener import Listener

    if (dry_run and rules_path is None) or (realtime and input_file is None):
        raise click.UsageError("--dry-run needs --exec RULES.toml, and --realtime needs --input-file FILE")
    if input_file is not None and (device is not None or channel is not None or no_reconnect):
        raise click.UsageError("--input-file takes the place of a microphone: leave its options out")
    if save_limit is not None and save_dir is None:
        raise click.UsageError("--save-limit needs --save-dir FOLDER")
    recognizer = load_recognizer(model, labels)
    settings = decoder_settings(recognizer.card, **decoder)
    thresholds = {word: settings.of(word).threshold for word in labels or recognizer.card.words}
    output = choose_output(as_json, thresholds)
    with quiet_libraries():  # PortAudio writes about a device that went away
        rules = None if rules_path is None else _load_rules(rules_path, dry_run, recognizer.card, output)
        capture = None
        if input_file is None:
            capture = _open_microphone(device, channel, recognizer.card, no_reconnect, output)
        try:
            title = _title(capture, input_file)
            saver = None
            if save_dir is not None:
                saver = _open_saver(save_dir, save_limit or _SAVE_LIMIT, recognizer.card, thresholds, title)
            stream = recognizer.stream(only_labels=labels, settings=settings, keep_near_misses=True)
            listener = Listener(stream, saver=saver, rules=rules, on_notice=output.notice)
            blocks = _blocks(capture, input_file, recognizer.card.sample_rate, realtime)
            _run(blocks, listener, output, title)
        finally:
            if capture is not None:
                capture.close()


def _run(blocks: Iterator[Block], listener: Listener, output: Output, title: str) -> None:
    """Listen until there is nothing more, or until somebody ends it; the summary comes in any case."""
    try:
        with Interruption() as interruption, output.running(title, listener):
            try:
                for block in blocks:
                    with interruption.held():  # half a block would leave the stream in no state at all
                        output.show(listener.feed(block))
            except KeyboardInterrupt:
                pass
            finally:
                output.detections(listener.finish())
    except KeyboardInterrupt:
        pass  # before the first block, or once more while the last clips were written
    finally:
        output.summary(listener)


def _blocks(
    capture: Capture | None, input_file: str | None, sample_rate: int, realtime: bool
) -> Iterator[Block]:
    from speechcmd.runtime.microphone.capture import play

    if capture is not None:
        return capture.blocks()
    blocks = play(input_file or "", sample_rate, realtime=realtime)
    first = list(islice(blocks, 1))  # a file that cannot be read is an error before anything is shown
    return chain(first, blocks)


def _open_microphone(
    device: str | None, channel: int | None, card: ModelCard, no_reconnect: bool, output: Output
) -> Capture:
    from speechcmd.runtime.microphone.capture import Capture

    return Capture(
        device, card.sample_rate, channel=channel, reconnect=not no_reconnect, on_notice=output.notice
    )


def _title(capture: Capture | None, input_file: str | None) -> str:
    if capture is None:
        return str(input_file)
    return f"{capture.device.title}, {capture.rate} Hz"


def _open_saver(
    folder: Path, limit: int, card: ModelCard, thresholds: dict[str, float], title: str
) -> ClipSaver:
    from speechcmd.runtime.listening.clip_saver import ClipSaver

    details = {"model": card.name, "thresholds": thresholds, "input": title}
    return ClipSaver(folder, sample_rate=card.sample_rate, limit_bytes=limit, details=details)


def _load_rules(path: Path, dry_run: bool, card: ModelCard, output: Output) -> RuleRunner:
    from speechcmd.runtime.listening.rule_runner import RuleRunner
    from speechcmd.runtime.listening.rules import load_rules

    def announce(rule: Any, arguments: list[str]) -> None:
        if dry_run:
            output.note(f"{rule.name} would run: {shlex.join(arguments)}")

    return RuleRunner(
        load_rules(path, card.words),
        dry_run=dry_run,
        on_problem=lambda problem: output.notice(problem, problem),
        on_start=announce,
        output=output.of_commands,
    )
