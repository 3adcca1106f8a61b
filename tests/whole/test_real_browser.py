"""The report in a real browser, at the width of a phone and of a desk; skipped where there is no Chromium."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import PROGRAM, Browser
from evaluation_results import LABELS, clips_result, read
from report_parts import HOSTILE, SOUNDS_S, leave_out_pictures, whole_report

from speechcmd.evaluation.report.report_folder import write_report
from speechcmd.runtime.recognition.recognizer import Recognizer

pytestmark = pytest.mark.skipif(
    os.name != "posix" or PROGRAM is None, reason="needs Chromium (Debian package chromium)"
)

PHONE_PX, SMALL_PHONE_PX, DESK_PX = 390, 360, 1280
SMALLEST_TEXT_PX = 9.0


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with everything on it, and a label that is not meant well."""
    return whole_report(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.mark.parametrize("width_px", [SMALL_PHONE_PX, PHONE_PX, DESK_PX])
def test_the_page_fits_its_width(page: Path, browser: Browser, width_px: int) -> None:
    browser.open(page, width_px)
    for unfolded in ("false", "true"):
        browser.evaluate(f"document.querySelectorAll('details').forEach(one => one.open = {unfolded})")
        inner_px, scroll_px = browser.evaluate("[innerWidth, document.documentElement.scrollWidth]")
        assert inner_px == width_px
        assert scroll_px <= width_px
    assert browser.evaluate(
        "[...document.querySelectorAll('.scroll')].some(one => one.scrollWidth > one.clientWidth)"
    )


def test_pictures_are_drawn_and_sounds_decode(page: Path, browser: Browser) -> None:
    browser.open(page, PHONE_PX)
    pictures = browser.evaluate(
        "[...document.images].map(one => [one.naturalWidth, one.alt.length, one.clientWidth])"
    )
    assert len(pictures) > 10
    assert all(natural > 0 and alt > 10 and shown > 200 for natural, alt, shown in pictures)
    durations_s = browser.evaluate(
        """Promise.all([...document.querySelectorAll('audio')].map(one => new Promise(resolve => {
            const check = () => resolve(one.error ? one.error.message : one.duration);
            if (one.readyState > 0 || one.error) return check();
            one.onloadedmetadata = check; one.onerror = check; one.load();
        })))"""
    )
    assert durations_s == pytest.approx(list(SOUNDS_S), abs=0.01)


def test_text_in_pictures_can_be_read_on_a_phone(page: Path, browser: Browser) -> None:
    browser.open(page, SMALL_PHONE_PX)
    sizes_px = browser.evaluate(
        """[...document.images].flatMap(one => {
            const svg = new DOMParser().parseFromString(atob(one.src.split(',')[1]), 'image/svg+xml');
            const scale = one.clientWidth / svg.documentElement.viewBox.baseVal.width;
            const texts = [...svg.querySelectorAll('text')];
            return texts.map(text => scale * parseFloat(/([\\d.]+)px/.exec(text.getAttribute('style'))[1]));
        })"""
    )
    assert len(sizes_px) > 100
    assert min(sizes_px) >= SMALLEST_TEXT_PX


def test_nothing_is_asked_of_the_network_and_nothing_complains(page: Path, browser: Browser) -> None:
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(page, DESK_PX)
    asked = {url.partition(":")[0] for url in browser.requests}
    assert page.as_uri() in browser.requests
    assert asked <= {"file", "data"}
    assert [url for url in browser.requests if url.startswith("file")] == [page.as_uri()]
    assert browser.complaints == []
    assert HOSTILE in browser.evaluate("document.body.textContent")  # shown, not obeyed


NAMES = (
    "toy",
    "stores/words",
    "0a7c2a8d",
    "age",
    "child",
    "bed",
    "yes",
    "made tones",
    "Apache-2.0",
    "a_nohash_0.wav",
    "tones",
)
PREFIXES = (
    "\"><script>console.error('run')</script>",
    "'><svg onload=console.error('run')>",
    "</title></style><iframe src=x>",
)


def spoil(text: str, prefix: str) -> str:
    """Results in which every name is one that is not meant well, also the address of a source."""
    for name in NAMES:
        text = text.replace(name, (prefix + name).replace("\\", "\\\\").replace('"', '\\"'))
    return text.replace("https://example.org", "javascript:console.error('run')")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_names_of_models_speakers_groups_and_folders_are_only_shown(
    page: Path, browser: Browser, tmp_path: Path, prefix: str
) -> None:
    for result in page.parent.glob("*.json"):
        (tmp_path / result.name).write_text(
            spoil(result.read_text(encoding="utf-8"), prefix), encoding="utf-8"
        )
    clips = json.loads(spoil(json.dumps(clips_result(LABELS)), prefix))
    with pytest.MonkeyPatch.context() as patch:
        leave_out_pictures(patch)
        spoilt = write_report(tmp_path, read(clips), [], Recognizer.load(page.parent / "toy.onnx"))
    browser.complaints.clear()
    browser.open(spoilt, DESK_PX)
    assert browser.complaints == []
    counts = browser.evaluate(
        """["script", "iframe", "svg[onload]", "[onerror]", "a[href^='javascript']"].map(
            what => document.querySelectorAll(what).length)"""
    )
    assert counts == [0] * 5
    shown = browser.evaluate("document.body.textContent")
    assert all(prefix + name in shown for name in ("toy", "0a7c2a8d", "age", "bed", "yes"))


def test_the_browser_would_complain(tmp_path: Path, browser: Browser) -> None:
    """A test that cannot fail is none: a missing picture, a script and a wide page are noticed."""
    bad = tmp_path / "bad.html"
    bad.write_text("<body style='width: 900px'><img src='http://example.org/x.png'><script>throw 1</script>")
    browser.complaints.clear()
    browser.open(bad, PHONE_PX)
    assert any("http://example.org/x.png" in url for url in browser.requests)
    assert len(browser.complaints) >= 2
    assert browser.evaluate("document.documentElement.scrollWidth") > PHONE_PX
