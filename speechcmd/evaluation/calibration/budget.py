"""One budget of false accepts for all labels, shared in the best way."""

from __future__ import annotations

import numpy as np

from speechcmd.arrays import DoubleArray, IntArray


def share_events(n_false: IntArray, rejected: DoubleArray, budget: int) -> list[int] | None:
    """For each label the threshold, so that all together keep a budget and the mean miss rate is least.

    Dynamic programming over the events spent, exact; of equal ways the one with fewer events.

    Parameters
    ----------
    n_false
        False accepts of each label at each threshold. Shape: (n_labels, n_thresholds).
    rejected
        False reject rates. Shape: (n_labels, n_thresholds).
    budget
        Most false accepts of all labels together.

    Returns
    -------
    The number of a threshold for each label; None if no choice keeps the budget.
    """
    n_labels, _ = n_false.shape
    best = np.full(budget + 1, np.inf)
    best[0] = 0.0
    choices = np.full((n_labels, budget + 1), -1, dtype=np.int64)
    for label in range(n_labels):
        after = np.full(budget + 1, np.inf)
        for number, (events, rate) in enumerate(zip(n_false[label], rejected[label], strict=True)):
            if events > budget:
                continue
            reached = best[: budget + 1 - events] + rate
            is_better = reached < after[events:] - 1e-12
            after[events:][is_better] = reached[is_better]
            choices[label, events:][is_better] = number
        best = after
    if np.isinf(best).all():
        return None
    spent = int(np.argmin(np.round(best, 12)))
    chosen: list[int] = []
    for label in range(n_labels - 1, -1, -1):
        number = int(choices[label, spent])
        chosen.insert(0, number)
        spent -= int(n_false[label, number])
    return chosen
