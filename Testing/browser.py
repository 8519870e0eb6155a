"""A headless Chromium, driven over two pipes by the DevTools protocol: no port, no package.

See https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Optional

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# What a page may take to open, in seconds, on a busy computer.
PATIENCE = 120.0


def find_browser() -> Optional[str]:
    """The path of a Chromium or Chrome; None where there is none, and on Windows, which has no such pipes."""
    if sys.platform == "win32":
        return None
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page of a headless browser.

    ``problems`` are the errors and warnings of the page's console, ``requests`` by number the addresses
    that it asked for, but for those in the page itself ("data:") and what its policy kept it from.
    """

    def __init__(self, executable: str):
        self.problems: List[str] = []
        self.requests: Dict[str, str] = {}
        self._folder = tempfile.mkdtemp()
        down, self._to = os.pipe()
        self._from, up = os.pipe()
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        options += ["--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking"]
        options += ["--force-color-profile=srgb", "--hide-scrollbars"]
        command = [executable, *options, f"--user-data-dir={self._folder}", "about:blank"]

        # Chromium reads commands from descriptor 3 and writes to 4.
        def descriptors() -> None:
            ours = os.dup(down), os.dup(up)
            os.dup2(ours[0], 3)
            os.dup2(ours[1], 4)

        self._process = subprocess.Popen(
            command,
            preexec_fn=descriptors,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(down)
        os.close(up)
        self._buffer, self._number, self._session = b"", 0, None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)
        shutil.rmtree(self._folder, ignore_errors=True)

    def call(self, method: str, **parameters) -> dict:
        """The answer to a command; events that arrive meanwhile are noted.

        :raises RuntimeError: the browser refuses, or says nothing any more.
        """
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def _next(self) -> dict:
        while b"\0" not in self._buffer:
            part = os.read(self._from, 1 << 20)
            if not part:
                raise RuntimeError("the browser has ended")
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(text)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, method: Optional[str], said: dict) -> None:
        if method == "Network.requestWillBeSent" and not said["request"]["url"].startswith("data:"):
            self.requests[said["requestId"]] = said["request"]["url"]
        elif method == "Network.loadingFailed" and said.get("blockedReason"):
            self.requests.pop(said["requestId"], None)
        elif method == "Runtime.exceptionThrown":
            details = said["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning", "assert"):
            self.problems.append(str([argument.get("value") for argument in said["args"]]))
        elif method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.problems.append(said["entry"]["text"])

    def open(self, path: Path, width: int = 1280, height: int = 900, scale: float = 1, phone=False) -> None:
        """Open a file, and wait until its script has made its pictures."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=phone,
        )
        self.call("Page.navigate", url=path.resolve().as_uri())
        end = time.monotonic() + PATIENCE
        ready = "document.readyState === 'complete' && !document.getElementById('viewer').hidden"
        while not self.run(f"Boolean({ready})"):
            if self.problems or time.monotonic() > end:
                raise RuntimeError(f"the page does not open: {self.problems}")
            time.sleep(0.05)

    def run(self, expression: str):
        """The value of a JavaScript expression in the page; of a promise, what it gives.

        :raises RuntimeError: it fails.
        """
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    def drawn(self) -> None:
        """Wait until what was asked for is on the screen."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def screenshot(self, path: Path, whole: bool = True) -> None:
        """The page as PNG, all of it or what is in sight."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self) -> bytes:
        """The page as it is printed, on A4."""
        answer = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=True)
        return base64.b64decode(answer["data"])
