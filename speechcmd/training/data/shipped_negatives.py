"""When what is no word of the user's comes from the shipped negatives, and what is said of that.

A network that has heard nothing but its own words takes everything for one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from data_prep.row_source import AnyStore, JoinedStores
from data_prep.shipped_negatives import KINDS, ShippedStore, open_shipped
from speechcmd.audio.samples import SAMPLE_RATE
from speechcmd.runtime.model.card import DataSource
from speechcmd.training.settings.config import TrainConfig

NOISE_SOURCE = DataSource("ESC-10 (shipped noise)", "CC-BY-3.0", "https://github.com/karolpiczak/ESC-50")
SOURCES = (
    DataSource("Speech Commands (shipped negatives)", "CC-BY-4.0", "https://arxiv.org/abs/1804.03209"),
    DataSource("LibriSpeech (shipped negatives)", "CC-BY-4.0", "https://www.openslr.org/12"),
    DataSource("speechocean762 (shipped negatives)", "CC-BY-4.0", "https://www.openslr.org/101"),
    DataSource(
        "Wake words (shipped negatives)", "Apache-2.0", "https://github.com/Picovoice/wake-word-benchmark"
    ),
    DataSource(
        "Precise Community Data (shipped negatives)",
        "public domain",
        "https://github.com/MycroftAI/Precise-Community-Data",
    ),
    NOISE_SOURCE,
)


def add_negatives(stores: Sequence[AnyStore], config: TrainConfig) -> list[AnyStore]:
    """The stores, and after them the shipped negatives if the settings want them.

    "auto": all of it where the stores have neither other words nor running speech to train on, else noise
    where they have none.
    """
    if any(isinstance(store, ShippedStore) for store in stores):
        return list(stores)
    kinds = _missing_kinds(JoinedStores(stores), config)
    shipped = open_shipped(config.words, kinds) if kinds else None
    return [*stores, shipped] if shipped else list(stores)


def describe_negatives(stores: Sequence[AnyStore]) -> str:
    """One line that says what of the stores was shipped, "" if nothing was."""
    shipped = [store for store in stores if isinstance(store, ShippedStore)]
    if not shipped:
        return ""
    own = " + ".join(str(store.path) for store in stores if store not in shipped)
    rows = [row for row in shipped[0].rows if row.split == "training"]
    minutes = sum(row.n_samples for row in rows) / SAMPLE_RATE / 60
    if all(row.kind == "noise" for row in rows):
        return f"{own}: no background noise; training with the shipped noise ({minutes:.0f} minutes)"
    return (
        f"{own}: no clips of other words and no running speech; training with the shipped negatives "
        f"({minutes:.0f} minutes); better are `prepare --speech DIR` and speech from where it will listen"
    )


def record_shipped(stores: Sequence[AnyStore], words: Sequence[str]) -> dict[str, Any]:
    """What run.json says of the shipped part of the stores, and whose recordings it is; {} if none."""
    kinds = {row.kind for store in stores if isinstance(store, ShippedStore) for row in store.rows}
    if not kinds:
        return {}
    sources = (NOISE_SOURCE,) if kinds == {"noise"} else SOURCES
    return {"kinds": sorted(kinds), "words": list(words), "sources": [asdict(source) for source in sources]}


def reopen_shipped(recorded: dict[str, Any]) -> list[ShippedStore]:
    """The shipped store that `record_shipped` described; none for {}."""
    return [open_shipped(recorded["words"], recorded["kinds"])] if recorded else []


def sources_of(recorded: dict[str, Any]) -> tuple[DataSource, ...]:
    """Whose recordings the shipped part of a run's data is, for the model card."""
    return tuple(DataSource(**source) for source in recorded.get("sources", ()))


def _missing_kinds(source: JoinedStores, config: TrainConfig) -> tuple[str, ...]:
    if config.negatives == "shipped":
        return KINDS
    if config.negatives == "none":
        return ()
    other_words = any(row.word not in config.words for row in source.select("word", "training"))
    has_negatives = other_words or bool(source.select("speech", "training"))
    return () if has_negatives and source.select("noise") else ("noise",) if has_negatives else KINDS
