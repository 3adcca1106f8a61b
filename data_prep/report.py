"""The audit as files beside the store: audit.json and audit.png."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from data_prep.audit import Audit
from data_prep.picture import draw_audit
from data_prep.store import Row


def save_audit(audit: Audit, rows: Sequence[Row], folder: Path) -> None:
    """Write audit.json and audit.png, each whole or not at all."""
    part = folder / "audit.json.part"
    part.write_text(json.dumps(audit.to_dict(), indent=1) + "\n", encoding="utf-8")
    part.replace(folder / "audit.json")
    draw_audit(rows, folder / "audit.png")
