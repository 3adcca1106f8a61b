"""One writer for a folder: the second one hears who the first is.

The system itself releases the lock when its holder ends, however it ends, so nothing has to be cleared
after a kill. It holds between processes of one computer, and on network file systems that pass locks on, as
NFS does from version 4. Where a file system knows no locks there is none, and a warning says so.
"""

from __future__ import annotations

import errno
import json
import os
import shlex
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from speechcmd.errors import BusyError, printable
from speechcmd.files import remove_leftovers, write_text
from speechcmd.json_toml import parse_json

LOCK_NAME = ".speechcmd-lock"
HOLDER_NAME = ".speechcmd-holder"
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}
_COMMAND_LETTERS = 200  # of the holder's command, in a message


@contextmanager
def lock_folder(folder: Path, *, wait_s: float = 0.0) -> Iterator[None]:
    """Be the only one who writes in a folder; parts that killed writers left there are removed.

    The folder is made if it is not there, and goes again if nothing came into it. Within one process two
    blocks exclude each other too.

    Parameters
    ----------
    wait_s
        How long to wait for another one to end.

    Raises
    ------
    BusyError
        If another process holds it.
    OSError
        If nothing can be written there.
    """
    was_there = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _held(folder / LOCK_NAME, folder / HOLDER_NAME, folder, wait_s):
            remove_leftovers(folder)
            yield
    finally:
        if not was_there:
            with suppress(OSError):  # it is not empty
                folder.rmdir()


@contextmanager
def lock_name(path: Path) -> Iterator[None]:
    """Be the only one who makes a file or folder, where a part of known name lies beside it meanwhile.

    Raises
    ------
    BusyError
        If another process makes it.
    OSError
        If nothing can be written beside it.
    """
    if path.name in ("", ".."):
        path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    lock, holder = (path.with_name(f".{path.name}{name}") for name in (LOCK_NAME, HOLDER_NAME))
    with _held(lock, holder, path, 0.0):
        remove_leftovers(path.parent, of=path.name)
        yield


@contextmanager
def _held(lock: Path, holder: Path, what: Path, wait_s: float) -> Iterator[None]:
    from filelock import FileLock, Timeout

    with ExitStack() as stack:
        try:
            stack.enter_context(FileLock(lock, timeout=wait_s, thread_local=False))
        except Timeout:
            raise BusyError(what, _describe_holder(holder)) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            warnings.warn(
                f"{printable(str(what))}: this file system has no locks ({error.strerror}); see to it that "
                "no other process writes there",
                stacklevel=4,
            )
        write_text(holder, json.dumps(_own_description()) + "\n", errors="surrogateescape", sync=False)
        try:
            yield
        finally:
            # while it is held: whoever waits for it sees that the file is gone, and begins anew
            for file in (holder, lock):
                with suppress(OSError):  # Windows removes no open file; filelock does it there
                    file.unlink(missing_ok=True)


def _own_description() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def _describe_holder(file: Path) -> str:
    """Who holds a lock, in words; the file may be missing for a moment, or hold anything."""
    try:
        found = parse_json(file.read_text(encoding="utf-8", errors="replace"))
        pid, host, command, since = (
            printable(str(found[name])) for name in ("pid", "host", "command", "since")
        )
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
    return f"process {pid} on {host} ({command[:_COMMAND_LETTERS]}) since {since}"
