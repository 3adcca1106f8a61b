"""Sizes as people write them."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from speechcmd.cli.options.size import SizeType, parse_size

pytestmark = pytest.mark.runtime


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        ("300000", 300_000),
        ("200MB", 200_000_000),
        ("1.5 GB", 1_500_000_000),
        (" 2 kb ", 2_000),
        ("7B", 7),
        ("10k", 10_000),
        ("3T", 3_000_000_000_000),
        ("1KiB", 1_024),
        ("0.5 MiB", 524_288),
        ("0.1GB", 100_000_000),  # exactly: a float would give 100000000.00000001 and other sizes less
    ],
)
def test_sizes(text: str, n_bytes: int) -> None:
    assert parse_size(text) == n_bytes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "MB",
        "-1MB",
        "0",
        "0.4",
        "1,5GB",
        "1e6",
        "nan",
        "inf",
        "5 parsecs",
        "1 2",
        "٣MB",
        "9" * 15 + "TB",
        "9" * 5000,
    ],
)
def test_bad_sizes(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a size such as 200MB, 1\.5GB or 300000 \(bytes\), got "):
        parse_size(text)


@click.command()
@click.option("--limit", type=SizeType(), default=1000, show_default=True)
def command(limit: int) -> None:
    click.echo(limit)


def test_the_option() -> None:
    run = CliRunner().invoke
    assert run(command, ["--limit", "2 kB"]).output == "2000\n"
    assert run(command, []).output == "1000\n"
    assert "SIZE" in run(command, ["--help"]).output
    wrong = run(command, ["--limit", "much"])
    assert wrong.exit_code == 2
    assert "Invalid value for '--limit': expected a size such as 200MB" in wrong.output
