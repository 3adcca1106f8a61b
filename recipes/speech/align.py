"""Where words and phones lie in speech whose text is known: forced alignment by pocketsphinx (BSD)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pocketsphinx import Decoder

from speechcmd.audio.samples import SAMPLE_RATE, Int16

FRAME_S = 0.01
FRAME = round(FRAME_S * SAMPLE_RATE)
AROUND = 10  # frames round a part that is looked at by itself
SILENCE, UNCLEAR = "SIL", "?"
PHONES = (
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH", "K",
    "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip
# the phone alignment of pocketsphinx gives up on many long recordings; with phones as words it rarely does
_MARK = "phone_"


@dataclass(frozen=True)
class Span:
    """A word or a phone, in frames of 10 ms from the beginning; `end` is the first frame behind it."""

    name: str
    start: int
    end: int


class Aligner:
    """One decoder for many recordings; words that its dictionary lacks are to be taught."""

    def __init__(self) -> None:
        self._decoder = Decoder(lm=None, loglevel="FATAL")
        for phone in PHONES:
            self._decoder.add_word(_MARK + phone, phone, phone == PHONES[-1])

    def knows(self, word: str) -> bool:
        return self._decoder.lookup_word(word) is not None

    def teach(self, word: str, pronunciations: Sequence[str]) -> None:
        """Ways to say a word, phones without stress: "S T AA P". Of a known word nothing is changed."""
        if self.knows(word):
            return
        for number, phones in enumerate(pronunciations):
            name = word if number == 0 else f"{word}({number + 1})"
            self._decoder.add_word(name, phones, number + 1 == len(pronunciations))

    def words(self, samples: Int16, text: Sequence[str]) -> list[Span] | None:
        """Where each word lies, pauses left out; None if the text does not fit. `samples`: 16 kHz.

        The names tell which way a word is said, if there are more: "the(2)".
        """
        found = self._align(samples, text)
        return found if [_plain(each.name) for each in found] == list(text) else None

    def phones(self, samples: Int16, words: Sequence[Span]) -> list[Span]:
        """Where each phone lies of words found by `words`; what is between them is silence.

        What does not fit at once is tried in halves; a word that does not fit alone is named "?" whole.
        """
        if not words:
            return []
        first, end = max(0, words[0].start - AROUND), min(len(samples) // FRAME, words[-1].end + AROUND)
        said = [phone for each in words for phone in str(self._decoder.lookup_word(each.name)).split()]
        found = self._align(samples[first * FRAME : end * FRAME], [_MARK + phone for phone in said])
        spans = [Span(each.name.removeprefix(_MARK), each.start + first, each.end + first) for each in found]
        if [each.name for each in spans] == said:
            return spans
        if len(words) == 1:
            return [Span(UNCLEAR, words[0].start, words[0].end)]
        half = len(words) // 2
        return self.phones(samples, words[:half]) + self.phones(samples, words[half:])

    def _align(self, samples: Int16, text: Sequence[str]) -> list[Span]:
        decoder = self._decoder
        decoder.set_align_text(" ".join(text))
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), full_utt=True)
        decoder.end_utt()
        if decoder.hyp() is None:
            return []
        spans = [Span(each.word, each.start_frame, each.end_frame + 1) for each in decoder.seg()]
        return [each for each in spans if each.name[0] not in "<["]


def _plain(name: str) -> str:
    return name.partition("(")[0]
