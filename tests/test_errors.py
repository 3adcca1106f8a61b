"""Errors: the message is made of its parts, which survive a pipe between processes."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from speechcmd.errors import STREAM, AudioError, BusyError, DeviceError, SpeechcmdError


@pytest.mark.parametrize(
    ("path", "advice", "message", "without_path", "without_advice"),
    [
        (None, "", "it is empty", "it is empty", "it is empty"),
        ("a.wav", "", "a.wav: it is empty", "it is empty", "a.wav: it is empty"),
        (None, "record it", "it is empty; record it", "it is empty; record it", "it is empty"),
        (Path("a.wav"), "record it", "a.wav: it is empty; record it", "it is empty; record it", "a.wav: it is empty"),
    ],
)  # fmt: skip
def test_the_message_is_made_of_its_parts(
    path: str | Path | None, advice: str, message: str, without_path: str, without_advice: str
) -> None:
    error = AudioError("it is empty", path=path, advice=advice)
    assert str(error) == message
    assert error.without_path == without_path
    assert error.without_advice == without_advice
    assert error.path == path


def test_the_path_is_as_it_was_and_the_message_one_line() -> None:
    error = AudioError("it is empty", path="a\n.wav")
    assert error.path == "a\n.wav"
    assert "\n" not in str(error)


def test_who_knows_what_was_read_says_so_once() -> None:
    bare = AudioError("it is empty", advice="record it")
    named = bare.at("a.wav")
    assert str(named) == "a.wav: it is empty; record it"
    assert type(named) is AudioError
    assert str(bare) == "it is empty; record it"
    assert str(named.at("b.wav")) == str(named)
    assert str(AudioError("it is empty", path=STREAM).at("a.wav")) == "a.wav: it is empty"


@pytest.mark.parametrize(
    "error",
    [
        SpeechcmdError("it is empty", path="a.wav", advice="record it"),
        DeviceError("it is in use", advice="wait", is_busy=True),
        BusyError(Path("out"), "process 7"),
    ],
)
def test_an_error_comes_whole_out_of_another_process(error: SpeechcmdError) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)
