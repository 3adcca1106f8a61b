"""The command blocks of the pages: what the comment before each says, and how a test runs it.

`<!-- run in: FOLDER -->` runs the block in a copy of a prepared folder, which all blocks of a page share;
`<!-- not run: REASON -->` says why not; `<!-- file: NAME -->` puts the block into the folders as a file;
`<!-- output -->` is what the block before prints, in part.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from speechcmd.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("bash", "python", "toml", "text")
_BLOCK = re.compile(r"(?:^<!-- ([^\n]+?) -->\n)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SHELL = re.compile(r"[|<>&;$*]")
# a training of seconds; what a page gives itself comes before and is overridden
# fmt: off
TINY_TRAINING = (
    "--epochs", "1", "--batch-size", "16", "--threads", "1", "--device", "cpu", "--set", "patience=1",
)
TINY_CNN = ("--model", "channels=[4,8,12]", "--model", "width=16", "--model", "dilations=[1]")
# fmt: on
QUICK = {
    "prepare": ("--workers", "1"),
    "transcribe": ("--jobs", "1"),
    "evaluate-stream": ("--jobs", "1", "--offsets", "20"),
    "calibrate": ("--jobs", "1", "--false-accepts-per-hour", "9000"),  # of a minute, by a network of seconds
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    comment: str
    language: str
    text: str

    @property
    def folder(self) -> str | None:
        """The prepared folder that it runs in, if it does."""
        found = re.match(r"run in: ([\w-]+)", self.comment)
        return found[1] if found else None

    @property
    def file(self) -> str | None:
        """The name of the file that it is, if it is one."""
        found = re.match(r"file: (\S+)", self.comment)
        return found[1] if found else None

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """README, CONTRIBUTING and all pages but the lessons, which have scripts and tests of their own."""
    below = [path for path in sorted((ROOT / "docs").rglob("*.md")) if "learn" not in path.parts]
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *below]


def blocks_of(page: Path) -> list[Block]:
    """Bash, Python and TOML blocks of a page in their order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            str(page.relative_to(ROOT)),
            text.count("\n", 0, found.start()) + 1,
            found[1] or "",
            found[2],
            found[3],
        )
        for found in _BLOCK.finditer(text)
        if found[2] in LANGUAGES
    ]


def run_block(block: Block, folder: Path, names: dict[str, object]) -> str:
    """Run a block in a folder that is the working directory, and return what its commands print.

    An AssertionError says what failed.
    """
    if block.language == "python":
        exec(compile(block.text, block.where, "exec"), dict(names))
        return ""
    printed = ""
    for line in commands_of(block.text):
        words = shlex.split(line, comments=True)
        if words[0] == "speechcmd" and not _SHELL.search(without_strings(line)):
            result = CliRunner().invoke(cli, [*words[1:], *tiny(words)])
            assert result.exit_code == 0, f"{block.where}: {line}\n{result.output}\n{result.exception!r}"
            printed += result.output
        else:
            printed += run_in_shell(block, line, folder)
    return printed


def run_in_shell(block: Block, line: str, folder: Path) -> str:
    bin_folder = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", line], cwd=folder, env=environment, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{block.where}: {line}\n{done.stdout}{done.stderr}"
    return done.stdout


def commands_of(text: str) -> list[str]:
    """The commands of a block, a line each; a backslash at the end of a line joins it with the next."""
    joined = text.replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def without_strings(line: str) -> str:
    """A command without what stands in quotes and without its comment: what the shell would see of it."""
    return re.sub(r"'[^']*'|\"[^\"]*\"", "", line).partition(" #")[0]


def tiny(words: list[str]) -> tuple[str, ...]:
    """What makes a command quick: a training of seconds, no processes."""
    if words[1] != "train":
        return QUICK.get(words[1], ())
    is_cnn = "--architecture" not in words or words[words.index("--architecture") + 1] == "cnn"
    return (*TINY_TRAINING, *(TINY_CNN if is_cnn else ()))
