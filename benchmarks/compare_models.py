"""Which of several models hears more: words alone over noise, against speech and against other words said alone.

usage: python benchmarks/compare_models.py STORE NEGATIVES... --models MODEL... --streams DIR
           [--split validation] [--at 1,5] [--words WORDS] [--smoothing SECONDS] [--json FILE]

STORE has clips of the split, noise and music; NEGATIVES are recordings or folders of the split's role in which no
command is said, as `evaluate-stream` takes them. In DIR two hours are made of STORE, if they are not there: words
alone, and other words alone, each over noise at 20, 10, 5 and 0 dB. Thresholds move together from the model's own;
--smoothing gives all models one smoothing. --words counts the misses of these words alone: those of which STORE has
clips by people. A synthetic voice that one of the models was trained on says who knows the voice.

"speech": the rate is counted in NEGATIVES. "speech, words": in the other words alone as well, as if twenty minutes
of them came to an hour of speech. Missed are shares of the words, each of the ten counts alike. Intervals are 95 % of
1,000 draws of recordings (or minutes) of all kinds, so luck with the few false accepts of a rate is in
them; "change" is against the first model, in the same draws.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.split import SPLIT_OF_ROLE
from data_prep.store import Store
from speechcmd.arrays import DoubleArray
from speechcmd.evaluation.streams.heard import UNIT_S, HeardSet, listen_to
from speechcmd.evaluation.streams.outcome import Fate, Outcome, Scorer
from speechcmd.evaluation.streams.recording_set import collect_recordings
from speechcmd.evaluation.streams.sweep import shift_thresholds
from speechcmd.evaluation.streams.trade_off import choose_offsets
from speechcmd.evaluation.synthesis.stream_maker import make_stream
from speechcmd.evaluation.synthesis.stream_plan import StreamSettings
from speechcmd.labels import TEN_WORDS
from speechcmd.runtime.recognition.recognizer import Recognizer

N_OFFSETS, N_DRAWS = 48, 1_000
OTHERS_SHARE = 1 / 3  # hours of other words to an hour of speech


@dataclass(frozen=True)
class Heard:
    """What one model hears, by unit: a recording, or a minute of a longer one.

    Of the words how many were `said` (n_units, n_snrs, n_labels) and `found` (n_offsets, n_units, n_snrs,
    n_labels); of the speech and the other words the false accepts (n_offsets, n_units) and hours (n_units,).
    """

    snrs_db: tuple[float, ...]
    said: DoubleArray
    found: DoubleArray
    n_false: dict[str, DoubleArray]
    hours: dict[str, DoubleArray]


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
    scorers = {name: Scorer(audio) for name, audio in materials.items()}
    outcomes = {
        name: [scorer.score(shift_thresholds(settings, offset)) for offset in offsets]
        for name, scorer in scorers.items()
    }
    snrs_db, said, found = _count_words(materials["words"], outcomes["words"])
    counted = {name: _count_false(materials[name], outcomes[name]) for name in ("others", "speech")}
    return Heard(
        snrs_db,
        said,
        found,
        {name: n_false for name, (n_false, _) in counted.items()},
        {name: hours for name, (_, hours) in counted.items()},
    )


def _count_words(
    audio: HeardSet, outcomes: Sequence[Outcome]
) -> tuple[tuple[float, ...], DoubleArray, DoubleArray]:
    """The SNRs, the words said and those found: see `Heard`."""
    snr_db = np.array([float(str(word.attributes["snr_db"])) for word in audio.words])
    snrs_db = tuple(sorted(set(snr_db.tolist()), reverse=True))
    place = np.array([snrs_db.index(snr) for snr in snr_db.tolist()])
    label = np.array([TEN_WORDS.index(word.label) for word in audio.words])
    cell = (audio.word_units, place, label)
    said = np.zeros((int(audio.word_units.max()) + 1, len(snrs_db), len(TEN_WORDS)))
    np.add.at(said, cell, 1)
    found = np.zeros((len(outcomes), *said.shape))
    for row, outcome in enumerate(outcomes):
        np.add.at(found[row], cell, outcome.fates == Fate.FOUND)
    return snrs_db, said, found


def _count_false(audio: HeardSet, outcomes: Sequence[Outcome]) -> tuple[DoubleArray, DoubleArray]:
    """False accepts and hours of each unit; recordings in which a command sounds are left out."""
    units = [
        (number, piece)
        for number, one in enumerate(audio.heard)
        if not one.recording.heard
        for piece in range(int(one.duration_s // UNIT_S) + 1)
    ]
    place = {unit: index for index, unit in enumerate(units)}
    n_false = np.zeros((len(outcomes), len(units)))
    for row, outcome in enumerate(outcomes):
        for one in outcome.false_accepts:
            length_s = audio.heard[one.recording].duration_s
            unit = (one.recording, int(min(one.time_s, length_s) // UNIT_S))
            if unit in place:
                n_false[row, place[unit]] += 1
    lengths_s = [min(UNIT_S, audio.heard[n].duration_s - UNIT_S * piece) for n, piece in units]
    return n_false, np.array(lengths_s) / 3600


def only(heard: Heard, words: str) -> Heard:
    """The same without what became of the other words."""
    labels = [TEN_WORDS.index(word) for word in words.split(",")]
    return replace(heard, said=heard.said[..., labels], found=heard.found[..., labels])


def curve_of(
    heard: Heard, weights: dict[str, DoubleArray], with_others: bool
) -> tuple[DoubleArray, DoubleArray]:
    """False accepts per hour and shares found by SNR and of all, over thresholds; each unit counts as often as
    its weight says.

    Shape: (n_offsets,), (n_offsets, n_snrs + 1).
    """
    rates = {
        name: n_false @ weights[name] / (heard.hours[name] @ weights[name])
        for name, n_false in heard.n_false.items()
    }
    rate = rates["speech"]
    if with_others:
        rate = (rate + OTHERS_SHARE * rates["others"]) / (1 + OTHERS_SHARE)
    said = np.einsum("u,usl->sl", weights["words"], heard.said)
    found = np.einsum("u,ousl->osl", weights["words"], heard.found)
    is_said = said > 0  # of a draw a word may be missing
    shares = (found / np.where(is_said, said, 1)).sum(axis=2) / is_said.sum(axis=1)
    return rate, np.concatenate([shares, shares.mean(axis=1, keepdims=True)], axis=1)


def missed_at(rate: DoubleArray, found: DoubleArray, wanted: float) -> DoubleArray:
    """Missed in percent where a rate is kept, between two thresholds. Shape: (n_columns,)."""
    over = np.flatnonzero(rate > wanted)
    last = int(over[-1]) if len(over) else -1  # thresholds rise: from the next one on the rate is kept
    if last == len(rate) - 1:
        return np.full(found.shape[1], 100.0)
    kept = found[last + 1]
    if last >= 0:
        share = (wanted - rate[last + 1]) / (rate[last] - rate[last + 1])
        kept = kept + share * (found[last] - kept)
    missed: DoubleArray = 100 * (1 - kept)
    return missed


def draw_units(heard: Heard, rng: np.random.Generator | None) -> dict[str, DoubleArray]:
    """How often each unit comes in one draw with replacement; once each without a generator."""
    sizes = {"words": len(heard.said)} | {name: len(hours) for name, hours in heard.hours.items()}
    return {
        name: np.ones(n)
        if rng is None
        else np.bincount(rng.integers(0, n, size=n), minlength=n).astype(float)
        for name, n in sizes.items()
    }


def compare(models: dict[str, Heard], rates: list[float]) -> list[dict[str, Any]]:
    """A row for each model, kind of negatives, rate and SNR, with intervals; the first model is the reference."""
    first = next(iter(models.values()))
    columns = [f"{snr:g} dB" for snr in first.snrs_db] + ["all"]
    rows = []
    for with_others in (False, True):
        drawn: dict[str, DoubleArray] = {}
        for name, heard in models.items():
            rng = np.random.default_rng(0)  # the same draws for each model
            draws = [draw_units(heard, None), *(draw_units(heard, rng) for _ in range(N_DRAWS))]
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
        f"{heard.said.sum():.0f} words; {hours['speech']:.2f} h of speech, {hours['others']:.2f} h of other words"
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
            f"{against}, {rate:g} per hour, {model}: missed % {cells} [{spread}]; "
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
    parser.add_argument("--words", default=",".join(TEN_WORDS))
    parser.add_argument("--smoothing", type=float)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    role = next(role for role, split in SPLIT_OF_ROLE.items() if split == arguments.split)
    words, others = streams_of(Store.open(arguments.store), arguments.streams, arguments.split)
    models = {
        model: only(
            hear(model, words, others, arguments.negatives, role, arguments.smoothing), arguments.words
        )
        for model in arguments.models
    }
    rows = compare(models, [float(rate) for rate in arguments.at.split(",")])
    show(rows, next(iter(models.values())))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
