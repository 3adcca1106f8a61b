"""What `store.json` says of the rows, for stores of audio and of features alike."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence

import numpy as np

from data_prep.store import Row

KEPT_WHOLE = frozenset({"near_silent", "low_contrast"})  # flags of clips in which no word was found


def measure_durations(rows: Sequence[Row]) -> dict[str, int]:
    """Mean and 95th percentile of the trimmed words of the training split, in samples.

    Clips that were kept whole because no word was found in them do not count. Zeros if there is no word.
    """
    words = [row for row in rows if row.kind == "word" and row.split == "training"]
    words = words or [row for row in rows if row.kind == "word"]
    found = [row for row in words if not KEPT_WHOLE & set(row.flags)] or words
    lengths = np.array([row.n_speech for row in found] or [0])
    return {
        "mean_trimmed_samples": round(float(lengths.mean())),
        "p95_trimmed_samples": round(float(np.percentile(lengths, 95))),
        "n_words_measured": len(found),
    }


def digest_of_rows(rows: Iterable[Row], settings: str = "") -> str:
    """SHA-256 over which clips there are, where trimmed, in which split; and over `settings`."""
    hashed = hashlib.sha256(settings.encode())
    for row in rows:
        line = f"{row.path}\t{row.split}\t{row.speech_start}\t{row.speech_end}\t{row.digest}\n"
        hashed.update(os.fsencode(line))
    return hashed.hexdigest()
