"""The model card in Markdown: what the model file says of itself, and what was measured on it. No more."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechcmd.errors import printable
from speechcmd.evaluation.clips.clip_result import ClipsResult
from speechcmd.evaluation.report import tables
from speechcmd.evaluation.report.headline import summarise
from speechcmd.evaluation.report.page import describe_measured
from speechcmd.evaluation.report.released_figures import read_own_results, stream_figures
from speechcmd.evaluation.report.results import Results, kind_of
from speechcmd.evaluation.report.tables import Table
from speechcmd.evaluation.report.template import fill_template
from speechcmd.evaluation.streams.stream_result import AS_SET, SNR, NotReached, StreamResult
from speechcmd.evaluation.wording import (
    NOT_MEASURED,
    NOTHING,
    as_number,
    as_percent,
    as_percent_interval,
    as_rate,
    as_rate_interval,
    join_words,
)
from speechcmd.labels import NEVER_FIRE, SILENCE, UNKNOWN
from speechcmd.runtime.model.card import ModelCard
from speechcmd.runtime.model.figures import OperatingPoint, Share, StreamFigures
from speechcmd.runtime.model.promise import promise_of

# the names of licences on the Hugging Face hub are those of SPDX in small letters
_HUB_LICENCES = {"apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0", "cc-by-sa-4.0", "cc0-1.0", "gpl-3.0"}
_OTHERS = {UNKNOWN: f"other words ({UNKNOWN})", SILENCE: f"background noise ({SILENCE})"}
_STREAM_TITLES = (
    "Words missed for so many false accepts", "Settings of the thresholds", "False accepts",
    "Words missed and delay", "Words missed in noise",
)  # fmt: skip
_FEW_CLIPS = 30


@dataclass(frozen=True, slots=True)
class _Section:
    title: str
    tables: list[Table]


def make_card(card: ModelCard, model_bytes: bytes, folder: Path, notes: str = "") -> str:
    """Return the model card as Markdown with the front matter of the Hugging Face hub.

    Parameters
    ----------
    model_bytes
        The model file, whose digest the results must bear.
    folder
        A report folder, as `speechcmd evaluate --report` and the other commands write it.
    notes
        Markdown, set into the card as it is: what a person has to say beside the figures.

    Raises
    ------
    EvaluationError
        If the folder holds no results, one that cannot be read, or one of another model file.
    """
    sha256 = hashlib.sha256(model_bytes).hexdigest()
    return _render(card, len(model_bytes), sha256, read_own_results(card, sha256, folder), notes)


def _render(card: ModelCard, n_bytes: int, sha256: str, results: Results, notes: str) -> str:
    text = fill_template(
        "card.md.jinja",
        {
            "md": escape_markdown,
            "md_table": _to_markdown,
            "one_line": _one_line,
            "describe_measured": describe_measured,
        },
        card=card,
        n_bytes=n_bytes,
        sha256=sha256,
        words=join_words(list(card.words)),
        others=join_words([_OTHERS[label] for label in card.labels if label in NEVER_FIRE]),
        thresholds=", ".join(f"{word} {as_number(card.decoder.of(word).threshold)}" for word in card.words),
        front_matter=_front_matter(card, results),
        figures=_list_figures(results),
        limits=[*_limits_of_training(card, results), *_list_limits(results)],
        sections=_make_sections(results),
        results=results.measured,
        kind_of=kind_of,
        promise=promise_of(card),
        notes=notes.strip(),
        not_measured=NOT_MEASURED,
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _front_matter(card: ModelCard, results: Results) -> list[str]:
    """The lines of YAML; a JSON string is a YAML string."""
    licence = card.licence.lower()
    is_known = licence in _HUB_LICENCES
    named = [] if is_known else [f"license_name: {json.dumps(card.licence)}"]
    return [
        f"license: {licence if is_known else 'other'}",
        *named,
        "library_name: speechcmd",
        "pipeline_tag: audio-classification",
        "tags:",
        *(f"- {tag}" for tag in ("keyword-spotting", "speech-commands", "onnx", "audio")),
        *(["metrics:", "- accuracy"] if results.clips else []),
    ]


def _list_figures(results: Results) -> list[tuple[str, str]]:
    """The figures that come first; what was not measured is said in its place."""
    names = {
        "clips with one word": results.clips,
        "recordings": results.stream,
        "distorted clips": results.robustness,
    }
    rows = []
    for name, result in names.items():
        headlines = summarise(result) if result else []
        rows += [(name, f"{one.figure} {one.meaning}") for one in headlines] or [(name, NOT_MEASURED)]
    return rows


def _list_limits(results: Results) -> list[str]:
    """What the figures say against the model, and what they say nothing about."""
    limits = list(_limits_on_clips(results.clips)) if results.clips else []
    points = results.stream.points if results.stream else ()
    not_reached = [point.name for point in points if isinstance(point, NotReached)]
    if not_reached:
        limits.append(f"No thresholds reach: {', '.join(not_reached)}.")
    missing = [name for name, is_there in _list_measured(results) if not is_there]
    if missing:
        limits.append(f"{NOT_MEASURED.capitalize()}: {', '.join(missing)}.")
    return limits


def _limits_of_training(card: ModelCard, results: Results) -> list[str]:
    """Voices that trained the model, or the source of its figures has in training and in tests alike."""
    sources = [result.source for result in (results.clips, results.robustness) if result]
    noted = [card.training.get("voices"), *(source.voices for source in sources)]
    return [f"Voices: {note}." for note in dict.fromkeys(noted) if isinstance(note, str) and note]


def _limits_on_clips(result: ClipsResult) -> Iterator[str]:
    worst = sorted(result.measured_labels, key=lambda pair: pair[1])[:3]
    yield f"Least recall: {', '.join(f'{row.label} {as_percent(recall)}' for row, recall in worst)}."
    few = [f"{row.label} {row.n}" for row, _ in result.measured_labels if row.n < _FEW_CLIPS]
    if few:
        yield f"Recall is known roughly only where there are fewer than {_FEW_CLIPS} clips: {', '.join(few)}."
    for pair in result.pairs[:1]:
        yield f"Most frequent confusion: “{pair.truth}” taken for “{pair.answer}”."


def _list_measured(results: Results) -> list[tuple[str, bool]]:
    clips, own = results.clips, results.stream.own if results.stream else None
    return [
        ("accuracy on clips", bool(clips)),
        ("groups of speakers", bool(clips and any(column.groups for column in clips.groups))),
        ("false accepts per hour", bool(own and own.overall.false_accepts_per_hour is not None)),
        ("words missed in recordings", bool(own and own.overall.false_reject_rate is not None)),
        ("words missed by signal-to-noise ratio", bool(own and own.values_of(SNR))),
        ("delay", bool(own and own.overall.delay_ms)),
        ("robustness", bool(results.robustness)),
    ]


def _make_sections(results: Results) -> list[_Section]:
    clips, robustness = results.clips, results.robustness
    others = tables.tabulate_unknown(clips) if clips else None
    return [
        _Section("Recall and precision", [tables.tabulate_labels(clips)] if clips else []),
        *([_Section(others.title, [others])] if others else []),
        _Section("Calibration of the score", _calibration_tables(clips)),
        _Section("Groups of speakers", [tables.tabulate_groups(clips)] if clips and clips.groups else []),
        *(_Section(title, found) for title, found in _stream_tables(results.stream).items()),
        _Section("Robustness", [tables.tabulate_robustness(robustness)] if robustness else []),
    ]


def _stream_tables(stream: StreamResult | None) -> dict[str, list[Table]]:
    """The tables of what was measured on recordings, by their titles; what was not measured has none."""
    found: dict[str, list[Table]] = {title: [] for title in _STREAM_TITLES}
    if stream is None:
        return found
    missed, settings, false_accepts, words, noise = _STREAM_TITLES
    own = stream.own
    found[settings] = [tables.tabulate_points(stream)]
    if stream.n_words:
        found[missed] = [_tabulate_points(stream_figures(stream))]
        found[words] = [tables.tabulate_stream_labels(own)]
    if any(row.hours for row in own.by_kind):
        found[false_accepts] = [tables.tabulate_kinds(stream)]
    if own.values_of(SNR):
        found[noise] = [tables.tabulate_attribute(SNR, [own])]
    return found


def _tabulate_points(figures: StreamFigures) -> Table:
    """What is missed at each rate of false accepts: of all words, and of those that noise hardly hides."""
    header = ("false accepts per hour", "counted", "95 % interval", "words missed", "95 % interval",
              "missed at 10 dB or better", "95 % interval")  # fmt: skip
    rows = tuple(_point_cells(point) for point in figures.points)
    return Table("Words missed for so many false accepts", header, rows)


def _point_cells(point: OperatingPoint) -> tuple[str, ...]:
    wanted = AS_SET if point.false_accepts_per_hour is None else as_number(point.false_accepts_per_hour)
    counted = point.false_accepts
    shares = (point.false_reject_rate, point.false_reject_rate_at_10_db)
    if counted is None:
        rate = ("not reached" if point.false_reject_rate is None else NOT_MEASURED, NOTHING)
    else:
        rate = (
            f"{as_rate(counted.per_hour)} ({counted.n_events:,} in {counted.hours:.2f} h)",
            as_rate_interval(counted.low, counted.high),
        )
    return (wanted, *rate, *(cell for share in shares for cell in _share_cells(share)))


def _share_cells(share: Share | None) -> tuple[str, str]:
    if share is None:
        return NOTHING, NOTHING
    return f"{as_percent(share.value)} of {share.n:,}", as_percent_interval(share.low, share.high)


def _calibration_tables(clips: ClipsResult | None) -> list[Table]:
    if clips is None or clips.calibration.ece is None:
        return []
    row = (as_percent(clips.calibration.ece, 2), f"{clips.accuracy.n:,}")
    return [Table("Expected calibration error", ("expected calibration error", "clips"), (row,))]


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is, on one line: labels and paths may hold anything."""
    return re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", _one_line(text))


def _to_markdown(one: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(escape_markdown(cell) for cell in cells)} |"

    rule = f"|{'---|' * one.n_names}{'---:|' * (len(one.header) - one.n_names)}"
    return "\n".join([line(one.header), rule, *(line(row) for row in one.rows)])


def _one_line(text: str) -> str:
    return " ".join(printable(str(text), " ").split())
