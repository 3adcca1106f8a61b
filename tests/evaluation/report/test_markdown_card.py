"""The model card: valid Markdown, from measured figures only, and of this very model file."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from evaluation_results import MODEL, SHA256, clips_result, robustness_result, stream_result
from fakes import plain_card
from markdown_it import MarkdownIt
from markdown_it.token import Token

from speechcmd.errors import EvaluationError
from speechcmd.evaluation.report.markdown_card import escape_markdown, make_card
from speechcmd.runtime.model.card import DataSource, ModelCard

HOSTILE = "a|b <script>alert(1)</script> **x** [y](http://example.org) `z`\n# title"


def write(folder: Path, *results: dict[str, Any]) -> Path:
    for result in results:
        (folder / f"{result['kind']}.json").write_text(json.dumps(result))
    return folder


def card_of(folder: Path, *results: dict[str, Any], card: ModelCard | None = None) -> str:
    return make_card(card or plain_card(), MODEL, write(folder, *results))


def parse(text: str) -> list[Token]:
    assert text.startswith("---\n")
    return MarkdownIt("commonmark").enable("table").parse(text.split("---\n", 2)[2])


def sections_of(text: str) -> dict[str, str]:
    """Title of a heading -> what stands below it, down to the next heading."""
    parts = text.split("---\n", 2)[2].split("\n#")
    return {part.lstrip("# ").partition("\n")[0]: part.partition("\n")[2].strip() for part in parts}


def tables_in(tokens: list[Token]) -> list[list[list[str]]]:
    tables: list[list[list[str]]] = []
    for before, token in pairwise(tokens):
        if before.type == "table_open":
            tables.append([])
        if before.type == "tr_open":
            tables[-1].append([])
        if before.type in ("td_open", "th_open"):
            tables[-1][-1].append("".join(child.content for child in token.children or ()))
    return tables


def test_all_that_was_measured_is_in_the_card(tmp_path: Path) -> None:
    text = card_of(tmp_path, clips_result(), stream_result(), robustness_result())
    tables = tables_in(parse(text))
    cells = [cell for table in tables for row in table for cell in row]
    for figure in (
        "91.2 % of 2,000 clips recognised rightly (95 % interval 89.9–92.4 %)",
        "4.00 false accepts per hour as the model is set: 6 in 90 min (95 % interval 1.47–8.71)",
        "10.0 % of 240 words missed as the model is set (95 % interval 6.8–14.4 %)",
        "2.86 false accepts per hour without sentences that hold a homophone of a word (know, no): 4 in 84 min "
        "(95 % interval 0.78–7.32)",
        "210 ms median delay from the end of a word until it is reported; 95 % within 480 ms",
        "1.83 %",
        "80.0 % of 80",
        "largest gap",
        "without homophones",
        "not reached",
    ):
        assert figure in cells, figure
    assert ["noise: pink", "0 (signal-to-noise ratio, dB)", "67.5 %", "65.4–69.5 %", "2000"] in tables[-1]
    assert "not measured" not in "".join(cells)
    assert "not measured" not in sections_of(text).values()
    assert "    speechcmd clips -m 'toy model.onnx' --report out\n" in text
    assert all(len({len(row) for row in table}) == 1 for table in tables)
    headings = [token.tag for token in parse(text) if token.type == "heading_open"]
    assert headings[0] == "h1"
    assert set(headings[1:]) == {"h2", "h3"}


def test_what_was_not_measured_is_said_plainly(tmp_path: Path) -> None:
    sections = sections_of(card_of(tmp_path, clips_result(groups=[])))
    for title in (
        "Groups of speakers",
        "False accepts",
        "Words missed in noise",
        "Robustness",
        "Words missed and delay",
    ):
        assert sections[title] == "not measured", title
    assert "| recordings | not measured |" in sections["Figures"]
    missing = next(line for line in sections["Limits"].splitlines() if line.startswith("- Not measured: "))
    assert missing == (
        "- Not measured: groups of speakers, false accepts per hour, words missed in recordings, "
        "words missed by signal-to-noise ratio, delay, robustness."
    )


def test_a_stream_without_words_or_without_audio_beside_them(tmp_path: Path) -> None:
    silent, full = stream_result(n_words=0), stream_result()
    silent["points"][0]["overall"] |= {
        "n_words": 0,
        "false_reject_rate": None,
        "low": None,
        "high": None,
        "delay_ms": None,
    }
    assert sections_of(card_of(tmp_path, silent))["Words missed and delay"] == "not measured"
    for row in full["points"][0]["by_kind"]:
        row |= {"hours": 0.0, "false_accepts_per_hour": None, "fa_low": None, "fa_high": None}
    full["points"][0]["overall"] |= {"false_accepts_per_hour": None, "fa_low": None, "fa_high": None}
    sections = sections_of(card_of(tmp_path, full))
    assert sections["False accepts"] == "not measured"
    assert "false accepts per hour" in sections["Limits"]
    assert "No thresholds reach: 0.01 false accepts per hour." in sections["Limits"]


def test_the_thresholds_and_what_they_were_calibrated_to(tmp_path: Path) -> None:
    calibration = {
        "false_accepts_per_hour": 1, "confidence": 0.95, "n_events": 0, "hours": 3.0, "rate": 0.0,
        "low": 0.0, "high": 1.23,
    }  # fmt: skip
    card = plain_card(precision="int8", training={"calibration": calibration})
    text = card_of(tmp_path, clips_result(), card=card)
    assert "| network | tones, 24 parameters, int8 |" in text
    promise = "for 1 false accept per hour with 95 % confidence: 0 in 3.00 h are 0.00 per hour, 95 % interval 0.00 to 1.23"
    assert f"| calibrated | {promise} |" in text
    assert "| calibrated | no |" in card_of(tmp_path, clips_result())


def test_misses_at_each_rate_of_false_accepts(tmp_path: Path) -> None:
    text = card_of(tmp_path, stream_result())
    (rows,) = (
        table for table in tables_in(parse(text)) if table[0][:2] == ["false accepts per hour", "counted"]
    )
    assert rows[1:3] == [
        ["as the model is set", "2.86 (4 in 1.40 h)", "0.78–7.32", "10.0 % of 240", "6.8–14.4 %", "5.0 % of 120", "2.3–10.5 %"],
        ["0.5", "0.00 (0 in 1.40 h)", "0.00–2.63", "10.0 % of 240", "6.8–14.4 %", "5.0 % of 120", "2.3–10.5 %"],
    ]  # fmt: skip
    assert rows[-1] == ["0.01", "not reached", "–", "–", "–", "–", "–"]
    assert (
        "5.0 % of the 120 words at 10 dB signal to noise or better missed (95 % interval 2.3–10.5 %)" in text
    )


def test_words_with_few_clips_and_the_mean_over_all(tmp_path: Path) -> None:
    result = clips_result(n_each=20)
    result["source"]["task"] = "35"
    text = card_of(tmp_path, result)
    assert (
        "- Recall is known roughly only where there are fewer than 30 clips: yes 20, no 20, up 20, " in text
    )
    # 4, 7 and 8 times 10 of 20 clips are wrong
    mean = (16 + 13 + 8 * 10) / 20 / 10
    assert f"| clips with one word | {100 * mean:.1f} % mean recall of the words, each counted once |" in text
    assert "fewer than 30 clips" not in card_of(tmp_path, clips_result())
    assert "mean recall of the words" not in card_of(tmp_path, clips_result())


def test_what_one_voice_does_not_tell_is_a_limit(tmp_path: Path) -> None:
    result = clips_result()
    result["source"]["voices"] = "one voice (anna): figures say nothing about other people"
    assert "- Voices: one voice (anna): figures say nothing about other people." in card_of(tmp_path, result)
    trained = plain_card(training={"voices": "2 voices (anna, ben): nothing"})
    assert "- Voices: 2 voices (anna, ben): nothing." in card_of(tmp_path, clips_result(), card=trained)


def test_other_words_are_listed(tmp_path: Path) -> None:
    sections = sections_of(card_of(tmp_path, clips_result()))
    table = sections["Other words kept apart from the commands: mean of the words 78.0 %"]
    assert "| on | 30 | 40.0 % |\n| bed | 12 | 100.0 % |" in table


def test_an_unmeasured_calibration_is_said_to_be_so(tmp_path: Path) -> None:
    result = clips_result()
    result["calibration"]["ece"] = None
    assert sections_of(card_of(tmp_path, result))["Calibration of the score"] == "not measured"


def test_the_front_matter_is_what_the_hub_reads(tmp_path: Path) -> None:
    lines = card_of(tmp_path, clips_result()).split("---\n")[1].splitlines()
    assert lines[:4] == [
        "license: apache-2.0",
        "library_name: speechcmd",
        "pipeline_tag: audio-classification",
        "tags:",
    ]
    assert lines[-2:] == ["metrics:", "- accuracy"]
    other = card_of(tmp_path, clips_result(), card=plain_card(licence='mine: "x"\n---'))
    assert other.splitlines()[1:4] == [
        "license: other",
        r'license_name: "mine: \"x\"\n---"',
        "library_name: speechcmd",
    ]
    assert "metrics:" not in card_of_stream_only(tmp_path)


def card_of_stream_only(folder: Path) -> str:
    (folder / "clips.json").unlink()
    return card_of(folder, stream_result())


def test_names_that_are_markup_are_shown_as_they_are(tmp_path: Path) -> None:
    labels = (HOSTILE, "yes")
    card = plain_card(
        name=HOSTILE, labels=labels, measured_on=HOSTILE, data=(DataSource(HOSTILE, HOSTILE, HOSTILE),)
    )
    result = clips_result(labels)
    result["command"] = result["source"]["path"] = result["groups"][0]["column"] = HOSTILE
    text = card_of(tmp_path, result, stream_result(labels), card=card)
    tokens = parse(text)
    inner = [child.type for token in tokens for child in token.children or ()]
    assert not {"html_inline", "strong_open", "link_open"} & set(inner)
    assert "html_block" not in {token.type for token in tokens}
    shown = HOSTILE.replace("\n", " ")
    assert [table for table in tables_in(tokens) if any(shown in row[0] for row in table)]
    assert all(len({len(row) for row in table}) == 1 for table in tables_in(tokens))
    (code,) = {token.content.strip() for token in tokens if token.type == "code_block"} - {
        stream_result()["command"]
    }
    assert code == shown


def test_escaping_leaves_plain_text_alone() -> None:
    assert escape_markdown("yes 93.6 % (95 %) – 0.5") == "yes 93.6 % (95 %) – 0.5"
    assert escape_markdown("_silence_|\x1b[0m") == r"\_silence\_\| \[0m"


def test_results_of_another_model_file_are_refused(tmp_path: Path) -> None:
    other = stream_result()
    other["model"]["sha256"] = "ee" * 32
    with pytest.raises(EvaluationError) as caught:
        card_of(tmp_path, clips_result(), other)
    assert str(caught.value) == (
        f"{tmp_path}/stream.json: measured on another model file than toy (sha256 eeeeeeeeeeee, expected "
        f"{SHA256[:12]}); measure this one into a folder of its own"
    )


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"found none; make one with"):
        card_of(tmp_path)


def test_a_damaged_result_is_refused(tmp_path: Path) -> None:
    result = clips_result()
    del result["by_label"]
    with pytest.raises(
        EvaluationError, match=r"clips\.json: not a result .*by_label: expected a list, got nothing"
    ):
        card_of(tmp_path, result)
