"""Whether synthetic clips can be understood: by a released network and by pocketsphinx, neither of which knows them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pocketsphinx import Decoder

from speech.kokoro_words import MANIFEST, read_manifest, write_lists
from speech.pronunciation import pronunciations, without_stress
from speechcmd import Recognizer
from speechcmd.audio.reading import read_int16
from speechcmd.audio.samples import Int16, int16_to_float32

NOT_UNDERSTOOD = "not understood"
CHECKED = "checked.csv"


class Listener:
    """Hears one word in a clip, out of those that it was given."""

    def __init__(self, words: Sequence[str], model: str = "cnn") -> None:
        self._network = Recognizer.load(model)
        self._decoder = Decoder(lm=None, loglevel="FATAL")
        for word in words:
            for number, phones in enumerate(dict.fromkeys(map(without_stress, pronunciations(word)))):
                name = f"{word}_" if number == 0 else f"{word}_({number + 1})"
                self._decoder.add_word(name, phones, True)
        rule = " | ".join(f"{word}_" for word in words)
        self._decoder.add_jsgf_string("words", f"#JSGF V1.0; grammar words; public <word> = {rule};")
        self._decoder.activate_search("words")

    def network(self, samples: Int16) -> str:
        """The released network's answer, "_unknown_" and "_silence_" among them."""
        return self._network.classify(int16_to_float32(samples)).label

    def pocketsphinx(self, samples: Int16) -> str:
        """The word that pocketsphinx hears; empty if none."""
        self._decoder.start_utt()
        self._decoder.process_raw(samples.tobytes(), full_utt=True)
        self._decoder.end_utt()
        heard = self._decoder.hyp()
        return heard.hypstr.rstrip("_") if heard else ""


def throw_out_unclear(folder: Path, words: Sequence[str]) -> None:
    """Remove clips in which neither hears the word; CHECKED tells of each what was heard, the manifest why.

    What was checked before is not heard again.
    """
    listener = Listener(words)
    checked = folder / CHECKED
    done = {row["path"]: row for row in read_manifest(checked)}
    rows = read_manifest(folder / MANIFEST)
    is_new = not done
    with checked.open("a", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        if is_new:
            writer.writerow(("path", "word", "network", "pocketsphinx"))
        for row in rows:
            if row["thrown_away"] or row["path"] in done:
                continue
            samples = read_int16(folder / row["path"])
            heard = listener.network(samples), listener.pocketsphinx(samples)
            writer.writerow((row["path"], row["word"], *heard))
            if row["word"] not in heard:
                row["thrown_away"] = NOT_UNDERSTOOD
                (folder / row["path"]).unlink()
    part = folder / f"{MANIFEST}.part"
    with part.open("w", encoding="utf-8", newline="") as handle:
        whole = csv.DictWriter(handle, rows[0].keys())
        whole.writeheader()
        whole.writerows(rows)
    part.replace(folder / MANIFEST)
    write_lists(folder)


def outcomes_of(folder: Path) -> Counter[tuple[str, str]]:
    """(word, outcome) counted: "kept", or why not."""
    return Counter((row["word"], row["thrown_away"] or "kept") for row in read_manifest(folder / MANIFEST))
