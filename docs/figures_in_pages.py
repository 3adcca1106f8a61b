"""Put the figures of the released models into the pages that quote them.

usage: python docs/figures_in_pages.py     (after a model, its card or its figures changed)

A page marks where: `<!-- figures: NAME -->`, a table, `<!-- end -->`. The figures come from what was measured
and lies beside each model, `speechcmd/assets/NAME.json` and its card `NAME.md`. A test fails where a page
says something else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from speechcmd.runtime.model.figures import ClipFigures, OperatingPoint, Rate, Share
from speechcmd.runtime.model.model_file import ASSETS
from speechcmd.runtime.model.released import ReleasedModel, describe_released

ROOT = Path(__file__).resolve().parents[1]
REGION = re.compile(r"(<!-- figures: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
NOT_MEASURED = "–"


def pages_with_figures() -> list[Path]:
    """README and the pages that mark a place for figures."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in pages if REGION.search(page.read_text(encoding="utf-8"))]


def with_figures(text: str) -> str:
    """A page with the tables of today."""
    models = describe_released()
    return REGION.sub(lambda found: f"{found[1]}\n{TABLES[found[2]](models)}\n{found[3]}", text)


def models_table(models: Sequence[ReleasedModel]) -> str:
    """The released models, a line each."""
    head = ("model", "words", "parameters", "size", "accuracy", "false accepts per hour", "missed words")
    rows = []
    for model in models:
        point = points_of(model)[0]
        facts = (f"`{model.name}`", len(model.card.words), f"{model.card.parameters:,}")
        size = f"{model.n_bytes / 1e6:.2f} MB"
        rates = (rate_text(point.false_accepts), share_text(point.false_reject_rate_at_10_db))
        rows.append((*facts, size, share_text(accuracy_of(model)), *rates))
    return table(head, rows)


def accuracy_table(models: Sequence[ReleasedModel]) -> str:
    """Accuracy and recall of each label of the models with ten words; the others in one line."""
    small = [model for model in models if len(model.card.words) <= 10]
    rows = [("clips", *(f"{clips_of(model).accuracy.n:,}" for model in small))]
    rows.append(("**accuracy**", *(share_text(accuracy_of(model)) for model in small)))
    for label in small[0].card.labels:
        cells = [clips_of(model).recalls.get(label) for model in small]
        rows.append((f"*{label}*" if label.isalpha() else f"`{label}`", *map(share_text, cells)))
    rest = [
        f"`{model.name}`, all {len(model.card.words)} words: {share_text(accuracy_of(model))} of "
        f"{clips_of(model).accuracy.n:,} clips; mean of the labels "
        f"{100 * clips_of(model).mean_recall:.1f} %.\n"
        for model in models
        if model not in small
    ]
    head = ("official 12 classes", *(f"`{model.name}`" for model in small))
    return "\n".join((table(head, rows), *rest))


def streams_table(models: Sequence[ReleasedModel]) -> str:
    """What is missed at each rate, by model."""
    head = ("model", "set to", "false accepts per hour", "words missed", "missed at 10 dB or better")
    rows = [
        (
            f"`{model.name}`" if number == 0 else "",
            "as released" if number == 0 else f"{point.false_accepts_per_hour:g} per hour",
            counted_text(point.false_accepts),
            share_text(point.false_reject_rate),
            share_text(point.false_reject_rate_at_10_db),
        )
        for model in models
        for number, point in enumerate(points_of(model))
    ]
    return table(head, rows)


def rate_choice_table(models: Sequence[ReleasedModel]) -> str:
    """What the default model misses at two rates."""
    model = models[0]
    as_set, *_, last = points_of(model)
    rows = [
        (
            f"{last.false_accepts_per_hour:g}" if point is last else "1, as released",
            share_text(point.false_reject_rate_at_10_db),
        )
        for point in (as_set, last)
    ]
    return table(
        (f"false accepts per hour, `{model.name}`", "words missed, at 10 dB over noise or better"), rows
    )


def robustness_table(models: Sequence[ReleasedModel]) -> str:
    """Accuracy under each distortion, from the cards."""
    found = {model.name: dict(distortions_of(model.name)) for model in models if len(model.card.words) <= 10}
    names = [name for name, rows in found.items() if rows]
    conditions = found[names[0]]
    rows = [(each, *(found[name].get(each, NOT_MEASURED) for name in names)) for each in conditions]
    return table(("300 clips", *(f"`{name}`" for name in names)), rows)


def card_lines(kind: str, says: str) -> Callable[[Sequence[ReleasedModel]], str]:
    """A list of what each card says of one kind of audio, in the line that holds these words."""

    def lines(models: Sequence[ReleasedModel]) -> str:
        found = []
        for model in models:
            card = (ASSETS / f"{model.name}.md").read_text(encoding="utf-8")
            texts = [
                line.split("|")[2].strip() for line in card.splitlines() if line.startswith(f"| {kind} |")
            ]
            found += [f"- `{model.name}`: {text}\n" for text in texts if says in text]
        return "".join(found)

    return lines


def distortions_of(name: str) -> Iterable[tuple[str, str]]:
    """Condition and share of right answers, of each row of the card's last table."""
    card = (ASSETS / f"{name}.md").read_text(encoding="utf-8")
    _, _, below = card.partition("| distortion | strength |")
    for line in below.split("\n\n")[0].splitlines()[2:]:
        kind, strength, right, *_ = (cell.strip() for cell in line.strip("|").split("|"))
        yield f"{kind} {strength}".strip(), right


def points_of(model: ReleasedModel) -> Sequence[OperatingPoint]:
    if model.figures is None or model.figures.stream is None:
        return (OperatingPoint(None, None, None, None),)
    return model.figures.stream.points


def clips_of(model: ReleasedModel) -> ClipFigures:
    if model.figures is None or model.figures.clips is None:
        raise SystemExit(f"{model.name}: no figures on clips beside the model")
    return model.figures.clips


def accuracy_of(model: ReleasedModel) -> Share:
    return clips_of(model).accuracy


def share_text(share: Share | None) -> str:
    if share is None:
        return NOT_MEASURED
    return f"{100 * share.value:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def rate_text(rate: Rate | None) -> str:
    return NOT_MEASURED if rate is None else f"{rate.per_hour:.1f} [{rate.low:.1f}, {rate.high:.1f}]"


def counted_text(rate: Rate | None) -> str:
    return NOT_MEASURED if rate is None else f"{rate_text(rate)}: {rate.n_events} in {rate.hours:.1f} h"


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


TABLES: dict[str, Callable[[Sequence[ReleasedModel]], str]] = {
    "models": models_table,
    "accuracy": accuracy_table,
    "streams": streams_table,
    "rate-choice": rate_choice_table,
    "robustness": robustness_table,
    "speakers": card_lines("clips with one word", "worst tenth"),
    "promises": card_lines("recordings", "to be expected"),
    "delays": card_lines("recordings", "median delay"),
}

if __name__ == "__main__":
    for page in pages_with_figures():
        page.write_text(with_figures(page.read_text(encoding="utf-8")), encoding="utf-8")
