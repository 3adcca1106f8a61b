"""The few figures that come first, as plain sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from speechcmd.evaluation.clips.metrics import mean_recall
from speechcmd.evaluation.streams.stream_text import describe_promise
from speechcmd.evaluation.wording import (
    NOT_MEASURED,
    as_count,
    as_duration,
    as_number,
    as_percent,
    as_percent_interval,
    as_rate,
    as_rate_interval,
)

ALL_WORDS = "35"  # the task in which few words have most of the clips


@dataclass(frozen=True, slots=True)
class Headline:
    """One figure, large, and what it means."""

    figure: str
    meaning: str


def summarise_clips(result: dict[str, Any]) -> list[Headline]:
    """How often it is right, and for whom it is right least often."""
    accuracy, speakers = result["accuracy"], result["by_speaker"]
    lines = [
        Headline(
            as_percent(accuracy["value"]),
            f"of {as_count(accuracy['n'], 'clip')} recognised rightly "
            f"(95 % interval {as_percent_interval(accuracy['low'], accuracy['high'])})",
        )
    ]
    if result["source"]["task"] == ALL_WORDS:
        mean = as_percent(mean_recall(result))
        lines.append(Headline(mean, "mean recall of the words, each counted once"))
    if speakers["worst_tenth"] is not None:
        lines.append(
            Headline(
                as_percent(speakers["worst_tenth"]),
                f"right for the worst tenth of {as_count(speakers['n_speakers'], 'speaker')}",
            )
        )
    error = result["calibration"]["ece"]
    if error is not None:
        lines.append(Headline(as_percent(error), "mean error of the score as a probability of being right"))
    return lines


def summarise_stream(result: dict[str, Any]) -> list[Headline]:
    """Misses and false accepts of the model as it is set."""
    own = result["points"][0]
    row, quiet = own["overall"], own.get("at_10_db")
    lines = []
    if row["false_reject_rate"] is not None:
        lines.append(
            Headline(
                as_percent(row["false_reject_rate"]),
                f"of {as_count(row['n_words'], 'word')} missed as the model is set "
                f"(95 % interval {as_percent_interval(row['low'], row['high'])})",
            )
        )
    if quiet:
        lines.append(
            Headline(
                as_percent(quiet["false_reject_rate"]),
                f"of the {as_count(quiet['n_words'], 'word')} at 10 dB signal to noise or better missed "
                f"(95 % interval {as_percent_interval(quiet['low'], quiet['high'])})",
            )
        )
    if row["false_accepts_per_hour"] is not None:
        lines.append(
            Headline(
                as_rate(row["false_accepts_per_hour"]),
                f"false accepts an hour as the model is set: {row['n_false']:,} in "
                f"{as_duration(3_600 * row['hours'])} "
                f"(95 % interval {as_rate_interval(row['fa_low'], row['fa_high'])})",
            )
        )
    if own["without_homophones"]:
        clean = own["without_homophones"]["overall"]
        lines.append(
            Headline(
                as_rate(clean["false_accepts_per_hour"]),
                "false accepts an hour without sentences that hold a homophone of a word (know, no): "
                f"{clean['n_false']:,} in {as_duration(3_600 * clean['hours'])} "
                f"(95 % interval {as_rate_interval(clean['fa_low'], clean['fa_high'])})",
            )
        )
    if result.get("promise"):
        promise = result["promise"]
        lines.append(Headline(f"{promise['n_events']:,}", describe_promise(promise)))
    if row["delay_ms"]:
        delay = row["delay_ms"]
        meaning = (
            f"median delay from the end of a word until it is reported; 95 % within {delay['p95']:.0f} ms"
        )
        lines.append(Headline(f"{delay['median']:.0f} ms", meaning))
    return lines


def summarise_robustness(result: dict[str, Any]) -> list[Headline]:
    """The distortion that harms most."""
    worst = min(
        ((condition, point) for condition in result["conditions"] for point in condition["points"]),
        key=lambda pair: float(pair[1]["accuracy"]),
        default=None,
    )
    if worst is None:
        return []
    condition, point = worst
    meaning = (
        f"right under the hardest distortion tried, {condition['name']} at {as_number(point['value'])} "
        f"({condition['axis']}); {as_percent(result['clean']['value'])} without any"
    )
    return [Headline(as_percent(point["accuracy"]), meaning)]


def state_promise(measured_on: str) -> str:
    """What the model file says of its thresholds."""
    return f"The thresholds in the model file: {measured_on or NOT_MEASURED}."
