"""From a folder of clips to a store: all cores, constant memory, safe to interrupt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from data_prep.clip import Clip, LongRecording
from data_prep.clip_workers import measure_all
from data_prep.corpus import Corpus, Source, scan_corpus
from data_prep.store import INFO_FILE, Row, Store, resolve_length
from data_prep.store_check import Skipped, StoreInfo, check_record
from data_prep.store_folder import digest_of_rows, measure_durations
from data_prep.store_writer import StoreWriter
from data_prep.trim import TrimConfig
from speechcmd.audio.samples import SAMPLE_RATE
from speechcmd.errors import AudioError, CorpusError, StoreError
from speechcmd.files import write_text
from speechcmd.folder_lock import lock_name
from speechcmd.progress import Progress


@dataclass(frozen=True)
class PrepareConfig:
    """What goes into a store, and how."""

    root: Path
    noise: tuple[Path, ...] = ()
    speech: tuple[Path, ...] = ()
    music: tuple[Path, ...] = ()
    roles_file: Path | None = None
    length: str = "mean"
    n_workers: int = 0  # 0: all cores
    trim: TrimConfig = field(default_factory=TrimConfig)


@dataclass(frozen=True)
class Prepared:
    """A finished store, the files that did not enter it, and whether there was anything to do."""

    store: Store
    skipped: tuple[Skipped, ...]
    was_complete: bool
    notes: tuple[str, ...] = ()
    """What a person may not expect of their folder."""


def prepare_store(
    config: PrepareConfig, path: Path, version: str, progress: Progress | None = None
) -> Prepared:
    """Build the store at `path`, or go on with one that was interrupted.

    `version` is the tool's version, kept in the store. `progress(done, total)` is called as files
    are written. A finished store of the same settings and files is left as it is.

    Raises
    ------
    CorpusError
        If a folder holds nothing usable, or no clip can be read.
    StoreError
        If `path` is something else than a store, or the length is not known.
    BusyError
        If another process prepares it.
    """
    if path.is_symlink() or path.name in ("", ".."):
        path = path.resolve()
    resolve_length(config.length, {"mean_trimmed_samples": 1, "p95_trimmed_samples": 1})
    corpus = scan_corpus(config.root, config.noise, config.speech, config.music, config.roles_file)
    settings = _settings_of(config, corpus)
    if path.exists() and not (path / INFO_FILE).exists():
        raise StoreError(
            f"{path}: expected a store or a new name, found something else; choose another --store"
        )
    finished = _open_if_same(path, settings)
    if finished is not None and finished.info["length"] == config.length:
        return _leave(finished, corpus)
    with lock_name(path):
        finished = _open_if_same(path, settings)  # another process may have ended just now
        if finished is not None:
            _keep_length(finished, config.length)
            return _leave(finished, corpus)
        return _build(config, corpus, settings, path, version, progress or _no_progress)


def _leave(finished: Store, corpus: Corpus) -> Prepared:
    skipped = check_record(finished.path, finished.info, StoreInfo).skipped
    return Prepared(finished, skipped, was_complete=True, notes=corpus.notes)


def _build(
    config: PrepareConfig,
    corpus: Corpus,
    settings: dict[str, Any],
    path: Path,
    version: str,
    progress: Progress,
) -> Prepared:
    with StoreWriter(path, settings) as writer:
        skipped = _write_all(writer, config, corpus.sources, progress)
        if not any(row.kind == "word" for row in writer.rows):
            writer.discard()
            first = f"; the first: {skipped[0].path}: {skipped[0].reason}" if skipped else ""
            raise CorpusError(f"{corpus.root}: expected clips of words, none can be used{first}")
        info = _describe(writer.rows, skipped, config, settings, corpus, version)
        return Prepared(writer.finish(info), tuple(skipped), was_complete=False, notes=corpus.notes)


def _write_all(
    writer: StoreWriter, config: PrepareConfig, sources: Sequence[Source], progress: Progress
) -> list[Skipped]:
    """Measure and write what is not written yet; returns what cannot be used."""
    skipped: list[Skipped] = []
    done = writer.done
    n_done = len(done)
    progress(n_done, len(sources))
    todo = [source for source in sources if source.name not in done]
    with closing(measure_all(todo, config.trim, config.n_workers)) as portions:
        for results in portions:
            if isinstance(results, Source):
                skipped += _write_recording(writer, results)
                n_done += 1
            else:
                writer.append([result for result in results if isinstance(result, Clip)])
                skipped += [result for result in results if isinstance(result, Skipped)]
                n_done += len(results)
            progress(n_done, len(sources))
    return skipped


def _write_recording(writer: StoreWriter, source: Source) -> list[Skipped]:
    try:
        writer.append_recording(LongRecording(source))
    except AudioError as error:
        return [Skipped(source.name, error.without_path)]
    return []


def _settings_of(config: PrepareConfig, corpus: Corpus) -> dict[str, Any]:
    """What a store depends on. The length is not among it: it is a matter of reading."""
    return {
        "trim": asdict(config.trim),
        "sample_rate": SAMPLE_RATE,
        "split_rule": corpus.split_rule,
        "source_digest": corpus.digest(),
    }


def _open_if_same(path: Path, settings: dict[str, Any]) -> Store | None:
    if not path.exists():
        return None
    try:
        store = Store.open(path)
    except StoreError:
        return None
    return store if store.info.get("settings") == settings else None


def _keep_length(store: Store, length: str) -> None:
    """Note another length in a finished store: the next training takes it as its default."""
    if store.info["length"] == length:
        return
    store.info["length"] = length
    write_text(store.path / INFO_FILE, json.dumps(store.info, indent=1) + "\n")


def _describe(
    rows: Sequence[Row],
    skipped: Sequence[Skipped],
    config: PrepareConfig,
    settings: dict[str, Any],
    corpus: Corpus,
    version: str,
) -> dict[str, Any]:
    return {
        "tool_version": version,
        "length": config.length,
        "statistics": measure_durations(rows),
        "settings": settings,
        "data_digest": digest_of_rows(rows),
        "unused_recordings": corpus.unused,
        "skipped": [asdict(entry) for entry in skipped],
    }


def _no_progress(done: int, total: int) -> None:
    pass
