"""The one way to write a file or a folder: it appears whole, or what was there before stays.

Content goes into a new file beside its place, `.NAME.0123456789abcdef.speechcmd-part`, is flushed to the
disk and renamed. Nobody can foresee that name, and nothing that has it already is opened, neither a file of
the user nor a symbolic link that somebody planted. A writer that fails or is interrupted removes its part;
one that is killed leaves it. A living writer holds a lock on its part: by that `remove_leftovers` tells them
apart.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, TextIO

try:
    import fcntl
except ImportError:  # Windows: there an open file cannot be removed, which protects a living writer's part
    fcntl = None  # type: ignore[assignment]

PART_SUFFIX = ".speechcmd-part"
_PART = re.compile(rf"\.(?P<name>.*)\.[0-9a-f]{{16}}{re.escape(PART_SUFFIX)}", re.DOTALL)
_NAME_LETTERS = 50  # of the target's in a part's: a name has at most 255 bytes, a letter up to four


@contextmanager
def open_binary(path: Path, *, follow: bool = False, sync: bool = True) -> Iterator[BinaryIO]:
    """Yield a file for bytes that takes the place of `path` when the block ends without an error.

    A new file gets the permissions of any new file, one that replaces another keeps that one's. Of two
    writers of one path each writes a whole file, and that of the last one stays.

    Parameters
    ----------
    follow
        For a path that the user gave. A symbolic link stays one: the file that it leads to is replaced. A
        device or a pipe is written to directly, for it must not be replaced. Parts of this file that killed
        writers left are removed; in folders of our own that is done once, by whoever opens the folder.
        Otherwise a link or a pipe gives way, for somebody else may have put it there.
    sync
        Flush to the disk before the file is renamed, so that not even a power failure leaves half of it.
        False for files that are many and can be made again.

    Raises
    ------
    OSError
        If the file cannot be written, or is a folder.
    """
    target = _target_of(path) if follow else path
    if follow and _must_stay(target):
        with target.open("ab") as file:
            yield file
        return
    if follow:
        remove_leftovers(target.parent, of=target.name)
    with _replacing(target, sync, "xb") as new:
        yield new


@contextmanager
def open_text(
    path: Path, *, errors: str = "strict", follow: bool = False, sync: bool = True
) -> Iterator[TextIO]:
    r"""The same for text: UTF-8, lines end with \n on every system.

    What is written directly goes out line by line. `errors` as in `open`: "surrogateescape" where the text
    may hold names of files, which may be any bytes.
    """
    target = _target_of(path) if follow else path
    if follow and _must_stay(target):
        with target.open("a", encoding="utf-8", errors=errors, newline="\n", buffering=1) as file:
            yield file
        return
    if follow:
        remove_leftovers(target.parent, of=target.name)
    with _replacing(target, sync, "x", encoding="utf-8", errors=errors, newline="\n") as new:
        yield new


def write_bytes(path: Path, content: bytes, *, follow: bool = False, sync: bool = True) -> None:
    """Write a file of bytes whole or not at all; see `open_binary`."""
    with open_binary(path, follow=follow, sync=sync) as file:
        file.write(content)


def write_text(
    path: Path, text: str, *, errors: str = "strict", follow: bool = False, sync: bool = True
) -> None:
    """Write a file of text whole or not at all; see `open_text`."""
    with open_text(path, errors=errors, follow=follow, sync=sync) as file:
        file.write(text)


@contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """Yield a new folder on the disk of `beside`, removed at the end with all that is left in it.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    number, folder = _new_scratch(beside)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if number >= 0:
            os.close(number)


@contextmanager
def whole_folder(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `path` when the block ends without an error.

    Raises
    ------
    OSError
        If it cannot be made or put in place.
    """
    with scratch_folder(path) as scratch:
        new = scratch / path.name
        new.mkdir()
        yield new
        if sync:
            _sync_tree(new)
        replace_folder(new, path)


def place_file(file: Path, target: Path) -> None:
    """Flush a finished file of the same disk and rename it to `target`, whose permissions are kept.

    Raises
    ------
    OSError
        If it cannot be renamed.
    """
    with _told_of(target):
        with file.open("rb+") as handle:
            _keep_mode(handle.fileno(), target)
            os.fsync(handle.fileno())
        file.replace(target)
    sync_folder(target.parent)


def replace_folder(source: Path, target: Path) -> None:
    """Rename a folder into place; an older one there goes only after the new one stands.

    Raises
    ------
    OSError
        If it cannot be renamed; the older one is back in its place then.
    """
    if not target.exists():
        source.rename(target)
    else:
        with scratch_folder(target) as scratch:
            old = scratch / target.name
            target.rename(old)
            try:
                source.rename(target)
            except BaseException:
                old.rename(target)
                raise
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, where the system can: a rename is then there to stay."""
    if not fcntl:
        return
    with suppress(OSError):  # some network file systems refuse
        number = os.open(folder, os.O_RDONLY)  # a folder has no other way
        try:
            os.fsync(number)
        finally:
            os.close(number)


def open_in_place(path: Path | str, flags: int) -> int:
    """Open a file that has a known name, to go on with it, and never follow a link there.

    Returns a file descriptor; `flags` as in `os.open`.

    Raises
    ------
    OSError
        If it cannot be opened, or is a symbolic link.
    """
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0), 0o666)


