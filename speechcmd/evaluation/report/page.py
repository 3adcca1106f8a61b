"""The report as one HTML page: what is on it, in which order. How it looks is the template's."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from speechcmd.evaluation.clips.clip_result import ClipsResult
from speechcmd.evaluation.provenance import MeasuredModel
from speechcmd.evaluation.report import clip_picture, stream_picture, tables
from speechcmd.evaluation.report.drawing import Picture
from speechcmd.evaluation.report.headline import Headline, state_promise, summarise
from speechcmd.evaluation.report.results import Result, Results, kind_of
from speechcmd.evaluation.report.tables import Table
from speechcmd.evaluation.report.template import fill_template
from speechcmd.evaluation.robustness.robustness_result import RobustnessResult
from speechcmd.evaluation.streams.stream_result import SNR, Point, StreamResult
from speechcmd.evaluation.wording import as_count, as_duration, as_number, join_words

CSS_PX_PER_IN = 110


@dataclass(frozen=True, slots=True)
class PageBlock:
    """Pictures, and the tables that hold their numbers."""

    pictures: list[Picture]
    tables: list[Table]
    is_folded: bool = True
    """The tables open at a touch: the pictures say the same."""


@dataclass(frozen=True, slots=True)
class ShownMistake:
    """A sound to listen to."""

    title: str
    facts: list[tuple[str, str]]
    sound: bytes
    picture: bytes
    listened: str
    """Where the answer comes from, in words."""


@dataclass(frozen=True, slots=True)
class PageSection:
    """What one command measured."""

    anchor: str
    title: str
    source: str
    blocks: list[PageBlock]
    mistakes: list[ShownMistake]
    model: MeasuredModel
    provenance: list[tuple[str, str]]
    headlines: list[Headline]


_TITLES = {"clips": "Clips with one word each", "stream": "Recordings", "robustness": "Distorted clips"}


def render_page(results: Results, files: Mapping[str, bytes]) -> str:
    """Return the page as HTML that needs no other file.

    Parameters
    ----------
    files
        Contents of the sounds and pictures that the mistakes name.
    """
    sections = [_make_section(result, files) for result in results.measured]
    model = sections[0].model
    return fill_template(
        "report.html.jinja",
        {"data_uri": _data_uri},
        sections=sections,
        model=model,
        promise=state_promise(model.measured_on),
        model_facts=_model_facts(model),
        n_models=len({section.model.sha256 for section in sections}),
        px_per_in=CSS_PX_PER_IN,
    )


def _data_uri(content: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def _make_section(result: Result, files: Mapping[str, bytes]) -> PageSection:
    kind = kind_of(result)
    return PageSection(
        anchor=kind,
        title=_TITLES[kind],
        source=describe_measured(result),
        blocks=list(_blocks_of(result)),
        mistakes=list(_mistakes_of(result, files)),
        model=result.model,
        provenance=_provenance_of(result),
        headlines=summarise(result),
    )


def _blocks_of(result: Result) -> Iterator[PageBlock]:
    if isinstance(result, ClipsResult):
        return _clip_blocks(result)
    return _stream_blocks(result) if isinstance(result, StreamResult) else _robustness_blocks(result)


def _clip_blocks(result: ClipsResult) -> Iterator[PageBlock]:
    yield PageBlock([clip_picture.draw_recalls(result)], [tables.tabulate_labels(result)])
    yield PageBlock([clip_picture.draw_confusion(result)], [tables.tabulate_confusion(result)])
    yield PageBlock([clip_picture.draw_reliability(result)], [tables.tabulate_calibration(result)])
    speakers = clip_picture.draw_speakers(result)
    if speakers:
        yield PageBlock([speakers], tables.tabulate_speakers(result))
    if result.groups:
        pictures = [clip_picture.draw_group(column) for column in result.groups if column.groups]
        yield PageBlock(pictures, [tables.tabulate_groups(result)])
    unknown = tables.tabulate_unknown(result)
    if unknown:
        yield PageBlock([], [unknown])
    if result.pairs:
        yield PageBlock([], [tables.tabulate_pairs(result)], is_folded=False)


def _stream_blocks(result: StreamResult) -> Iterator[PageBlock]:
    own, points = result.own, result.reached
    yield PageBlock([], [tables.tabulate_points(result)], is_folded=False)
    if result.curve:
        yield PageBlock([stream_picture.draw_trade_off(result)], [tables.tabulate_curve(result)])
    yield PageBlock([stream_picture.draw_kinds(own)], [tables.tabulate_kinds(result)])
    if result.n_words:
        delays = stream_picture.draw_delays(own)
        pictures = [stream_picture.draw_misses(own), *([delays] if delays else [])]
        yield PageBlock(pictures, [tables.tabulate_stream_labels(point) for point in points])
    for name in dict.fromkeys(one.attribute for point in points for one in point.by_attribute):
        # one picture tells enough of the others
        drawn = _draw_attribute(name, points if name == SNR else points[:1])
        yield PageBlock(drawn, [tables.tabulate_attribute(name, points)])
    yield PageBlock([], [tables.tabulate_recordings(result)])


def _draw_attribute(name: str, points: list[Point]) -> list[Picture]:
    drawn = [stream_picture.draw_attribute(point, name) for point in points]
    return [picture for picture in drawn if picture]


def _robustness_blocks(result: RobustnessResult) -> Iterator[PageBlock]:
    yield PageBlock(clip_picture.draw_conditions(result), [tables.tabulate_robustness(result)])


def describe_measured(result: Result) -> str:
    """What a result was measured on, in one line."""
    if isinstance(result, StreamResult):
        hours = [f"{as_duration(3_600 * hours)} of {kind}" for kind, hours in result.hours.items()]
        heard = f"{as_count(len(result.recordings), 'recording')}, {as_count(result.n_words, 'word')}"
        return f"{heard}; outside the words {join_words(hours)}." if hours else f"{heard}."
    source = result.source
    tasks = {"own": "the model's own words", "12": "the official 12 classes", "35": "all words"}
    split = f", split {source.split}" if source.split else ""
    draw = source.draw
    drawn = f" Drawn: {draw.n_unknown:,} of other words, {draw.n_silence:,} of silence." if draw else ""
    n_all = as_count(source.n_clips, "clip")
    clips = f"{result.clean.n:,} of {n_all}" if isinstance(result, RobustnessResult) else n_all
    voices = f" Note: {source.voices}." if source.voices else ""
    return f"{source.path}{split}: {clips}, {tasks.get(source.task, source.task)}.{drawn}{voices}"


def _mistakes_of(result: Result, files: Mapping[str, bytes]) -> Iterator[ShownMistake]:
    for one in result.mistakes or ():
        if one.sound:
            facts = [(name, text) for name, text in one.facts if text]
            sound, picture = files.get(one.sound, b""), files.get(one.picture or "", b"")
            yield ShownMistake(one.title, facts, sound, picture, one.listened or "")


def _provenance_of(result: Result) -> list[tuple[str, str]]:
    """How a result was measured: command, versions, day, model file."""
    return [
        ("command", result.command),
        ("date", result.date),
        ("versions", ", ".join(f"{name} {version}" for name, version in result.versions.items())),
        ("model file", f"sha256 {result.model.sha256}"),
    ]


def _model_facts(model: MeasuredModel) -> list[tuple[str, str]]:
    thresholds = [f"{label} {as_number(value)}" for label, value in model.thresholds.items()]
    return [
        ("network", f"{model.architecture}, {model.parameters:,} parameters"),
        ("labels", " ".join(model.labels)),
        ("input", f"{model.sample_rate} Hz; {model.window_s:.3g} s every {model.step_s:.3g} s"),
        ("thresholds", ", ".join(thresholds)),
        ("smoothing, temperature", f"{model.smoothing_s:.3g} s, {model.temperature:.4g}"),
        ("thresholds measured on", model.measured_on),
        ("licence", model.licence),
        ("data", "; ".join(f"{one.name} ({one.licence}) {one.url}" for one in model.data)),
        ("made by", f"speechcmd {model.tool_version}"),
    ]
