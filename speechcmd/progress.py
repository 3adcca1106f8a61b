"""How far long work is: the form in which it says so."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with how much is done and of how much, in the unit of the work: clips, batches, bytes."""
