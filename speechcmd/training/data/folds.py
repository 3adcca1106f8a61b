"""Folds by speaker: who validates and who is trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from data_prep.row_source import AnyStore
from data_prep.store import Row
from speechcmd.training.settings.limits import parse_fold


def split_by_fold(stores: Sequence[AnyStore], fold: str) -> list[AnyStore]:
    """The stores with the words of one fold's speakers as validation, all others but testing as training.

    Speakers are dealt out in the order of a hash of their names: every fold gets as many. All stores
    together, or somebody in two of them might be trained on in one and validated in the other.
    """
    parsed = parse_fold(fold)
    if parsed is None:
        return list(stores)
    number, n_folds = parsed
    held_out = set(speakers_of(stores)[number::n_folds])
    return [
        type(store)(store.path, tuple(_move(row, held_out) for row in store.rows), store.info)
        for store in stores
    ]


def speakers_of(stores: Sequence[AnyStore]) -> list[str]:
    """Speakers of training and validation words in an order that their names alone decide."""
    speakers = {row.speaker for store in stores for row in store.rows if _is_dealt(row)}
    return sorted(speakers, key=lambda name: hashlib.sha256(name.encode(errors="surrogateescape")).digest())


def _is_dealt(row: Row) -> bool:
    return row.kind == "word" and row.split in ("training", "validation")


def _move(row: Row, held_out: set[str]) -> Row:
    if not _is_dealt(row):
        return row
    return replace(row, split="validation" if row.speaker in held_out else "training")
