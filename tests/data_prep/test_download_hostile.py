"""Downloading from a server that means harm: one line, nothing outside the folder, the disk not filled."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from data_prep import download
from data_prep.download import Archive, download_speech_commands
from speechcmd.errors import CorpusError

LIMIT = 100_000
ELSEWHERE = ("ftp://127.0.0.1/x", "file:///etc/passwd", "gopher://127.0.0.1/", "data:,x", "javascript:x")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    archive = b""

    def do_GET(self) -> None:
        what, _, number = self.path[1:].partition("/")
        try:
            getattr(self, f"send_{what}")(number)
        except OSError:  # the client has had enough
            self.close_connection = True

    def begin(self, status: int = 200, **headers: str) -> None:
        self.send_response(status, "OK")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def send_archive(self, _: str) -> None:
        self.begin(Content_Length=str(len(self.archive)))
        self.wfile.write(self.archive)

    def send_endless(self, _: str) -> None:
        self.begin()
        while True:
            self.wfile.write(b"x" * 10_000)

    def send_drip(self, _: str) -> None:
        self.begin(Content_Length="1000")
        for _byte in range(1000):
            self.wfile.write(b"x")
            time.sleep(0.02)

    def send_silent(self, _: str) -> None:
        self.begin(Content_Length="1000")
        time.sleep(0.5)

    def send_length(self, number: str) -> None:
        self.begin(Content_Length=number)
        self.wfile.write(b"x" * 50)

    def send_loop(self, _: str) -> None:
        self.begin(302, Location=self.path)

    def send_redirect(self, number: str) -> None:
        self.begin(302, Location=ELSEWHERE[int(number)])

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output quiet."""


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(download, "_TIMEOUT_S", 0.2)
    monkeypatch.setattr(download, "_MOST_BYTES", LIMIT)
    monkeypatch.setattr(download, "_MOST_UNPACKED_BYTES", LIMIT)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def refusal(root: Path, url: str) -> str:
    """The line with which a download ends that must fail."""
    with pytest.raises(CorpusError) as caught:
        download_speech_commands(
            root / "a", archive=Archive(url, hashlib.sha256(Handler.archive).hexdigest())
        )
    line = str(caught.value)
    assert line.isprintable()
    left = [path for path in root.rglob("*") if path.is_file()]
    assert {path.name for path in left} <= {"speech_commands_v0.02.tar.gz.part"}
    assert sum(path.stat().st_size for path in left) <= LIMIT
    assert [path.name for path in root.iterdir()] == ["a"]
    return line


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("endless", "expected at most 100,000 bytes"),
        ("length/100001", "expected at most 100,000 bytes"),
        ("length/99", "expected 99 bytes, got 50"),
        ("length/10", "expected SHA-256"),
        ("length/x", "expected SHA-256"),
        ("length/-5", "expected SHA-256"),
        ("drip", "bytes came in 0.2 s"),
        ("silent", "timed out"),
        ("loop", "the server answers 302"),
        *((f"redirect/{number}", "is not allowed") for number in range(1, len(ELSEWHERE))),
        ("redirect/0", "address of the web was expected"),
    ],
)
def test_a_bad_answer_is_one_line(address: str, tmp_path: Path, path: str, why: str) -> None:
    assert why in refusal(tmp_path, f"{address}/{path}")


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (member("../../../outside"), "would leave its folder"),
        (member("yes/x", tarfile.SYMTYPE, link="/etc/passwd"), "would leave its folder"),
        (member("yes/x", tarfile.SYMTYPE, link="../../../outside"), "would leave its folder"),
        (member("yes/x", tarfile.LNKTYPE, link="../../../outside"), "would leave its folder"),
        (member("yes/x", tarfile.CHRTYPE), "is a device"),
        (member("yes/x", tarfile.BLKTYPE), "is a device"),
        (member("yes/x", tarfile.FIFOTYPE), "is a device"),
        (member("yes/bomb", size=50_000_000), "expected at most 100,000 bytes unpacked"),
    ],
    ids=lambda given: given if isinstance(given, str) else f"{given.name} {given.type!r} {given.linkname}",
)
def test_a_bad_member_is_refused(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: tarfile.TarInfo, why: str
) -> None:
    monkeypatch.setattr(Handler, "archive", packed(bad))
    assert why in refusal(tmp_path, f"{address}/archive")


def test_many_empty_members_are_bounded(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handler, "archive", packed(*(member(f"yes/{number}") for number in range(30))))
    assert "bytes unpacked" in refusal(tmp_path, f"{address}/archive")


def test_an_absolute_name_stays_in_the_folder(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handler, "archive", packed(member(f"{tmp_path}/outside.wav", size=5)))
    archive = Archive(f"{address}/archive", hashlib.sha256(Handler.archive).hexdigest())
    folder = download_speech_commands(tmp_path / "a", archive=archive)
    assert [path for path in tmp_path.rglob("outside.wav") if not path.is_relative_to(folder)] == []


def test_an_archive_that_is_cut_short_is_one_line(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = packed(member("yes/a.wav", size=60_000))
    monkeypatch.setattr(Handler, "archive", whole[: len(whole) // 2])
    assert "unpack" in refusal(tmp_path, f"{address}/archive")


def packed(*members: tarfile.TarInfo) -> bytes:
    """A gzipped tar of members, whose contents are noise unless they are large."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for info in members:
            content = bytes(info.size) if info.size > LIMIT else bytes(i * i % 251 for i in range(info.size))
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()
