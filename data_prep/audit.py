"""What a corpus holds and what is wrong with it: pure functions from index rows to an audit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data_prep.split import SPLITS
from data_prep.voices import note_voices
from speechcmd.audio.samples import SAMPLE_RATE
from speechcmd.labels import UNKNOWN

if TYPE_CHECKING:
    from data_prep.store import Row
    from data_prep.store_check import Skipped

# word clips by split; those of v0.01 add up to its published 64,727 files less the six of noise
OFFICIAL_COUNTS: Mapping[str, Mapping[str, int]] = {
    "v0.02": {"training": 84_843, "validation": 9_981, "testing": 11_005},
    "v0.01": {"training": 51_088, "validation": 6_798, "testing": 6_835},
}
FLAG_TITLES = {
    "too_short": "too short (< 0.2 s)",
    "near_silent": "near-silent",
    "clipped": "clipped",
    "dc_offset": "DC offset",
    "low_contrast": "not trimmed: no contrast",
}
N_EXAMPLES = 20
_MOST_OWN_WORDS = 20  # of more words, some are left to be the others


@dataclass(frozen=True)
class Durations:
    """Durations of some clips in seconds."""

    mean_s: float
    median_s: float
    p5_s: float
    p95_s: float


@dataclass(frozen=True)
class Findings:
    """How many there are of something, and the first few of them in words."""

    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class SplitSummary:
    """The word clips of one split: how many, by how many speakers, how long before and after trimming."""

    n_clips: int
    n_speakers: int
    clips: dict[str, int]
    before: Durations
    after: Durations


@dataclass(frozen=True)
class RecordingCounts:
    """Long recordings of one kind and role."""

    kind: str
    role: str
    count: int
    hours: float


@dataclass(frozen=True)
class Audit:
    """All that `prepare` says about a corpus. With `errors` the corpus must not be used."""

    splits: dict[str, SplitSummary]
    recordings: tuple[RecordingCounts, ...]
    official: str | None
    official_counts: dict[str, int]
    flags: dict[str, Findings]
    unreadable: Findings
    duplicates_across_splits: Findings
    duplicates_with_other_word: Findings
    speakers_in_two_splits: Findings
    notes: tuple[str, ...]
    errors: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        """All words, sorted."""
        return sorted({word for summary in self.splits.values() for word in summary.clips})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def audit(
    rows: Iterable[Row],
    skipped: Iterable[Skipped] = (),
    sample_rate: int = SAMPLE_RATE,
    official: str | None = None,
    n_examples: int = N_EXAMPLES,
    *,
    is_shared_meant: bool = False,
    notes: Iterable[str] = (),
) -> Audit:
    """Audit a corpus by the rows of its index and the files that were skipped.

    Parameters
    ----------
    official
        "v0.01" or "v0.02": compare the clips with the official counts of that version.
    n_examples
        How many examples each list holds; counts are always complete.
    is_shared_meant
        Speakers in two splits are no mistake: takes were split, or the lists of the folder want it so.
    notes
        What else there is to say.
    """
    rows = list(rows)
    clips = [row for row in rows if row.kind == "word"]
    splits = {
        split: _summarise([row for row in clips if row.split == split], sample_rate) for split in SPLITS
    }
    counts = dict(OFFICIAL_COUNTS[official]) if official else {}
    speakers = _find_shared_speakers(clips)
    errors = []
    if speakers and not is_shared_meant:
        errors.append(
            f"{_plural(len(speakers), 'speaker')} in two splits, expected none: {'; '.join(speakers[:3])}; "
            "correct the lists or the names"
        )
    return Audit(
        splits=splits,
        recordings=_count_recordings(rows, sample_rate),
        official=official,
        official_counts=counts,
        flags=_collect_flags(rows, n_examples),
        unreadable=_list_all([f"{s.path}: {s.reason}" for s in skipped]),
        duplicates_across_splits=_findings(_find_duplicates_across_splits(rows), n_examples),
        duplicates_with_other_word=_findings(_find_duplicates_with_other_word(clips), n_examples),
        speakers_in_two_splits=_findings(speakers, n_examples),
        notes=(
            *notes,
            *_note_official(splits, official, counts),
            *_note_voices(rows, is_shared_meant),
            *_note_negatives(rows),
            *_note_speech_folders(rows),
        ),
        errors=tuple(errors),
    )


def _summarise(rows: Sequence[Row], sample_rate: int) -> SplitSummary:
    clips: dict[str, int] = defaultdict(int)
    for row in rows:
        clips[row.word] += 1
    return SplitSummary(
        n_clips=len(rows),
        n_speakers=len({row.speaker for row in rows}),
        clips=dict(sorted(clips.items())),
        before=_measure_durations([row.n_samples / sample_rate for row in rows]),
        after=_measure_durations([row.n_speech / sample_rate for row in rows]),
    )


def _measure_durations(durations_s: Sequence[float]) -> Durations:
    if not durations_s:
        return Durations(0.0, 0.0, 0.0, 0.0)
    p5, median, p95 = np.percentile(durations_s, (5, 50, 95))
    values = (float(np.mean(durations_s)), float(median), float(p5), float(p95))
    return Durations(*(round(value, 4) for value in values))


def _count_recordings(rows: Iterable[Row], sample_rate: int) -> tuple[RecordingCounts, ...]:
    samples: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in rows:
        if row.kind != "word":
            samples[row.kind, row.role].append(row.n_samples)
    return tuple(
        RecordingCounts(kind, role, len(found), round(sum(found) / sample_rate / 3600, 4))
        for (kind, role), found in sorted(samples.items())
    )


def _collect_flags(rows: Iterable[Row], n_examples: int) -> dict[str, Findings]:
    found: dict[str, list[str]] = {flag: [] for flag in FLAG_TITLES}
    for row in rows:
        for flag in row.flags:
            found.setdefault(flag, []).append(row.path)
    return {flag: _findings(paths, n_examples) for flag, paths in found.items()}


def _find_duplicates_across_splits(rows: Iterable[Row]) -> list[str]:
    return [
        " = ".join(f"{row.path} ({row.split})" for row in same)
        for same in _same_audio(rows)
        if len({row.split for row in same}) > 1
    ]


def _find_duplicates_with_other_word(rows: Iterable[Row]) -> list[str]:
    """Equal audio under different words, within one split: one of the labels must be wrong."""
    found: list[str] = []
    for same in _same_audio(rows):
        for split in SPLITS:
            within = [row for row in same if row.split == split]
            if len({row.word for row in within}) > 1:
                found.append(" = ".join(row.path for row in within))
    return found


def _same_audio(rows: Iterable[Row]) -> list[list[Row]]:
    by_digest: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_digest[row.digest].append(row)
    return [same for same in by_digest.values() if len(same) > 1]


def _find_shared_speakers(clips: Iterable[Row]) -> list[str]:
    first: dict[str, dict[str, str]] = defaultdict(dict)
    for row in clips:
        first[row.speaker].setdefault(row.split, row.path)
    return [
        f"{speaker}: " + ", ".join(f"{path} ({split})" for split, path in places.items())
        for speaker, places in sorted(first.items())
        if len(places) > 1
    ]


def _note_official(
    splits: Mapping[str, SplitSummary], official: str | None, counts: Mapping[str, int]
) -> list[str]:
    if official is None:
        return []
    found = {split: summary.n_clips for split, summary in splits.items()}
    if found == counts:
        return [f"the complete official {official}"]
    if all(found[split] <= counts[split] for split in counts):
        parts = ", ".join(f"{found[split]:,} of {counts[split]:,} {split}" for split in counts)
        return [f"a subset of the official {official}: {parts}; published figures do not compare"]
    return [f"not the official {official}: more clips than it has; published figures do not compare"]


def _note_voices(rows: Sequence[Row], is_shared_meant: bool) -> list[str]:
    note = note_voices(rows) if is_shared_meant else ""
    return [note] if note else []


def _note_negatives(rows: Iterable[Row]) -> list[str]:
    """A handful of words and nothing that is none of them: a network then takes anything for a word."""
    words = {row.word for row in rows if row.kind == "word"}
    has_speech = any(row.kind == "speech" and row.split == "training" for row in rows)
    if has_speech or UNKNOWN in words or len(words) > _MOST_OWN_WORDS:
        return []
    return [
        "no clips of other words (a folder unknown) and no running speech: `speechcmd train` will add the "
        "shipped negatives; --speech DIR with speech from where it will listen is better"
    ]


def _note_speech_folders(rows: Iterable[Row]) -> list[str]:
    """Whether a folder of sentences is one speaker only its owner knows, so this is no error."""
    shared = _find_shared_speakers(row for row in rows if row.kind == "speech")
    if not shared:
        return []
    return [
        f"{_plural(len(shared), 'folder')} of speech in two splits: if each is a speaker, give it one role"
    ]


def _findings(found: Sequence[str], n_examples: int) -> Findings:
    return Findings(len(found), tuple(found[:n_examples]))


def _list_all(found: Sequence[str]) -> Findings:
    """Nothing is left out: these files are missing from the store."""
    return _findings(found, len(found))


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def render_text(audit: Audit, n_shown: int = 2) -> str:
    """Lay the audit out for people: a short table of splits, of labels, and what was found."""
    blocks = [
        _render_splits(audit),
        _render_labels(audit),
        _render_recordings(audit),
        _render_findings(audit, n_shown),
    ]
    blocks.append([f"note: {note}" for note in audit.notes])
    blocks.append([f"error: {error}" for error in audit.errors])
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _render_splits(audit: Audit) -> list[str]:
    official = f"{'official':>10}" if audit.official_counts else ""
    header = f"{'split':<12}{'clips':>8}{official}{'speakers':>10}"
    lines = [header + f"   {'seconds: mean':<18}{'median':<16}{'5 %':<16}{'95 %'}"]
    for split, summary in audit.splits.items():
        counted = f"{audit.official_counts[split]:>10,}" if audit.official_counts else ""
        line = f"{split:<12}{summary.n_clips:>8,}{counted}{summary.n_speakers:>10,}   "
        pairs = zip(asdict(summary.before).values(), asdict(summary.after).values(), strict=True)
        shown = [f"{before:.2f} → {after:.2f}" for before, after in pairs]
        lines.append(
            (line + f"{shown[0]:<18}{shown[1]:<16}{shown[2]:<16}{shown[3]}") if summary.n_clips else line
        )
    return [line.rstrip() for line in lines]


def _render_labels(audit: Audit) -> list[str]:
    width = max([len(word) for word in audit.words] + [10]) + 2
    lines = [f"{'label':<{width}}" + "".join(f"{split:>12}" for split in audit.splits)]
    for word in audit.words:
        counts = (summary.clips.get(word, 0) for summary in audit.splits.values())
        lines.append(f"{word:<{width}}" + "".join(f"{count:>12,}" for count in counts))
    return lines


def _render_recordings(audit: Audit) -> list[str]:
    if not audit.recordings:
        return []
    lines = [f"{'recordings':<12}{'role':<12}{'files':>8}{'hours':>10}"]
    lines += [f"{r.kind:<12}{r.role:<12}{r.count:>8,}{r.hours:>10.2f}" for r in audit.recordings]
    return lines


def _render_findings(audit: Audit, n_shown: int) -> list[str]:
    listed = {
        **{FLAG_TITLES.get(flag, flag): findings for flag, findings in audit.flags.items()},
        "unreadable, skipped": audit.unreadable,
        "same audio in two splits": audit.duplicates_across_splits,
        "same audio, other word": audit.duplicates_with_other_word,
        "speakers in two splits": audit.speakers_in_two_splits,
    }
    lines = []
    for title, findings in listed.items():
        shown = "; ".join(findings.examples[:n_shown])
        more = "; …" if findings.count > n_shown else ""
        lines.append(f"{title:<26}{findings.count:>8,}   {shown}{more}".rstrip())
    return lines
