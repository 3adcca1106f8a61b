"""Figures of clips as text for people: 80 columns, percent."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from speechcmd.errors import printable
from speechcmd.evaluation.clips.clip_result import ClipsResult
from speechcmd.evaluation.wording import as_percent, as_percent_interval
from speechcmd.labels import UNKNOWN

_MOST_ROWS = 5
_WIDTH = 80


def render_text(result: ClipsResult) -> str:
    """The content of `clips.json` as a page of text."""
    parts = (_headline, _label_table, _pair_list, _speaker_lines, _unknown_lines, _group_tables)
    return "\n".join(line for part in parts for line in part(result))


def _headline(result: ClipsResult) -> Iterator[str]:
    source, accuracy = result.source, result.accuracy
    split = f", {source.split}" if source.split else ""
    yield f"{result.model.name} on {printable(source.path)}: task {source.task}{split}"
    bounds = as_percent_interval(accuracy.low, accuracy.high)
    counts = f"{accuracy.n_right:,} of {accuracy.n:,} clips"
    yield f"accuracy     {as_percent(accuracy.value, 2)} ({bounds})   {counts}"
    yield from _fact("intervals", f"95 %, {result.describe_intervals()}")
    yield from _fact("macro F1", as_percent(result.macro_f1, 2))
    yield from _fact("calibration", f"{as_percent(result.calibration.ece, 2)} expected error of the score")
    draw = source.draw
    if draw is not None:
        seed = "" if draw.seed is None else f", seed {draw.seed}"
        drawn = f"{draw.n_unknown:,} unknown, {draw.n_silence:,} silence{seed}"
        yield from _fact("drawn", f"{drawn}, sha256 {draw.sha256[:12]}")
        yield from _fact("", printable(draw.rule))
    if source.voices:
        yield from _fact("voices", printable(source.voices))


def _fact(name: str, text: str) -> list[str]:
    return wrap(f"{name:<13}{text}", _WIDTH, subsequent_indent=" " * 13, drop_whitespace=True)


def _label_table(result: ClipsResult) -> Iterator[str]:
    rows = result.by_label
    width = max(len("label"), *(len(row.label) for row in rows))
    yield ""
    yield f"{'label':<{width}}  {'clips':>6}  {'recall':>7}  {'95 %':<12}  {'precision':>9}  {'F1':>7}"
    for row in rows:
        bounds = as_percent_interval(row.recall_low, row.recall_high)
        yield (
            f"{row.label:<{width}}  {row.n:>6,}  {as_percent(row.recall):>7}  {bounds:<12}  "
            f"{as_percent(row.precision):>9}  {as_percent(row.f1):>7}"
        )


def _pair_list(result: ClipsResult) -> Iterator[str]:
    pairs = result.pairs
    if not pairs:
        return
    yield ""
    yield "most confused, with the clip of the highest score to listen to"
    width = max(len(pair.truth) + len(pair.answer) for pair in pairs) + len(" as ")
    for pair in pairs:
        clip = pair.clips[0]
        name = f"{pair.truth} as {pair.answer}"
        yield f"{pair.n:>5,}  {name:<{width}}  {clip.score:.2f}  {printable(clip.path)}"


def _speaker_lines(result: ClipsResult) -> Iterator[str]:
    speakers = result.by_speaker
    if not speakers.n_speakers:
        return
    yield ""
    spread = "" if speakers.sd is None else f", standard deviation {as_percent(speakers.sd)}"
    yield (
        f"{speakers.n_speakers:,} speakers: mean {as_percent(speakers.mean)}{spread}, "
        f"worst tenth {as_percent(speakers.worst_tenth)}"
    )
    worst = (
        f"{printable(row.speaker)} {as_percent(row.accuracy)} of {row.n}"
        for row in speakers.worst[:_MOST_ROWS]
    )
    yield from _wrap("worst: ", worst)


def _unknown_lines(result: ClipsResult) -> Iterator[str]:
    unknown = result.unknown_by_word
    if unknown is None:
        return
    yield ""
    yield f"{UNKNOWN}: mean over {len(unknown.words)} words {as_percent(unknown.mean)}"
    worst = (
        f"{printable(row.word) or '(no word)'} {as_percent(row.accuracy)} of {row.n}"
        for row in unknown.words[:_MOST_ROWS]
    )
    yield from _wrap("worst: ", worst)


def _group_tables(result: ClipsResult) -> Iterator[str]:
    for column in result.groups:
        yield ""
        yield from wrap(f"by {printable(column.column)}: {column.describe()}", _WIDTH)
        width = max((len(printable(group.value)) for group in column.groups), default=0)
        for group in column.groups:
            bounds = as_percent_interval(group.low, group.high)
            share = f"{as_percent(group.accuracy):>7}  {bounds:<12}"
            macro_f1 = f"macro F1 {as_percent(group.macro_f1):>7}"
            yield f"  {printable(group.value):<{width}}  {share}  {macro_f1}  of {group.n:,} clips"
        if column.groups:
            yield from wrap(f"  intervals: {column.describe_intervals()}", _WIDTH, subsequent_indent="  ")


def _wrap(head: str, items: Iterator[str]) -> Iterator[str]:
    line = head
    for number, item in enumerate(items):
        piece = item if number == 0 else f", {item}"
        if len(line) + len(piece) > _WIDTH:
            yield f"{line},"
            line, piece = " " * len(head), item
        line += piece
    yield line
