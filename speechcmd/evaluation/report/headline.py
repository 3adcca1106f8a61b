"""The few figures that come first, as plain sentences."""

from __future__ import annotations

from dataclasses import dataclass

from speechcmd.evaluation.clips.clip_result import ClipsResult
from speechcmd.evaluation.report.results import Result
from speechcmd.evaluation.robustness.robustness_result import RobustnessResult
from speechcmd.evaluation.streams.stream_result import Rates, StreamResult
from speechcmd.evaluation.wording import (
    NOT_MEASURED,
    as_count,
    as_duration,
    as_number,
    as_percent,
    as_percent_interval,
    as_rate,
    as_rate_interval,
)  # fmt: skip

ALL_WORDS = "35"  # the task in which few words have most of the clips


@dataclass(frozen=True, slots=True)
class Headline:
    """One figure, large, and what it means."""

    figure: str
    meaning: str


def summarise(result: Result) -> list[Headline]:
    """The figures that come first of what was measured."""
    if isinstance(result, ClipsResult):
        return _summarise_clips(result)
    return _summarise_stream(result) if isinstance(result, StreamResult) else _summarise_robustness(result)


def _summarise_clips(result: ClipsResult) -> list[Headline]:
    """How often it is right, and for whom it is right least often."""
    accuracy, speakers, error = result.accuracy, result.by_speaker, result.calibration.ece
    lines = [
        Headline(
            as_percent(accuracy.value),
            f"of {as_count(accuracy.n, 'clip')} recognised rightly "
            f"({_interval(as_percent_interval(accuracy.low, accuracy.high))})",
        )
    ]
    if result.source.task == ALL_WORDS:
        lines.append(Headline(as_percent(result.mean_recall), "mean recall of the words, each counted once"))
    if speakers.worst_tenth is not None:
        of_all = as_count(speakers.n_speakers, "speaker")
        lines.append(Headline(as_percent(speakers.worst_tenth), f"right for the worst tenth of {of_all}"))
    if error is not None:
        lines.append(Headline(as_percent(error), "mean error of the score as a probability of being right"))
    return lines


def _summarise_stream(result: StreamResult) -> list[Headline]:
    """Misses and false accepts of the model as it is set."""
    own = result.own
    row, quiet, clean = own.overall, own.at_10_db, own.without_homophones
    lines = []
    if row.false_reject_rate is not None:
        of_all = f"of {as_count(row.n_words, 'word')} missed as the model is set"
        lines.append(Headline(as_percent(row.false_reject_rate), f"{of_all} {_missed_interval(row)}"))
    if quiet:
        of_quiet = f"of the {as_count(quiet.n_words, 'word')} at 10 dB signal to noise or better missed"
        lines.append(Headline(as_percent(quiet.false_reject_rate), f"{of_quiet} {_missed_interval(quiet)}"))
    if row.false_accepts_per_hour is not None:
        lines.append(_false_accepts(row, "as the model is set"))
    if clean:
        where = "without sentences that hold a homophone of a word (know, no)"
        lines.append(_false_accepts(clean.overall, where))
    if result.promise:
        lines.append(Headline(f"{result.promise.n_events:,}", result.promise.describe()))
    if row.delay_ms:
        within = f"95 % within {row.delay_ms.p95:.0f} ms"
        meaning = f"median delay from the end of a word until it is reported; {within}"
        lines.append(Headline(f"{row.delay_ms.median:.0f} ms", meaning))
    return lines


def _interval(bounds: str) -> str:
    return f"95 % interval {bounds}"


def _missed_interval(row: Rates) -> str:
    return f"({_interval(as_percent_interval(row.low, row.high))})"


def _false_accepts(row: Rates, where: str) -> Headline:
    counted = f"{row.n_false:,} in {as_duration(3_600 * row.hours)}"
    bounds = _interval(as_rate_interval(row.fa_low, row.fa_high))
    return Headline(
        as_rate(row.false_accepts_per_hour), f"false accepts per hour {where}: {counted} ({bounds})"
    )


def _summarise_robustness(result: RobustnessResult) -> list[Headline]:
    """The distortion that harms most."""
    tried = [(condition, point) for condition in result.conditions for point in condition.points]
    if not tried:
        return []
    condition, point = min(tried, key=lambda one: one[1].accuracy)
    meaning = (
        f"right under the hardest distortion tried, {condition.name} at {as_number(point.value)} "
        f"({condition.axis}); {as_percent(result.clean.value)} without any"
    )
    return [Headline(as_percent(point.accuracy), meaning)]


def state_promise(measured_on: str) -> str:
    """What the model file says of its thresholds."""
    return f"The thresholds in the model file: {measured_on or NOT_MEASURED}."
