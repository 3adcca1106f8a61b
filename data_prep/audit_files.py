"""The audit as files beside the store: audit.json and audit.png."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from data_prep.audit import Audit
from data_prep.corpus_picture import draw_audit
from data_prep.store import Row
from speechcmd.files import write_text


def save_audit(audit: Audit, rows: Sequence[Row], folder: Path) -> None:
    """Write audit.json and audit.png, each whole or not at all."""
    write_text(folder / "audit.json", json.dumps(audit.to_dict(), indent=1) + "\n")
    draw_audit(rows, folder / "audit.png")
