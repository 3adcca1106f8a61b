"""Which of several models hears more: words alone over noise, against speech and against other words said alone.

usage: python benchmarks/compare_models.py STORE NEGATIVES... --models MODEL... --streams DIR
           [--split validation] [--at 1,5] [--smoothing SECONDS] [--json FILE]

STORE has clips of the split, noise and music; NEGATIVES are recordings or folders of the split's role in which no
command is said, as `evaluate-stream` takes them. In DIR two hours are made of STORE, if they are not there: words
alone, and other words alone, each over noise at 20, 10, 5 and 0 dB. Thresholds move together from the model's own; the smoothing is the model's
own but for --smoothing.

"speech": the rate is counted in NEGATIVES. "speech, words": in the other words alone as well, as if a third of
an hour of them came to an hour of speech. Missed are shares of the words, each of the ten counts alike.
Intervals are 95 % of 1,000 draws of the recordings (or minutes) of both kinds, so luck with the few
false accepts of a rate is in them; "against" is the difference to the first model in the same draws.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.split import SPLIT_OF_ROLE
from data_prep.store import Store
from speechcmd.evaluation.streams.curve import choose_offsets
from speechcmd.evaluation.streams.material import PIECE_S, Material, listen_to
from speechcmd.evaluation.streams.outcome import Fate, Scorer
from speechcmd.evaluation.streams.recording_set import collect_recordings
from speechcmd.evaluation.streams.sweep import shift_thresholds
from speechcmd.evaluation.synthesis.stream_maker import make_stream
from speechcmd.evaluation.synthesis.stream_plan import StreamSettings
from speechcmd.labels import TEN_WORDS
from speechcmd.runtime.recognition.recognizer import Recognizer

N_OFFSETS, N_DRAWS = 48, 1_000
OTHERS_SHARE = 1 / 3  # hours of other words to an hour of speech
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Heard:
    """What one model hears, by unit: a recording, or a minute of a longer one.

    `found` (n_offsets, n_words) with the unit, the SNR and the label of each word; false accepts (n_offsets,
    n_units) and hours (n_units,) of the speech and of the other words.
    """

    found: npt.NDArray[np.bool_]
    unit: npt.NDArray[np.int64]
    snr_db: Floats
    label: npt.NDArray[np.int64]
    n_false: dict[str, npt.NDArray[np.int64]]
    hours: dict[str, Floats]


def streams_of(store: Store, folder: Path, split: str) -> tuple[Path, Path]:
    """An hour of words alone and an hour of other words alone."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, unknown in (("words", 0.0), ("others", 1.0)):
        path = folder / f"{split}-{name}-alone.wav"
        if not path.exists():
            settings = StreamSettings(TEN_WORDS, split, unknown=unknown, speech=0, close=0, repeat=0)
            make_stream(store, path, settings)
        made.append(path)
    return made[0], made[1]


def hear(
    model: str, words: Path, others: Path, negatives: list[str], role: str, smoothing_s: float | None
) -> Heard:
    """Run a model over all, and its decoder with all thresholds."""
    recognizer = Recognizer.load(model)
    settings = recognizer.card.decoder
    if smoothing_s is not None:
        settings = replace(settings, smoothing_steps=recognizer.card.steps_in(smoothing_s))
    sources = {"words": [str(words)], "others": [str(others)], "speech": negatives}
    materials = {
        name: listen_to(recognizer, collect_recordings(given, TEN_WORDS, role=role).recordings)
        for name, given in sources.items()
    }
    offsets = choose_offsets(materials["speech"], settings, N_OFFSETS)
    scorers = {name: Scorer(material) for name, material in materials.items()}
    outcomes = {
        name: [scorer.score(shift_thresholds(settings, offset)) for offset in offsets]
        for name, scorer in scorers.items()
    }
    said = materials["words"]
    counted = {name: _count_false(materials[name], outcomes[name]) for name in ("others", "speech")}
    return Heard(
        np.array([one.fates == Fate.FOUND for one in outcomes["words"]]),
        said.word_units,
        np.array([float(str(word.attributes["snr_db"])) for word in said.words]),
        said.word_labels,
        {name: n_false for name, (n_false, _) in counted.items()},
        {name: hours for name, (_, hours) in counted.items()},
    )


