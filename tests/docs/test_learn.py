"""The lessons of docs/learn run offline, and their pages show what they print."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

LEARN = Path(__file__).resolve().parents[2] / "docs/learn"
LESSONS = ("spectrogram", "trimming", "loading", "convolution", "recurrent", "overfitting", "fooling")
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
# times, and where a training ends, which depends on the version of torch: what a page claims of it is tested by itself
MEASURED = re.compile(
    "time|loss|epoch of it|gradient|after training|matters most|most often|probability of|left of"
)
PERCENT_POINTS = 20.0


def first_number(output: str, label: str) -> float:
    """Of the first line with this label, as it is or with # for its numbers."""
    for line in output.splitlines():
        own, _, value = line.strip().partition(": ")
        if label in (own, NUMBER.sub("#", own)):
            return float(NUMBER.findall(value)[0])
    raise KeyError(label)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """A lesson sets how many threads torch uses: put it back."""
    n_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(n_threads)


def run_lesson(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    monkeypatch.syspath_prepend(str(LEARN))
    monkeypatch.setattr("sys.argv", [f"{name}.py", "--pictures", str(folder)])
    runpy.run_path(str(LEARN / f"{name}.py"), run_name="__main__")
    return capsys.readouterr().out


def committed(name: str, clips: str = "") -> str:
    return (LEARN / f"output/{name}{clips}.txt").read_text(encoding="utf-8")


def page_of(name: str) -> str:
    return (LEARN / f"{name}.md").read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.+?)^```", page, re.DOTALL | re.MULTILINE)


def labels(output: str) -> list[str]:
    return [NUMBER.sub("#", line.split(": ")[0]) for line in output.splitlines()[1:]]


def is_near(line: str, kept: str) -> bool:
    if MEASURED.search(line.split(":")[0]):
        return True
    pairs = [(float(a.replace(",", "")), float(b.replace(",", "")))
             for a, b in zip(NUMBER.findall(line), NUMBER.findall(kept), strict=True)]  # fmt: skip
    if "%" in line:
        return all(abs(a - b) <= PERCENT_POINTS for a, b in pairs)
    return all(abs(a - b) <= max(0.1 * abs(b), 1e-4) for a, b in pairs)


def check_trimming(value: Callable[[str], float]) -> None:
    middle = value("middle of the clip, mean length, # s")
    assert value("around the word, mean length, # s") > middle


def check_loading(value: Callable[[str], float]) -> None:
    assert value("store and DataLoader") == value("DataLoader with # workers") == 4


def check_convolution(value: Callable[[str], float]) -> None:
    """Only the network that neither pools nor saw shifted words is lost."""
    assert value("without pooling, # ms late") < 60
    assert value("with pooling, # ms late") > 80
    assert value("without pooling, trained on shifted words, # ms late") > 80


def check_recurrent(value: Callable[[str], float]) -> None:
    """The gradient of the RNN vanishes and it guesses; gates carry the word over a pause."""
    assert value("RNN, before training") < 1e-6 < value("GRU, before training")
    assert value("RNN, pause of # s") < 60
    assert value("GRU, pause of # s") > 80
    assert value("left of it in the unit that keeps most") > 90


def check_overfitting(value: Callable[[str], float]) -> None:
    assert value("tiny, training clips") < 95 < value("large, training clips")
    assert value("large, held-out clips") < value("pooled, held-out clips") - 20
    assert value("nothing, training loss at the end") < 0.1 < 1 < value("nothing, held-out loss at the end")


def check_fooling(value: Callable[[str], float]) -> None:
    """What is made against the network does far more harm than noise of the same strength."""
    assert value("right") > 90
    assert value("20 dB, made against the network") < 30 < 80 < value("20 dB, white noise")
    assert value("up, network with an unknown label") < value("up, network of four words") - 50


CLAIMS = {
    "trimming": check_trimming,
    "loading": check_loading,
    "convolution": check_convolution,
    "recurrent": check_recurrent,
    "overfitting": check_overfitting,
    "fooling": check_fooling,
}


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_prints_what_is_kept_and_draws_what_its_page_shows(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = run_lesson(name, tmp_path, monkeypatch, capsys)
    kept = committed(name)
    assert labels(printed) == labels(kept)
    far = [pair for pair in zip(printed.splitlines(), kept.splitlines(), strict=True) if not is_near(*pair)]
    assert far == []
    if name in CLAIMS:
        CLAIMS[name](lambda label: first_number(printed, label))
    shown = set(re.findall(r"\]\(pictures/(.+?)\)", page_of(name)))
    assert shown == {path.name for path in tmp_path.iterdir()}
    assert shown <= {path.name for path in (LEARN / "pictures").iterdir()}


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", ["spectrogram", "loading"])
def test_a_folder_without_the_words_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(LEARN))
    monkeypatch.setattr("sys.argv", [f"{name}.py", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"expected training clips as .+_nohash_N\.wav, found none"):
        runpy.run_path(str(LEARN / f"{name}.py"), run_name="__main__")


@pytest.mark.parametrize("name", LESSONS)
def test_a_page_quotes_its_script_and_its_output(name: str) -> None:
    page, script = page_of(name), (LEARN / f"{name}.py").read_text(encoding="utf-8")
    output = committed(name, "-clips")
    for block in blocks(page, "python"):
        assert block in script
    for block in blocks(page, "text"):
        assert block in output
    assert labels(output) == labels(committed(name))


@pytest.mark.parametrize("name", LESSONS)
def test_every_exact_number_of_a_page_was_printed(name: str) -> None:
    """Numbers with a decimal point and percentages, outside code; what is computed in an answer says so by =."""
    page = re.sub(r"^```.+?^```|`[^`]*`|= [\d.]+", "", page_of(name), flags=re.DOTALL | re.MULTILINE)
    exact = re.findall(r"(?<![\w.])\d+\.\d+(?![\w.])|\d[\d,]*(?= %)", page)
    printed = committed(name) + committed(name, "-clips") + (LEARN / f"{name}.py").read_text(encoding="utf-8")
    numbers = {number.replace(",", "").lstrip("-") for number in NUMBER.findall(printed)}
    assert {number for number in exact if number.replace(",", "") not in numbers} == set()


def test_the_index_names_every_lesson_in_order() -> None:
    linked = re.findall(r"^\| \d \| \[.+?\]\((\w+)\.md\)", page_of("index"), re.MULTILINE)
    assert tuple(linked) == LESSONS
    assert {path.stem for path in LEARN.glob("*.md")} == {"index", *LESSONS}
