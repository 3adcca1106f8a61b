"""False detections on speech without commands, and words found in a stream, over thresholds.

usage: python benchmarks/listening.py MODEL STORE [--split validation|testing]

Speech: all recordings of kind speech of the split (no recording holds a command). Words: the split's
clips of the model's words, whole, one a second and a half apart, over noise of the split at 15 dB. A
detection finds a word if it is decided between the word's start and 0.75 s after its end and has its
label; its delay is from its end to the audio that decided it. The table that the defaults were chosen by, on
validation; `speechcmd evaluate-stream` measures with more care.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from arguments import model_and_store

from data_prep.store import Store
from speechcmd.audio.samples import SAMPLE_RATE, Waveform, int16_to_float32
from speechcmd.runtime.model.card import DecoderSettings, ModelCard
from speechcmd.runtime.recognition.decoder import Decoder, Detection
from speechcmd.runtime.recognition.recognizer import Recognizer
from speechcmd.runtime.recognition.stream import Steps, edge_samples

SPACING = round(1.5 * SAMPLE_RATE)
TOLERANCE_S = 0.75
SNR_DB = 15.0
Word = tuple[str, float, float]


def word_stream(store: Store, recognizer: Recognizer, split: str, seed: int) -> tuple[Waveform, list[Word]]:
    """Words over noise, and where each begins and ends in seconds."""
    rng = np.random.default_rng(seed)
    rows = [row for row in store.select("word", split) if row.word in recognizer.card.words]
    rows = [rows[i] for i in rng.permutation(len(rows))]
    noises = [int16_to_float32(store.samples_of(row)) for row in store.select("noise", split)]
    stream = np.zeros(len(rows) * SPACING + SAMPLE_RATE, dtype=np.float32)
    words = []
    for number, row in enumerate(rows):
        begin = number * SPACING + SPACING // 6
        waveform = int16_to_float32(store.samples_of(row))
        stream[begin : begin + len(waveform)] += waveform
        noise = np.resize(noises[rng.integers(len(noises))], SPACING)
        level = np.sqrt(np.mean(waveform[row.speech_start : row.speech_end] ** 2))
        gain = level / (np.sqrt(np.mean(noise**2)) + 1e-9) * 10 ** (-SNR_DB / 20)
        stream[number * SPACING : (number + 1) * SPACING] += np.float32(gain) * noise
        words.append(
            (row.word, (begin + row.speech_start) / SAMPLE_RATE, (begin + row.speech_end) / SAMPLE_RATE)
        )
    return stream, words


def steps_of(recognizer: Recognizer, waveform: Waveform) -> list[Steps]:
    return list(recognizer.steps(waveform))


def decode(card: ModelCard, settings: DecoderSettings, steps: list[Steps]) -> list[Detection]:
    decoder = Decoder(card, settings=settings, first_sample=-edge_samples(card))
    return [detection for part in steps for detection in decoder.feed(*part)] + decoder.flush()


def find_words(words: list[Word], detections: list[Detection]) -> tuple[list[float], int]:
    """Delay in ms of each word found, and the number of detections that found none."""
    free = list(detections)
    delays = []
    for label, start_s, end_s in words:
        match = next(
            (d for d in free if d.label == label and start_s <= d.decided_s <= end_s + TOLERANCE_S), None
        )
        if match is not None:
            free.remove(match)
            delays.append(1_000 * (match.decided_s - end_s))
    return delays, len(free)


def main() -> None:
    arguments = model_and_store(__doc__).parse_args()
    recognizer, store = Recognizer.load(arguments.model), Store.open(arguments.store)
    stream, words = word_stream(store, recognizer, arguments.split, seed=0)
    of_words = steps_of(recognizer, stream)
    rows = store.select("speech", arguments.split)
    of_speech = [steps_of(recognizer, int16_to_float32(store.samples_of(row))) for row in rows]
    hours = sum(row.n_samples for row in rows) / SAMPLE_RATE / 3600
    print(f"{arguments.model}: {arguments.split}; {len(words)} words, {hours:.2f} h of speech")
    print("smoothing_s  threshold  delay ms  95 %  words found %  extra in words  false in speech  per hour")
    for smoothing_s in (0.12, 0.2, 0.28, 0.36, 0.44):
        for threshold in (0.6, 0.7, 0.75, 0.8, 0.85):
            settings = dataclasses.replace(
                recognizer.card.decoder.override(threshold=threshold),
                smoothing_steps=recognizer.card.steps_in(smoothing_s),
            )
            delays, n_extra = find_words(words, decode(recognizer.card, settings, of_words))
            n_false = sum(len(decode(recognizer.card, settings, steps)) for steps in of_speech)
            print(
                f"{smoothing_s:11.2f}  {threshold:9.2f}  {np.median(delays):8.0f}  {np.percentile(delays, 95):4.0f}  "
                f"{100 * len(delays) / len(words):13.1f}  {n_extra:14d}  {n_false:15d}  {n_false / hours:7.0f}"
            )


if __name__ == "__main__":
    main()
