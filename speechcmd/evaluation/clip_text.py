"""Figures of clips as text for people: 80 columns, percent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from speechcmd.errors import printable
from speechcmd.runtime.model_card import UNKNOWN

_MOST_ROWS = 5
_WIDTH = 80


def render_text(result: dict[str, Any]) -> str:
    """The content of `clips.json` as a page of text."""
    parts = (_headline, _label_table, _pair_list, _speaker_lines, _unknown_lines, _group_tables)
    return "\n".join(line for part in parts for line in part(result))


def _headline(result: dict[str, Any]) -> Iterator[str]:
    source, accuracy = result["source"], result["accuracy"]
    split = f", {source['split']}" if source["split"] else ""
    yield f"{result['model']['name']} on {printable(source['path'])}: task {source['task']}{split}"
    share, bounds = _percent(accuracy["value"]), _interval(accuracy["low"], accuracy["high"])
    yield f"accuracy     {share} % {bounds}   {accuracy['n_right']:,} of {accuracy['n']:,} clips"
    yield f"macro F1     {_percent(result['macro_f1'])} %"
    ece = result["calibration"]["ece"]
    yield f"calibration  {_percent(ece)} % expected error of the score"
    draw = source["draw"]
    if draw is not None:
        seed = "" if draw["seed"] is None else f", seed {draw['seed']}"
        drawn = f"{draw['n_unknown']:,} unknown, {draw['n_silence']:,} silence{seed}"
        yield f"drawn        {drawn}, sha256 {draw['sha256'][:12]}"


def _label_table(result: dict[str, Any]) -> Iterator[str]:
    rows = result["by_label"]
    width = max(len("label"), *(len(row["label"]) for row in rows))
    yield ""
    yield f"{'label':<{width}}  {'clips':>6}  {'recall %':>8}  {'95 %':<15}  {'precision %':>11}  {'F1 %':>6}"
    for row in rows:
        bounds = "" if row["recall"] is None else _interval(row["recall_low"], row["recall_high"])
        yield (
            f"{row['label']:<{width}}  {row['n']:>6,}  {_percent(row['recall']):>8}  {bounds:<15}  "
            f"{_percent(row['precision']):>11}  {_percent(row['f1']):>6}"
        )


def _pair_list(result: dict[str, Any]) -> Iterator[str]:
    pairs = result["pairs"]
    if not pairs:
        return
    yield ""
    yield "most confused, with the clip of the highest score to listen to"
    width = max(len(pair["truth"]) + len(pair["answer"]) for pair in pairs) + len(" as ")
    for pair in pairs:
        clip = pair["clips"][0]
        name = f"{pair['truth']} as {pair['answer']}"
        yield f"{pair['n']:>5,}  {name:<{width}}  {clip['score']:.2f}  {printable(clip['path'])}"


def _speaker_lines(result: dict[str, Any]) -> Iterator[str]:
    speakers = result["by_speaker"]
    if not speakers["n_speakers"]:
        return
    yield ""
    spread = "" if speakers["sd"] is None else f", standard deviation {_percent(speakers['sd'])}"
    yield (
        f"{speakers['n_speakers']:,} speakers: mean {_percent(speakers['mean'])} %{spread}, "
        f"worst tenth {_percent(speakers['worst_tenth'])} %"
    )
    worst = (
        f"{printable(row['speaker'])} {_percent(row['accuracy'])} of {row['n']}"
        for row in speakers["worst"][:_MOST_ROWS]
    )
    yield from _wrap("worst: ", worst)


def _unknown_lines(result: dict[str, Any]) -> Iterator[str]:
    unknown = result["unknown_by_word"]
    if unknown is None:
        return
    yield ""
    yield f"{UNKNOWN}: mean over {len(unknown['words'])} words {_percent(unknown['mean'])} %"
    worst = (
        f"{printable(row['word']) or '(not told)'} {_percent(row['accuracy'])} of {row['n']}"
        for row in unknown["words"][:_MOST_ROWS]
    )
    yield from _wrap("worst: ", worst)


def _group_tables(result: dict[str, Any]) -> Iterator[str]:
    for column in result["groups"]:
        yield ""
        yield f"by {printable(column['column'])}{_describe_gap(column)}"
        width = max(len(printable(group["value"])) for group in column["groups"])
        for group in column["groups"]:
            bounds = _interval(group["low"], group["high"])
            share = f"{_percent(group['accuracy']):>6} %  {bounds:<15}"
            yield f"  {printable(group['value']):<{width}}  {share}  of {group['n']:,} clips"


def _describe_gap(column: dict[str, Any]) -> str:
    if column["largest_gap"] is None:
        return ": fewer than two groups of 20 clips, no gap is told"
    bounds = _interval(column["gap_low"], column["gap_high"])
    return f": largest gap {_percent(column['largest_gap'])} points {bounds}"


def _wrap(head: str, items: Iterator[str]) -> Iterator[str]:
    line = head
    for number, item in enumerate(items):
        piece = item if number == 0 else f", {item}"
        if len(line) + len(piece) > _WIDTH:
            yield f"{line},"
            line, piece = " " * len(head), item
        line += piece
    yield line


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"[{100 * low:.1f}, {100 * high:.1f}]"
