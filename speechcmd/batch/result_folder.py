"""A folder with one result a recording: the names of the files, and which of them are done already."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechcmd.batch.inputs import Recording
from speechcmd.errors import UsageError
from speechcmd.files import write_text
from speechcmd.json_toml import parse_json, read_json_table

SETTINGS_NAME = ".speechcmd.json"


def is_folder(output: str) -> bool:
    """Whether a path given for results is a folder, or is to become one."""
    return output.endswith((os.sep, os.altsep or os.sep)) or Path(output).is_dir()


@dataclass(frozen=True, slots=True)
class ResultFolder:
    """One result a recording: DIR/sub/b.flac.srt for sub/b.flac.

    The settings that they are made with are kept beside them, so that `--resume` never mixes results.
    A result counts as done if it is at least as new as its recording and as the settings.
    """

    path: Path
    suffix: str

    def results_of(self, recordings: Sequence[Recording]) -> list[Path]:
        """Where the result of each recording goes.

        Raises
        ------
        UsageError
            If two recordings would share a file, on this system or on one where case does not count.
        """
        owners: dict[str, tuple[str, Path]] = {}
        results = []
        for recording in recordings:
            result = self.path / f"{recording.name}{self.suffix}"
            owner, taken = owners.setdefault(str(result).casefold(), (recording.path, result))
            if owner != recording.path and recording.problem is None:
                where = f"{taken}" if taken == result else f"{taken} (but for upper and lower case)"
                raise UsageError(
                    f"{owner} and {recording.path} would both be written to {where}; "
                    "use a folder for each, or the folder above them as the argument"
                )
            results.append(result)
        return results

    def record_settings(self, settings: dict[str, Any], resume: bool) -> None:
        """Write the settings, unless they are there; other ones are replaced.

        Raises
        ------
        UsageError
            If a run that others were done before shall go on with other settings.
        """
        file = self.path / SETTINGS_NAME
        wanted = parse_json(json.dumps(settings))
        found = read_json_table(file)
        if found == wanted:
            return
        if resume and found:
            raise UsageError(
                f"{self.path} holds results of other settings ({_difference(found, wanted)}); "
                "use another folder, or leave out --resume to make all again"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(settings, indent=1) + "\n", follow=True)

    def is_done(self, recording: Recording, result: Path) -> bool:
        """Whether the result is there and newer than what it was made from."""
        try:
            made_ns, *sources_ns = (
                Path(file).stat().st_mtime_ns for file in (result, recording.path, self.path / SETTINGS_NAME)
            )
        except OSError:
            return False
        return made_ns >= max(sources_ns)


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    old, new = _flat(found), _flat(wanted)
    names = [name for name in {**new, **old} if old.get(name) != new.get(name)]
    return ", ".join(f"{name}: {_short(old.get(name))}, now {_short(new.get(name))}" for name in names)


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings within settings under one name: decoder default threshold."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name} ")
        else:
            flat[prefix + name] = value
    return flat


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
