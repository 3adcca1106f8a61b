"""Options that change when a word is heard: how they are read, and that each changes what it should."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
import soundfile
from click.testing import CliRunner, Result
from fakes import SAMPLE_RATE, STEP_SAMPLES, plain_card, tone_recording, toy_model

from speechcmd.cli.main import cli
from speechcmd.cli.options.decoder_options import NumberRange, PerWord, decoder_settings
from speechcmd.runtime.model.card import DecoderSettings, LabelSettings

pytestmark = pytest.mark.runtime

LOW = LabelSettings(threshold=0.6, release_ratio=0.5, refractory_s=0.3, min_steps=3)
CARD = plain_card(decoder=DecoderSettings(LabelSettings(), {"low": LOW}, smoothing_steps=4))
SHARES = PerWord(NumberRange(0, 1, min_open=True))
NOTHING = dict.fromkeys(("threshold", "release_ratio", "refractory", "smoothing", "min_steps"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.8", {"": 0.8}),
        ("1", {"": 1.0}),
        ("1e-3", {"": 0.001}),
        ("yes=0.8", {"yes": 0.8}),
        ("yes=0.8, no = 0.6", {"yes": 0.8, "no": 0.6}),
        ("0.7,stop=0.9", {"": 0.7, "stop": 0.9}),
        ("a=b=0.5", {"a=b": 0.5}),
    ],
)
def test_thresholds(text: str, expected: dict[str, float]) -> None:
    assert SHARES.convert(text, None, None) == expected


@pytest.mark.parametrize(
    "text",
    ["", "0", "1.1", "-0.5", "nan", "inf", "yes", "yes=", "=0.5", " = 0.5", "yes=0", "0.5,0.6", "yes=0.5,yes=0.6", "0.5,"],
)  # fmt: skip
def test_what_is_no_threshold(text: str) -> None:
    with pytest.raises(
        click.BadParameter,
        match=r"such as 0\.8 or yes=0\.8,no=0\.6; got|is not a valid float|is not in the range|expected a number",
    ):
        SHARES.convert(text, None, None)


def test_nothing_given_changes_nothing() -> None:
    assert decoder_settings(CARD, **NOTHING) == CARD.decoder


def test_a_threshold_for_all_and_one_for_a_word() -> None:
    settings = decoder_settings(CARD, **{**NOTHING, "threshold": {"": 0.9, "high": 0.4}})
    assert (settings.of("low").threshold, settings.of("high").threshold) == (0.9, 0.4)
    assert settings.of("low").min_steps == 3  # its own stays
    one = decoder_settings(CARD, **{**NOTHING, "threshold": {"high": 0.4}})
    assert (one.of("low"), one.of("high").threshold) == (LOW, 0.4)


def test_the_others_hold_for_all_words() -> None:
    settings = decoder_settings(CARD, None, {"": 0.25}, {"": 0.0, "low": 2.0}, None, {"": 7})
    for word, own in (("low", LOW), ("high", CARD.decoder.default)):
        refractory_s = 2.0 if word == "low" else 0.0  # a word's own number comes last
        expected = LabelSettings(own.threshold, 0.25, refractory_s, min_steps=7)
        assert settings.of(word) == expected
    assert settings.smoothing_steps == 4


@pytest.mark.parametrize(("smoothing_s", "n_steps"), [(0.0, 1), (0.009, 1), (0.02, 1), (0.1, 5), (5.0, 250)])
def test_smoothing_is_seconds(smoothing_s: float, n_steps: int) -> None:
    assert STEP_SAMPLES / SAMPLE_RATE == 0.02
    assert decoder_settings(CARD, None, None, None, smoothing_s, None).smoothing_steps == n_steps


@pytest.mark.parametrize("label", ["left", "_silence_", "Low"])
def test_a_threshold_for_what_is_no_word(label: str) -> None:
    with pytest.raises(
        click.UsageError, match=f"{label!r} is not a word of this model; its words are low, high"
    ):
        decoder_settings(CARD, **{**NOTHING, "threshold": {label: 0.5}})


class TestListen:
    """Each option does through `listen` what it says."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        Path("toy.onnx").write_bytes(toy_model())

    def count(self, words: list[tuple[str, float]], *options: str) -> int:
        soundfile.write("a.wav", tone_recording(words, 3.0), SAMPLE_RATE)
        result = self.run(*options)
        assert result.exit_code == 0, result.output
        return len(result.stdout.splitlines())

    def run(self, *options: str) -> Result:
        return CliRunner().invoke(
            cli, ["listen", "-m", "toy.onnx", "--input-file", "a.wav", "--json", *options]
        )

    def test_threshold(self) -> None:
        both = [("low", 1.0), ("high", 2.0)]
        assert self.count(both) == 2
        assert self.count(both, "--threshold", "1") == 0
        assert self.count(both, "--threshold", "low=1") == 1
        assert self.count(both, "--threshold", "1,low=0.5") == 1

    def test_refractory(self) -> None:
        twice = [("low", 1.0), ("low", 1.8)]
        assert self.count(twice) == 2
        assert self.count(twice, "--refractory", "1.5") == 1

    def test_smoothing(self) -> None:
        """An average over two seconds never reaches the threshold."""
        assert self.count([("low", 1.5)], "--smoothing", "0.02") == 1
        assert self.count([("low", 1.5)], "--smoothing", "2") == 0

    def test_min_steps(self) -> None:
        assert self.count([("low", 1.5)], "--min-steps", "5") == 1
        assert self.count([("low", 1.5)], "--min-steps", "100") == 0

    def test_release_ratio(self) -> None:
        """Near misses reach down to the release level: the lower it is the more there are."""
        soundfile.write("a.wav", tone_recording([("low", 1.0)], 3.0), SAMPLE_RATE)
        for ratio, n_near_misses in (("0.5", 1), ("1", 0)):
            result = self.run("--threshold", "1", "--release-ratio", ratio)
            assert f"no word, near misses {n_near_misses}" in result.stderr

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("--threshold", "2"),
            ("--threshold", "left=0.5"),
            ("--release-ratio", "0"),
            ("--release-ratio", "1.01"),
            ("--release-ratio", "nan"),
            ("--refractory", "-1"),
            ("--refractory", "61"),
            ("--refractory", "nan"),
            ("--smoothing", "-0.1"),
            ("--smoothing", "5.1"),
            ("--smoothing", "nan"),
            ("--min-steps", "0"),
            ("--min-steps", "1.5"),
        ],
    )
    def test_wrong_values_are_wrong_usage(self, option: str, value: str) -> None:
        result = self.run(option, value)
        assert result.exit_code == 2
        assert result.stdout == ""
        (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
        assert option in line