def _count_false(material: Material, outcomes: list[Any]) -> tuple[npt.NDArray[np.int64], Floats]:
    """False accepts and hours of each unit; recordings in which a command sounds are left out."""
    units = [
        (number, piece)
        for number, one in enumerate(material.heard)
        if not one.recording.heard
        for piece in range(int(one.duration_s // PIECE_S) + 1)
    ]
    place = {unit: index for index, unit in enumerate(units)}
    n_false = np.zeros((len(outcomes), len(units)), dtype=np.int64)
    for row, outcome in enumerate(outcomes):
        for one in outcome.false_accepts:
            length_s = material.heard[one.recording].duration_s
            unit = (one.recording, int(min(one.time_s, length_s) // PIECE_S))
            if unit in place:
                n_false[row, place[unit]] += 1
    lengths_s = [min(PIECE_S, material.heard[n].duration_s - PIECE_S * piece) for n, piece in units]
    return n_false, np.array(lengths_s) / 3600


def curve_of(
    heard: Heard, draw: dict[str, npt.NDArray[np.int64]] | None, with_others: bool
) -> tuple[Floats, Floats]:
    """False accepts an hour and shares found by SNR and of all, over thresholds, in one draw of the units.

    Shape: (n_offsets,), (n_offsets, n_snrs + 1).
    """
    weights = {
        name: np.ones(len(heard.hours[name])) if draw is None else draw[name].astype(float)
        for name in heard.hours
    }
    rates = {
        name: heard.n_false[name] @ weights[name] / (heard.hours[name] @ weights[name]) for name in weights
    }
    rate = rates["speech"]
    if with_others:
        rate = (rate + OTHERS_SHARE * rates["others"]) / (1 + OTHERS_SHARE)
    weight = np.ones(len(heard.unit)) if draw is None else draw["words"][heard.unit].astype(float)
    shares = [_share_found(heard, weight * (heard.snr_db == snr)) for snr in _snrs(heard)]
    return rate, np.stack([*shares, np.mean(shares, axis=0)], axis=1)


def _share_found(heard: Heard, weight: Floats) -> Floats:
    """Mean over the labels of the share of their words that are found. Shape: (n_offsets,)."""
    by_label = [
        heard.found[:, own] @ weight[own] / weight[own].sum()
        for own in (heard.label == label for label in np.unique(heard.label))
        if weight[own].sum()
    ]
    return np.asarray(np.mean(by_label, axis=0), dtype=np.float64)


def _snrs(heard: Heard) -> list[float]:
    return sorted(set(heard.snr_db.tolist()), reverse=True)


def missed_at(rate: Floats, found: Floats, wanted: float) -> Floats:
    """Missed in percent where a rate is kept, between two thresholds. Shape: (n_columns,)."""
    over = np.flatnonzero(rate > wanted)
    last = int(over[-1]) if len(over) else -1  # thresholds rise: from the next one on the rate is kept
    if last == len(rate) - 1:
        return np.full(found.shape[1], 100.0)
    kept = found[last + 1]
    if last >= 0:
        share = (wanted - rate[last + 1]) / (rate[last] - rate[last + 1])
        kept = kept + share * (found[last] - kept)
    missed: Floats = 100 * (1 - kept)
    return missed


def draw_units(heard: Heard, rng: np.random.Generator) -> dict[str, npt.NDArray[np.int64]]:
    """How often each unit comes in one draw with replacement."""
    sizes = {"words": int(heard.unit.max()) + 1} | {name: len(hours) for name, hours in heard.hours.items()}
    return {name: np.bincount(rng.integers(0, n, size=n), minlength=n) for name, n in sizes.items()}


def compare(models: dict[str, Heard], rates: list[float]) -> list[dict[str, Any]]:
    """A row for each model, kind of negatives, rate and SNR, with intervals; the first model is the reference."""
    first = next(iter(models.values()))
    columns = [f"{snr:g} dB" for snr in _snrs(first)] + ["all"]
    rows = []
    for with_others in (False, True):
        drawn: dict[str, Floats] = {}
        for name, heard in models.items():
            rng = np.random.default_rng(0)  # the same draws for each model
            draws = [None, *(draw_units(heard, rng) for _ in range(N_DRAWS))]
            curves = [curve_of(heard, draw, with_others) for draw in draws]
            drawn[name] = np.array([[missed_at(*curve, rate) for rate in rates] for curve in curves])
        reference = drawn[next(iter(models))]
        for name, values in drawn.items():
            for place, rate in enumerate(rates):
                for column, label in enumerate(columns):
                    own = values[:, place, column]
                    change = own - reference[:, place, column]
                    rows.append({
                        "model": name,
                        "against": "speech, words" if with_others else "speech",
                        "per_hour": rate,
                        "snr": label,
                        "missed": own[0],
                        "interval": np.percentile(own[1:], (2.5, 97.5)).tolist(),
                        "change": change[0],
                        "change_interval": np.percentile(change[1:], (2.5, 97.5)).tolist(),
                    })  # fmt: skip
    return rows


def show(rows: list[dict[str, Any]], heard: Heard) -> None:
    """A line for each model, kind and rate."""
    hours = {name: values.sum() for name, values in heard.hours.items()}
    print(
        f"{len(heard.unit)} words; {hours['speech']:.2f} h of speech, {hours['others']:.2f} h of other words"
    )
    lines: dict[tuple[str, float, str], list[dict[str, Any]]] = {}
    for row in rows:
        lines.setdefault((row["against"], row["per_hour"], row["model"]), []).append(row)
    for (against, rate, model), own in lines.items():
        cells = "  ".join(f"{row['snr']} {row['missed']:.1f}" for row in own)
        last = own[-1]
        spread = ", ".join(f"{each:.1f}" for each in last["interval"])
        change = ", ".join(f"{each:+.1f}" for each in last["change_interval"])
        print(
            f"{against}, {rate:g} an hour, {Path(model).stem}: missed % {cells} [{spread}]; "
            f"change {last['change']:+.1f} [{change}]"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("negatives", nargs="+")
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--streams", type=Path, required=True)
    parser.add_argument("--split", default="validation", choices=("validation", "testing"))
    parser.add_argument("--at", default="1,5")
    parser.add_argument("--smoothing", type=float)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    role = next(role for role, split in SPLIT_OF_ROLE.items() if split == arguments.split)
    words, others = streams_of(Store.open(arguments.store), arguments.streams, arguments.split)
    models = {
        model: hear(model, words, others, arguments.negatives, role, arguments.smoothing)
        for model in arguments.models
    }
    rows = compare(models, [float(rate) for rate in arguments.at.split(",")])
    show(rows, next(iter(models.values())))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
