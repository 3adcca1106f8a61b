"""Words said twice, and where words are: on streams made of clips, whose boundaries are known.

usage: python benchmarks/words.py MODEL STORE [--split validation|testing]

Repeats: two different clips of one speaker saying one word (for three times, the first one again), trimmed, with a
pause between them, over noise 20 dB below the word. Counted are the pairs of which all are heard, among all pairs
and among those of which all are heard a second apart; and detections that belong to no word. Single words: all clips two seconds apart.
Boundaries: clips with 40 dB between word and floor, cut where the level is 35 dB below the peak, in rows of
five. A detection belongs to a word if it has its label and is decided between its start and 0.75 s after its end.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable

import numpy as np
from arguments import model_and_store
from listening import TOLERANCE_S, Word, decode, steps_of

from data_prep.store import Row, Store
from speechcmd import Detection, Recognizer
from speechcmd.audio.samples import SAMPLE_RATE, Waveform, int16_to_float32
from speechcmd.runtime.recognition.decoder import NO_LEVELS
from speechcmd.runtime.recognition.stream import Steps

REPEAT_GAPS_S = (0.0, 0.1, 0.2, 0.3, 0.6, 1.0)
REPEAT_SNR_DB = 20.0
ROW_GAPS_S, ROW_SNRS_DB, ROW_WORDS = (0.2, 0.5), (30.0, 20.0, 10.0), 5
LEAD_S = 1.0
TIGHT_HOP, TIGHT_DB, LEAST_CONTRAST_DB = 80, 35.0, 40.0
TIGHT_LENGTH_S = (0.25, 0.85)
Spoken = tuple[str, Waveform]


class Tape:
    """A stream under construction, with the boundaries of its words."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._parts: list[Waveform] = []
        self._n_samples = 0
        self.words: list[Word] = []

    def add(self, spoken: list[Spoken], gap_s: float, snr_db: float) -> None:
        """A second of noise, the words with pauses between them, another second; over noise of its own."""
        level = np.sqrt(np.mean(np.concatenate([waveform for _, waveform in spoken]) ** 2))
        parts = [np.zeros(round(LEAD_S * SAMPLE_RATE), dtype=np.float32)]
        for number, (label, waveform) in enumerate(spoken):
            begin = self._n_samples + sum(map(len, parts))
            self.words.append((label, begin / SAMPLE_RATE, (begin + len(waveform)) / SAMPLE_RATE))
            pause_s = gap_s if number < len(spoken) - 1 else LEAD_S
            parts += [waveform, np.zeros(round(pause_s * SAMPLE_RATE), dtype=np.float32)]
        part = np.concatenate(parts)
        noise = self._rng.standard_normal(len(part), dtype=np.float32)
        self._parts.append(part + noise * np.float32(level * 10 ** (-snr_db / 20)))
        self._n_samples += len(part)

    @property
    def waveform(self) -> Waveform:
        return np.concatenate(self._parts)


def hear(
    recognizer: Recognizer, tape: Tape, *, with_level: bool = True
) -> tuple[dict[int, Detection], list[Detection]]:
    """The detection of each word by its number, and the detections of none."""
    steps = steps_of(recognizer, tape.waveform)
    if not with_level:
        steps = [Steps(part.posteriors, NO_LEVELS) for part in steps]
    detections = decode(recognizer.card, recognizer.card.decoder, steps)
    times = [one.decided_s for one in detections]
    is_free = [True] * len(detections)
    found: dict[int, Detection] = {}
    for number, (label, start_s, end_s) in enumerate(tape.words):
        for index in range(bisect.bisect_left(times, start_s), bisect.bisect(times, end_s + TOLERANCE_S)):
            if is_free[index] and detections[index].label == label:
                is_free[index], found[number] = False, detections[index]
                break
    return found, [one for one, free in zip(detections, is_free, strict=True) if free]


def trimmed(store: Store, row: Row) -> Waveform:
    return int16_to_float32(store.samples_of(row))[row.speech_start : row.speech_end]