def is_part(name: str) -> bool:
    """Whether a file or folder of this name is what a writer has begun."""
    return _PART.fullmatch(name) is not None


def remove_leftovers(folder: Path, of: str | None = None) -> int:
    """Remove parts that killed writers left in a folder, and return how many.

    Parts of living writers stay. Nothing else is touched; a folder that cannot be read has none.

    Parameters
    ----------
    of
        Only parts of the file or folder of this name.
    """
    begun = None if of is None else of[:_NAME_LETTERS]
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError:
        return 0
    parts = [name for name in names if (match := _PART.fullmatch(name)) and begun in (None, match["name"])]
    return sum(_remove_if_left(folder / name) for name in parts)


def _target_of(path: Path) -> Path:
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _must_stay(target: Path) -> bool:
    """Whether there is something that another file must not take the place of."""
    try:
        there = target.stat()
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(there.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    return not stat.S_ISREG(there.st_mode)


@contextmanager
def _replacing(target: Path, sync: bool, mode: str, **form: Any) -> Iterator[Any]:
    with _told_of(target):
        file = _new_part(target, mode, form)
    part = Path(file.name)
    try:
        with file:
            _keep_mode(file.fileno(), target)
            yield file
            with _told_of(target):
                file.flush()
                if sync:
                    os.fsync(file.fileno())
                if fcntl:
                    part.replace(target)  # before it is closed, which ends the lock on it
        if not fcntl:
            with _told_of(target):
                part.replace(target)
    finally:
        with suppress(OSError):  # it would hide the error that says more
            part.unlink(missing_ok=True)
    if sync:
        sync_folder(target.parent)


@contextmanager
def _told_of(target: Path) -> Iterator[None]:
    """Let errors name the file that was asked for, not its part."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(target), None
        raise


def _new_part(target: Path, mode: str, form: dict[str, Any]) -> IO[Any]:
    """Open a part of `target`, and hold it."""
    while True:
        part = _part_of(target)
        file: IO[Any] = open(str(part), mode, opener=open_in_place, **form)  # noqa: SIM115  # returned open
        try:
            if _hold(file.fileno(), part):
                return file
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        file.close()  # whoever looks for leftovers was between the two lines, and has removed it


def _new_scratch(beside: Path) -> tuple[int, Path]:
    """Make a folder and hold it; returns what holds it, -1 where a folder cannot be."""
    while True:
        folder = _part_of(beside)
        folder.mkdir()
        if not fcntl:
            return -1, folder
        try:
            number = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue
        if _hold(number, folder):
            return number, folder
        os.close(number)


def _part_of(target: Path) -> Path:
    return target.with_name(f".{target.name[:_NAME_LETTERS]}.{secrets.token_hex(8)}{PART_SUFFIX}")


def _hold(number: int, part: Path) -> bool:
    """Show others that the writer of this part lives; False if one of them took it for left."""
    if not fcntl:
        return True
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks: nobody can take it for left
    try:
        return os.path.samestat(os.fstat(number), part.lstat())
    except FileNotFoundError:
        return False


def _remove_if_left(part: Path) -> bool:
    """Remove a part, but for one that somebody holds."""
    number = -1
    try:
        if fcntl:
            number = open_in_place(part, os.O_RDONLY | os.O_NONBLOCK)
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if fcntl and part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink()
    except OSError:
        return False  # its writer lives, or it is not ours to remove
    finally:
        if number >= 0:
            os.close(number)
    return True


def _keep_mode(number: int, target: Path) -> None:
    if not fcntl:
        return
    with suppress(OSError):  # there is none, or a file system without permissions
        there = target.lstat().st_mode
        if stat.S_ISREG(there):
            os.fchmod(number, stat.S_IMODE(there) & 0o777)


def _sync_tree(folder: Path) -> None:
    for place, _, names in os.walk(folder):
        for name in names:
            with (Path(place) / name).open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(place))
