"""Downloading: resumed, verified, and never a half folder or a file outside of it."""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from data_prep.download import Archive, download_speech_commands, find_archive
from speechcmd.errors import CorpusError, DependencyError

COUNTS = {"training": 2, "validation": 1, "testing": 1}
CLIPS = ("yes/a_nohash_0.wav", "no/b_nohash_0.wav", "no/c_nohash_0.wav", "yes/d_nohash_0.wav")


class Server(ThreadingHTTPServer):
    """Serves one body; may break off, may ignore Range, remembers what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = b""
        self.break_after: int | None = None
        self.knows_range = True
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/corpus.tar.gz"

    def archive(self, counts: dict[str, int] | None = COUNTS) -> Archive:
        return Archive(self.url, hashlib.sha256(self.body).hexdigest(), counts)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path.endswith(".missing"):
            self.send_error(404)
            return
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.knows_range else 0
        body = self.server.body[begin:]
        if begin and not body:
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.break_after])

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        running.body = make_tar()
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def make_tar(*extra: tarfile.TarInfo) -> bytes:
    noise = np.random.default_rng(0).bytes(3000)  # does not compress, so that breaking off means something
    members = dict.fromkeys((*CLIPS, "_background_noise_/hum.wav"), noise)
    members["validation_list.txt"] = b"no/b_nohash_0.wav\n"
    members["testing_list.txt"] = b"no/c_nohash_0.wav\n"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in extra:
            tar.addfile(info, io.BytesIO(b"x" * info.size))
    return packed.getvalue()


def leftovers(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "SpeechCommands").iterdir())


def test_complete_download_is_unpacked_into_place(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    folder = download_speech_commands(
        tmp_path, progress=lambda *here: seen.append(here), archive=server.archive()
    )
    assert folder == tmp_path / "SpeechCommands" / "speech_commands_v0.02"
    assert {path.relative_to(folder).as_posix() for path in folder.glob("[a-z]*/*.wav")} == set(CLIPS)
    assert leftovers(tmp_path) == ["speech_commands_v0.02"]
    assert seen[-1] == (len(server.body), len(server.body))


def test_existing_folder_is_used_as_it_is(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "SpeechCommands" / "speech_commands_v0.02"
    folder.mkdir(parents=True)
    assert download_speech_commands(tmp_path, archive=server.archive()) == folder
    assert server.ranges == []


@pytest.mark.parametrize("knows_range", [True, False])
def test_cut_connection_leaves_part_and_goes_on(server: Server, tmp_path: Path, knows_range: bool) -> None:
    server.break_after = 1000
    server.knows_range = knows_range
    with pytest.raises(CorpusError, match=r"broke off.*run it again"):
        download_speech_commands(tmp_path, archive=server.archive())
    part = tmp_path / "SpeechCommands" / "speech_commands_v0.02.tar.gz.part"
    assert part.read_bytes() == server.body[:1000]
    server.break_after = None
    folder = download_speech_commands(tmp_path, archive=server.archive())
    assert server.ranges == [None, "bytes=1000-"]
    assert len(list(folder.glob("[a-z]*/*.wav"))) == len(CLIPS)
    assert leftovers(tmp_path) == ["speech_commands_v0.02"]


def test_complete_part_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    part = tmp_path / "SpeechCommands" / "speech_commands_v0.02.tar.gz.part"
    part.parent.mkdir()
    part.write_bytes(server.body)
    assert download_speech_commands(tmp_path, archive=server.archive()).is_dir()
    assert server.ranges == [f"bytes={len(server.body)}-"]


def test_wrong_hash_leaves_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="expected SHA-256 0000, got"):
        download_speech_commands(tmp_path, archive=Archive(server.url, "0000"))
    assert leftovers(tmp_path) == []


def test_wrong_counts_leave_no_folder(server: Server, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"expected 3 training.*unpacked 2 training"):
        download_speech_commands(tmp_path, archive=server.archive({**COUNTS, "training": 3}))
    assert leftovers(tmp_path) == ["speech_commands_v0.02.tar.gz.part"]


def climbing_member() -> tarfile.TarInfo:
    info = tarfile.TarInfo("../../outside.txt")
    info.size = 1
    return info


def climbing_link(kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo("yes/link.wav")
    info.type = kind
    info.linkname = "../../../outside.txt"
    return info


@pytest.mark.parametrize(
    "member",
    [climbing_member(), climbing_link(tarfile.SYMTYPE), climbing_link(tarfile.LNKTYPE)],
    ids=["dots", "symbolic link", "hard link"],
)
def test_member_that_leaves_the_folder_is_refused(
    server: Server, tmp_path: Path, member: tarfile.TarInfo
) -> None:
    server.body = make_tar(member)
    root = tmp_path / "root"
    with pytest.raises(CorpusError, match="would leave its folder"):
        download_speech_commands(root, archive=server.archive())
    assert leftovers(root) == ["speech_commands_v0.02.tar.gz.part"]
    assert [path for path in tmp_path.rglob("*") if "outside" in path.name or "link" in path.name] == []


def test_no_tar_and_no_server_are_errors(server: Server, tmp_path: Path) -> None:
    server.body = b"no tar"
    with pytest.raises(CorpusError, match="expected a tar archive"):
        download_speech_commands(tmp_path, archive=server.archive())
    with pytest.raises(CorpusError, match="broke off"):
        download_speech_commands(tmp_path / "b", archive=Archive("http://127.0.0.1:9/x", "00"))


def test_server_that_lacks_the_file_is_named(server: Server, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="the server answers 404"):
        download_speech_commands(tmp_path, archive=Archive(f"{server.url}.missing", "00"))
    assert leftovers(tmp_path) == []


def test_part_longer_than_the_archive_is_deleted(server: Server, tmp_path: Path) -> None:
    server.body = b""
    part = tmp_path / "SpeechCommands" / "speech_commands_v0.02.tar.gz.part"
    part.parent.mkdir()
    part.write_bytes(b"too long")
    with pytest.raises(CorpusError, match="expected SHA-256"):
        download_speech_commands(tmp_path, archive=server.archive())
    assert leftovers(tmp_path) == []


def test_url_and_checksum_come_from_torchaudio() -> None:
    try:
        from torchaudio.datasets import speechcommands
    except (ImportError, OSError) as error:
        pytest.skip(f"torchaudio does not import beside this torch: {error}")
    for version in ("v0.01", "v0.02"):
        archive = find_archive(version)
        assert speechcommands._CHECKSUMS[archive.url] == archive.sha256
        assert version in archive.url
    assert find_archive("v0.02").counts == {"training": 84_843, "validation": 9_981, "testing": 11_005}


def test_missing_torchaudio_and_unknown_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"expected version v0.02 or v0.01, got 'v9'"):
        download_speech_commands(tmp_path, version="v9")
    monkeypatch.setitem(sys.modules, "torchaudio.datasets.speechcommands", None)
    with pytest.raises(DependencyError, match="pip install"):
        download_speech_commands(tmp_path)
