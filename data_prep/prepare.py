"""From a folder of clips to a store: all cores, constant memory, safe to interrupt."""

from __future__ import annotations

import hashlib
import multiprocessing
import multiprocessing.connection
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.clip import Clip, Skipped, measure_clips
from data_prep.corpus import Corpus, Source, scan_corpus
from data_prep.recording import Recording
from data_prep.store import INFO_FILE, Row, Store, resolve_length
from data_prep.store_writer import StoreWriter
from data_prep.trim import TrimConfig
from speechcmd.audio import SAMPLE_RATE
from speechcmd.errors import AudioError, CorpusError, StoreError

CHUNK_FILES = 64  # a worker's portion: large enough to hide the hand-over, small enough to stay in cache
LARGE_FILE_BYTES = 8_000_000  # beyond this a file is streamed by the writer instead of being held by a worker

Progress = Callable[[int, int], None]


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
    """
    resolve_length(config.length, {"mean_trimmed_samples": 1, "p95_trimmed_samples": 1})
    corpus = scan_corpus(config.root, config.noise, config.speech, config.music, config.roles_file)
    settings = _settings_of(config, corpus)
    if path.exists() and not (path / INFO_FILE).exists():
        raise StoreError(f"{path}: expected a store or a new name, found something else; choose another --store")
    finished = _open_if_same(path, settings)
    if finished is not None:
        skipped = tuple(Skipped(**entry) for entry in finished.info["skipped"])
        return Prepared(finished, skipped, was_complete=True)
    return _build(config, corpus, settings, path, version, progress or _no_progress)


def _build(
    config: PrepareConfig, corpus: Corpus, settings: dict[str, Any], path: Path, version: str, progress: Progress
) -> Prepared:
    skipped: list[Skipped] = []
    with StoreWriter(path, settings) as writer:
        done = writer.done
        todo = [source for source in corpus.sources if source.name not in done]
        n_done, total = len(done), len(corpus.sources)
        progress(n_done, total)
        for results in _measure_all(todo, config):
            if isinstance(results, Source):
                skipped += _write_recording(writer, results)
                n_done += 1
            else:
                writer.append([result for result in results if isinstance(result, Clip)])
                skipped += [result for result in results if isinstance(result, Skipped)]
                n_done += len(results)
            progress(n_done, total)
        if not any(row.kind == "word" for row in writer.rows):
            first = f"; the first: {skipped[0].path}: {skipped[0].reason}" if skipped else ""
            raise CorpusError(f"{corpus.root}: none of {total} files can be used{first}")
        info = _describe(writer.rows, skipped, config, settings, corpus, version)
        return Prepared(writer.finish(info), tuple(skipped), was_complete=False)


def _measure_all(
    sources: Sequence[Source], config: PrepareConfig
) -> Iterator[Source | list[Clip | Skipped]]:
    """Yield measured portions in the order of the sources; a large file comes as its source."""
    n_workers = config.n_workers or os.cpu_count() or 1
    context = multiprocessing.get_context()
    with ProcessPoolExecutor(n_workers, context, initializer=_die_with_parent) as pool:
        waiting: deque[Source | Future[list[Clip | Skipped]]] = deque()
        for portion in _portions(sources):
            if isinstance(portion, Source):
                waiting.append(portion)
            else:
                waiting.append(pool.submit(measure_clips, portion, config.trim))
            if len(waiting) >= 3 * n_workers:
                yield _result_of(waiting.popleft())
        while waiting:
            yield _result_of(waiting.popleft())


def _result_of(item: Source | Future[list[Clip | Skipped]]) -> Source | list[Clip | Skipped]:
    return item if isinstance(item, Source) else item.result()


def _portions(sources: Sequence[Source]) -> Iterator[Source | list[Source]]:
    portion: list[Source] = []
    for source in sources:
        if source.size > LARGE_FILE_BYTES:
            if portion:
                yield portion
                portion = []
            yield source
            continue
        portion.append(source)
        if len(portion) == CHUNK_FILES:
            yield portion
            portion = []
    if portion:
        yield portion


def _die_with_parent() -> None:
    """End this worker when its parent is gone: a killed parent cannot tell it."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _write_recording(writer: StoreWriter, source: Source) -> list[Skipped]:
    try:
        writer.append_recording(Recording(source))
    except AudioError as error:
        return [Skipped(source.name, str(error).removeprefix(f"{source.path}: "))]
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
    return store if store.info["settings"] == settings else None


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
        "data_digest": _digest_of(rows),
        "unused_recordings": corpus.unused,
        "skipped": [asdict(entry) for entry in skipped],
    }


def measure_durations(rows: Sequence[Row]) -> dict[str, int]:
    """Mean and 95th percentile of the trimmed words of the training split, in samples.

    Clips that were kept whole because no word was found in them do not count.
    """
    words = [row for row in rows if row.kind == "word" and row.split == "training"]
    words = words or [row for row in rows if row.kind == "word"]
    found = [row for row in words if not {"near_silent", "low_contrast"} & set(row.flags)] or words
    lengths = np.array([row.n_speech for row in found])
    return {
        "mean_trimmed_samples": round(float(lengths.mean())),
        "p95_trimmed_samples": round(float(np.percentile(lengths, 95))),
        "n_words_measured": len(found),
    }


def _digest_of(rows: Sequence[Row]) -> str:
    hashed = hashlib.sha256()
    for row in rows:
        hashed.update(f"{row.path}\t{row.split}\t{row.speech_start}\t{row.speech_end}\t{row.digest}\n".encode())
    return hashed.hexdigest()


def _no_progress(done: int, total: int) -> None:
    pass
