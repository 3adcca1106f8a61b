"""Draw docs/pictures/live-view.svg: what a terminal shows while `speechcmd listen` hears the example.

usage: python docs/live_view_picture.py     (needs tmux)

The live view runs in a real terminal of 80 columns, which tmux keeps; rich turns its text and colours into a
picture.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs/pictures/live-view.svg"
COLUMNS, LINES = 80, 16
SHOWN_AFTER = "down"  # the screen is taken when this word has been heard
MOST_S = 60.0
SESSION = "speechcmd-picture"
SHOWN_COMMAND = "speechcmd listen"


def screen_with(word: str) -> str:
    """The terminal's text, with its colours, as soon as a word stands in it."""
    listen = [
        sys.executable,
        "-m",
        "speechcmd",
        "listen",
        "--realtime",
        "--input-file",
        "examples/commands.flac",
    ]
    new = [
        "tmux",
        "-L",
        SESSION,
        "new-session",
        "-d",
        "-x",
        str(COLUMNS),
        "-y",
        str(LINES),
        shlex.join(listen),
    ]
    subprocess.run(new, cwd=ROOT, check=True)
    try:
        ends = time.monotonic() + MOST_S
        while time.monotonic() < ends:
            time.sleep(0.05)
            screen = subprocess.run(
                ["tmux", "-L", SESSION, "capture-pane", "-e", "-p"],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            if re.search(rf"\d\d:\d\d:\d\d.*{word}", screen):
                return screen
        raise SystemExit(f"{word} was not heard within {MOST_S:.0f} s")
    finally:
        subprocess.run(["tmux", "-L", SESSION, "kill-server"], check=False)


def picture_of(screen: str) -> str:
    """An SVG picture of a terminal, which fetches nothing."""
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi(screen.rstrip("\n")))
        svg = console.export_svg(title=SHOWN_COMMAND, unique_id="live")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    PICTURE.write_text(picture_of(screen_with(SHOWN_AFTER)), encoding="utf-8")