def tight(waveform: Waveform) -> Waveform | None:
    """A clip cut where its level is 35 dB below its peak; None without 40 dB between peak and floor."""
    pieces = waveform[: len(waveform) // TIGHT_HOP * TIGHT_HOP].reshape(-1, TIGHT_HOP)
    levels = 10 * np.log10(pieces.var(axis=1) + 1e-10)
    peak = np.percentile(levels, 95)
    if peak - np.percentile(levels, 5) < LEAST_CONTRAST_DB:
        return None
    loud = np.flatnonzero(levels > peak - TIGHT_DB)
    cut = waveform[loud[0] * TIGHT_HOP : (loud[-1] + 1) * TIGHT_HOP]
    shortest, longest = (round(seconds * SAMPLE_RATE) for seconds in TIGHT_LENGTH_S)
    return cut if shortest < len(cut) < longest else None


def pairs_of(rows: list[Row]) -> list[tuple[Row, Row]]:
    """Each clip with another one of the same speaker and word, where there is one."""
    by_voice: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_voice.setdefault((row.speaker, row.word), []).append(row)
    return [(same[0], same[1]) for same in by_voice.values() if len(same) > 1]


def report_repeats(
    recognizer: Recognizer, store: Store, pairs: list[tuple[Row, Row]], n_times: int, *, with_level: bool
) -> None:
    heard: dict[float, set[int]] = {}
    n_extra: dict[float, int] = {}
    for gap_s in REPEAT_GAPS_S:
        tape = Tape(seed=0)
        for pair in pairs:
            rows = [pair[time % 2] for time in range(n_times)]
            tape.add([(row.word, trimmed(store, row)) for row in rows], gap_s, REPEAT_SNR_DB)
        found, extra = hear(recognizer, tape, with_level=with_level)
        groups = [range(n_times * pair, n_times * (pair + 1)) for pair in range(len(pairs))]
        heard[gap_s] = {number for number, group in enumerate(groups) if set(group) <= set(found)}
        n_extra[gap_s] = len(extra)
    reference = heard[REPEAT_GAPS_S[-1]]
    how = "" if with_level else "; by the posteriors alone"
    print(f"a word said {n_times} times, {len(pairs)} pairs of clips{how}")
    print("pause s  all heard %  of those heard 1 s apart %  other detections")
    for gap_s in REPEAT_GAPS_S:
        among = 100 * len(heard[gap_s] & reference) / max(1, len(reference))
        share = 100 * len(heard[gap_s]) / len(pairs)
        print(f"{gap_s:7.1f}  {share:11.1f}  {among:26.1f}  {n_extra[gap_s]:16d}")


def report_singles(recognizer: Recognizer, store: Store, rows: list[Row]) -> None:
    tape = Tape(seed=1)
    for row in rows:
        tape.add([(row.word, trimmed(store, row))], 0.0, REPEAT_SNR_DB)
    found, extra = hear(recognizer, tape)
    starts = [start_s for _, start_s, _ in tape.words]
    n_duplicates = 0
    for detection in extra:
        number = bisect.bisect(starts, detection.decided_s) - 1
        label, _, end_s = tape.words[number]
        is_its_word = label == detection.label and detection.decided_s <= end_s + TOLERANCE_S
        n_duplicates += is_its_word and number in found
    print(
        f"\nsingle words: {len(found)} of {len(rows)} heard ({100 * len(found) / len(rows):.1f} %), "
        f"{n_duplicates} twice ({100 * n_duplicates / len(rows):.2f} %), {len(extra) - n_duplicates} others"
    )


def report_boundaries(recognizer: Recognizer, store: Store, rows: list[Row]) -> None:
    cuts = [(row.word, tight(int16_to_float32(store.samples_of(row)))) for row in rows]
    spoken = [(word, waveform) for word, waveform in cuts if waveform is not None]
    print(f"\nboundaries of {len(spoken)} words with known ones; absolute errors in ms")
    print("noise dB  pause s  heard  start median  90 %  end median  90 %")
    for snr_db in ROW_SNRS_DB:
        for gap_s in ROW_GAPS_S:
            tape = Tape(seed=2)
            for first in range(0, len(spoken), ROW_WORDS):
                tape.add(spoken[first : first + ROW_WORDS], gap_s, snr_db)
            found, _ = hear(recognizer, tape)
            starts = errors_ms(one.start_s - tape.words[number][1] for number, one in found.items())
            ends = errors_ms(one.end_s - tape.words[number][2] for number, one in found.items())
            print(
                f"{-snr_db:8.0f}  {gap_s:7.1f}  {len(found):5d}  {np.median(starts):12.0f}  "
                f"{np.percentile(starts, 90):4.0f}  {np.median(ends):10.0f}  {np.percentile(ends, 90):4.0f}"
            )


def errors_ms(differences_s: Iterable[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.abs(np.fromiter(differences_s, dtype=np.float64)) * 1_000


def main() -> None:
    arguments = model_and_store(__doc__).parse_args()
    recognizer, store = Recognizer.load(arguments.model), Store.open(arguments.store)
    words = recognizer.card.words
    rows = [row for row in store.select("word", arguments.split) if row.word in words]
    rows = [rows[index] for index in np.random.default_rng(0).permutation(len(rows))]
    print(f"{arguments.model}: {arguments.split}, {len(rows)} clips")
    for n_times, with_level in ((2, True), (2, False), (3, True)):
        report_repeats(recognizer, store, pairs_of(rows), n_times, with_level=with_level)
    report_singles(recognizer, store, rows)
    report_boundaries(recognizer, store, rows)


if __name__ == "__main__":
    main()
