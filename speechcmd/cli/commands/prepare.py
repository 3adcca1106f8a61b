"""`speechcmd prepare`: a folder of clips becomes an audited store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from speechcmd.cli.options.common import check_length

if TYPE_CHECKING:
    from data_prep.audit import Audit
    from data_prep.prepare import Prepared

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("corpus", type=_FOLDER)
@click.option("--store", "store_path", type=_FOLDER, required=True, help="Where the store shall be.")
@click.option(
    "--download",
    type=click.Choice(["v0.01", "v0.02"]),
    help="Fetch this version of Google's Speech Commands into CORPUS first (1.5 or 2.4 GB).",
)
@click.option("--noise", type=_FOLDER, multiple=True, help="Folder of background noise; may be repeated.")
@click.option("--speech", type=_FOLDER, multiple=True, help="Folder of running speech without the words.")
@click.option("--music", type=_FOLDER, multiple=True, help="Folder of music.")
@click.option(
    "--roles",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV (path, role) of the recordings: train, calibrate or figures.  "
    "[default: roles.csv in or above each folder, else by hash]",
)
@click.option(
    "--length",
    default="mean",
    show_default=True,
    callback=check_length,
    help="Length of a word in training: mean, p95 or seconds.",
)
@click.option(
    "--export-wav", type=_FOLDER, help="Also write the trimmed clips, cut or padded to the length, here."
)
@click.option("--workers", type=click.IntRange(min=0), default=0, help="Processes.  [default: all cores]")
@click.option("--json", "as_json", is_flag=True, help="Print the audit as JSON.")
def prepare(
    corpus: Path,
    store_path: Path,
    download: str | None,
    noise: tuple[Path, ...],
    speech: tuple[Path, ...],
    music: tuple[Path, ...],
    roles: Path | None,
    length: str,
    export_wav: Path | None,
    workers: int,
    as_json: bool,
) -> None:
    """Turn a folder of clips (word/speaker_nohash_0.wav) into a store to train from.

    Finds the word in each clip, measures the mean length of a word, and says what is wrong with
    the clips. It may be interrupted at any time: run it again and it goes on.
    """
    from data_prep.export_wav import check_export_folder
    from data_prep.prepare import PrepareConfig, prepare_store
    from speechcmd import __version__
    from speechcmd.cli.console.progress import StepProgress

    if export_wav:
        check_export_folder(export_wav)
    if download:
        corpus = _download(corpus, download)
    config = PrepareConfig(corpus, noise, speech, music, roles, length, workers)
    with StepProgress("clips") as progress:
        prepared = prepare_store(config, store_path, __version__, progress.update)
    audit = _audit(prepared, corpus)
    _print_audit(prepared, audit, as_json)
    if export_wav:
        _export_wav(prepared, length, export_wav)


def _download(corpus: Path, version: str) -> Path:
    from data_prep.download import download_speech_commands
    from speechcmd.cli.console.progress import StepProgress

    with StepProgress("bytes") as progress:
        return download_speech_commands(corpus, version, progress=progress.update)


def _audit(prepared: Prepared, corpus: Path) -> Audit:
    """Audit the store and leave audit.json and audit.png in it."""
    from data_prep.audit import audit
    from data_prep.audit_files import save_audit
    from data_prep.corpus import official_version
    from data_prep.split import LISTS, TAKES

    store = prepared.store
    rules = store.info["settings"]["split_rule"].split("+")
    found = audit(
        store.rows,
        prepared.skipped,
        official=official_version(corpus),
        is_shared_meant=LISTS in rules or TAKES in rules,
        notes=prepared.notes,
    )
    save_audit(found, store.rows, store.path)
    return found


def _print_audit(prepared: Prepared, audit: Audit, as_json: bool) -> None:
    import json

    from data_prep.audit import render_text
    from speechcmd.audio.samples import SAMPLE_RATE

    if as_json:
        click.echo(json.dumps(audit.to_dict()))
        return
    click.echo(render_text(audit))
    store = prepared.store
    seconds = store.length_samples(store.info["length"]) / SAMPLE_RATE
    done = "was complete already" if prepared.was_complete else "is ready"
    click.echo(f"Store {store.path} {done}; length of a word ({store.info['length']}): {seconds:.3f} s")
    click.echo(f"Picture: {store.path / 'audit.png'}")


def _export_wav(prepared: Prepared, length: str, folder: Path) -> None:
    from data_prep.export_wav import export_wav
    from speechcmd.cli.console.progress import StepProgress

    with StepProgress("wav") as progress:
        n_written = export_wav(prepared.store, length, folder, progress.update)
    click.echo(f"{n_written} trimmed clips in {folder}", err=True)
