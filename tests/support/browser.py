"""A headless Chromium, driven over a pipe; it has no network, and leaves no process and no file behind."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Self

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE_S = 30.0
_ANSWERS = {"Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled", "Network.loadingFailed"}
_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # the tests run as root in containers
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--mute-audio",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
    "about:blank",
)


class Browser:
    """One page of one browser. Commands are those of the DevTools protocol."""

    def __init__(self, folder: Path) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._received = b""
        self._n_sent = 0
        self._seen: set[str] = set()
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()

        def connect() -> None:  # the browser reads from 3 and writes to 4
            ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_browser, from_browser)]
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self._process = subprocess.Popen(
            [str(PROGRAM), f"--user-data-dir={folder}", *_FLAGS],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            close_fds=False, preexec_fn=connect, start_new_session=True,
            env=os.environ | {"HOME": str(folder)},
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)

    def __enter__(self) -> Self:
        targets = self.send("Target.getTargets")["targetInfos"]
        target = next(target["targetId"] for target in targets if target["type"] == "page")
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=PATIENCE_S)
        os.close(self._write)
        os.close(self._read)

    def open(self, path: Path, width_px: int) -> None:
        """Show a page at a width, and wait until it is loaded."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width_px, height=800, deviceScaleFactor=1, mobile=width_px < 600,
        )  # fmt: skip
        self._seen.discard("Page.loadEventFired")
        self.ask("Page.navigate", url=path.as_uri())
        while "Page.loadEventFired" not in self._seen:
            self._take(self._receive(time.monotonic() + PATIENCE_S))

    def evaluate(self, expression: str) -> Any:
        """Value of an expression, which may be a promise."""
        answer = self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def screenshot(self) -> bytes:
        """The whole page as PNG."""
        shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def ask(self, method: str, **params: Any) -> Any:
        """Send a command to the page."""
        return self.send(method, self._session, **params)

    def send(self, method: str, session: str | None = None, **params: Any) -> Any:
        """Send a command and wait for its answer."""
        self._n_sent += 1
        message = {"id": self._n_sent, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        end_s = time.monotonic() + PATIENCE_S
        while True:
            answer = self._receive(end_s)
            if answer.get("id") == self._n_sent:
                assert "error" not in answer, f"{method}: {answer}"
                return answer["result"]
            self._take(answer)

    def _receive(self, end_s: float) -> dict[str, Any]:
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._read], [], [], max(0.0, end_s - time.monotonic()))
            assert ready, f"the browser said nothing for {PATIENCE_S:g} s"
            received = os.read(self._read, 2**20)
            assert received, f"the browser ended with {self._process.poll()}"
            self._received += received
        message, _, self._received = self._received.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer

    def _take(self, event: dict[str, Any]) -> None:
        method = event.get("method", "")
        self._seen.add(method)
        if method in _ANSWERS:
            self.complaints.append(json.dumps(event["params"])[:300])
        if method == "Network.requestWillBeSent":
            self.requests.append(event["params"]["request"]["url"])
