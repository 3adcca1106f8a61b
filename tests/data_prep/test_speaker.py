"""Who speaks, by the names that data sets, people, phones and editors give to files."""

from __future__ import annotations

import pytest

from data_prep.speaker import speaker_of

pytestmark = pytest.mark.runtime


@pytest.mark.parametrize(
    ("path", "word", "speaker"),
    [
        ("yes/0a7c2a8d_nohash_0.wav", "yes", "0a7c2a8d"),
        ("a_b_nohash_12.wav", "", "a_b"),
        ("x/y/anna-2_1.opus", "x", "anna-2"),
        ("lamp/anna_1.wav", "lamp", "anna"),
        ("lamp/anna_maria_3.wav", "lamp", "anna_maria"),
        ("lamp/anna.flac", "lamp", "anna"),
        ("lamp/lamp_01.wav", "lamp", ""),
        ("lamp/Lamp-001.wav", "lamp", ""),
        ("lamp/lamp (2).wav", "lamp", ""),
        ("lamp/lamp.wav", "lamp", ""),
        ("lamp/lamp12.wav", "lamp", ""),
        ("lamp/Recording_20240101_3.wav", "lamp", ""),
        ("lamp/New Recording 12.wav", "lamp", ""),
        ("lamp/New Recording.wav", "lamp", ""),
        ("lamp/Neue Aufnahme 3.wav", "lamp", ""),
        ("lamp/2024-01-01 12.30.15.wav", "lamp", ""),
        ("lamp/20240101_123015.wav", "lamp", ""),
        ("lamp/PTT-20240101-WA0003.opus", "lamp", ""),
        ("lamp/WhatsApp Audio 2024-01-01 at 12.30.15.ogg", "lamp", ""),
        ("lamp/REC001.WAV", "lamp", ""),
        ("lamp/ZOOM0001.WAV", "lamp", ""),
        ("lamp/Voice 001.wav", "lamp", ""),
        ("lamp/untitled-3.wav", "lamp", ""),
        ("lamp/Audio Track-2.wav", "lamp", ""),
        ("lamp/1.wav", "lamp", ""),
        ("lamp/001.wav", "lamp", ""),
        ("lamp/a_1.wav", "lamp", "a"),
        ("turn on/turn_on_1.wav", "turn on", ""),
        ("turn on/TurnOn3.wav", "turn on", ""),
        ("turn on/anna turn-on 3.wav", "turn on", "anna"),
        ("lamp/speaker_3.wav", "lamp", "speaker_3"),
        ("lamp/speaker_1_3.wav", "lamp", "speaker_1"),
        ("lamp/spk3_2.wav", "lamp", "spk3"),
        ("lamp/speaker1_3.wav", "lamp", "speaker1"),
        ("lamp/anna_lamp_3.wav", "lamp", "anna"),
        ("lamp/lamp_anna_3.wav", "lamp", "anna"),
        ("lamp/12_3.wav", "lamp", "12"),
        ("seven/7_jackson_32.wav", "seven", "jackson"),
        ("lamp/p225_001.wav", "lamp", "p225"),
        ("lamp/p225.wav", "lamp", "p225"),
        ("lamp/anna (2).wav", "lamp", "anna"),
        ("lamp/anna take 3.wav", "lamp", "anna"),
        ("lamp/take3.wav", "lamp", ""),
        ("lamp/anna/001.wav", "lamp", "anna"),
        ("lamp/2024-01-01/001.wav", "lamp", ""),
        ("lamp/session 2/lamp 1.wav", "lamp", ""),
        ("lamp/anna_20240101_3.wav", "lamp", "anna"),
        ("lamp/Recording_2024-01-01_anna.wav", "lamp", "anna"),
        ("lamp/1700000000000.wav", "lamp", ""),
        ("lamp/6ba7b810-9dad-11d1-80b4-00c04fd430c8.wav", "lamp", ""),
        ("lamp/lamp - Kopie (2).wav", "lamp", ""),
        ("lamp/lamp_v2.wav", "lamp", ""),
        ("yes/_3.wav", "yes", ""),
        ("_unknown_/bed_0a7c2a8d_nohash_0.wav.wav", "_unknown_", "0a7c2a8d"),
        ("Küche/Küche_3.wav", "Küche", ""),
        ("lamp/André_1.wav", "lamp", "André"),
        ("lamp/Grabación 3.wav", "lamp", ""),
        ("no/no_3.wav", "no", ""),
        ("no/anna_3.wav", "no", "anna"),
        ("lamp/2024-01-01T12-30-15.wav", "lamp", ""),
        ("lamp/20240101T123015Z.wav", "lamp", ""),
        ("lamp/audio_2024-01-01_12-30-15.ogg", "lamp", ""),
        ("lamp/Main Street 12.wav", "lamp", "Main Street"),
        ("lamp/anna_3.wav.wav", "lamp", "anna"),
        ("lamp/.wav", "lamp", ""),
    ],
)
def test_speakers_by_the_names_of_files(path: str, word: str, speaker: str) -> None:
    assert speaker_of(path, word) == speaker


def test_takes_of_one_person_have_one_speaker() -> None:
    names = ["anna_1", "anna-02", "anna 30", "anna (4)", "anna take 5", "anna_20240101_6", "lamp anna 7"]
    assert {speaker_of(f"lamp/{name}.wav", "lamp") for name in names} == {"anna"}


def test_a_folder_between_tells_only_what_the_file_does_not() -> None:
    assert speaker_of("lamp/anna/ben_1.wav", "lamp") == "ben"
    assert speaker_of("lamp/anna/take 1/001.wav", "lamp") == "anna"
    assert speaker_of("lamp/03/lamp.wav", "lamp") == "03"
