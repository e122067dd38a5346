"""A folder with a data set and a run, the app that serves it, and a browser that notes every request and complaint."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from conftest import heeds_ctrl_c
from selfmm.data.store import Dataset
from selfmm.recordings.model import SentimentModel

playwright_api = pytest.importorskip("playwright.sync_api", reason="the app is tested in a browser by Playwright")

_LINK = re.compile(r"http://\S+")
_START = 60  # seconds that the server may take on a busy machine


@dataclass
class Served:
    """An app that is running.

    Attributes:
        link: its address with the token.
        root: the folder that it shows.
        process: its process.
    """

    link: str
    root: Path
    process: subprocess.Popen[str]

    @property
    def base(self) -> str:
        """Its address, without a slash at the end."""
        return "{0.scheme}://{0.netloc}".format(urlsplit(self.link))

    @property
    def token(self) -> str:
        return self.link.partition("token=")[2]

    def fetch(
        self,
        path: str,
        *,
        data: bytes | None = None,
        method: str | None = None,
        token: str | None = None,
        **headers: str,
    ) -> tuple[int, bytes, dict[str, str]]:
        """Send a request; return status, body and headers. The token is sent unless another one is given."""
        token = self.token if token is None else token
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        if token:
            named["authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.base + path, data=data, method=method, headers=named)
        opener = urllib.request.build_opener(_NoRedirect())
        try:
            with opener.open(request, timeout=120) as response:
                return response.status, response.read(), {k.lower(): v for k, v in response.headers.items()}
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), {k.lower(): v for k, v in error.headers.items()}

    def end(self) -> str:
        """End it as Ctrl-C does, and return what it printed on standard error."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.communicate(timeout=60)[1]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


Serve = Callable[..., Served]


@pytest.fixture(scope="module")
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the apps of these tests keep their private files."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def serve(state_home: Path) -> Iterator[Serve]:
    """Start the app for a folder: ``serve(folder, "--option", ...)``."""
    running: list[Served] = []

    def start(root: Path, *options: str, **environment: str) -> Served:
        process = subprocess.Popen(
            [sys.executable, "-m", "selfmm", "app", str(root), "--no-browser", "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heeds_ctrl_c,
            env={**os.environ, "XDG_STATE_HOME": str(state_home), **environment},
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        found = _LINK.search(line)
        if found is None:
            raise AssertionError(f"no link in {line!r}: {process.communicate(timeout=_START)}")
        served = Served(found[0], root, process)
        running.append(served)
        deadline = time.monotonic() + _START
        while time.monotonic() < deadline:
            try:
                served.fetch("/static/app.css")
                break
            except urllib.error.URLError:
                time.sleep(0.05)
        return served

    yield start
    for served in running:
        served.end()


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory, planted: Dataset, trained: SentimentModel) -> Path:
    """A folder with the planted data set ``data`` and the finished run ``runs/first`` on it; tests leave it alone."""
    root = tmp_path_factory.mktemp("workspace")
    shutil.copytree(planted.path, root / "data")
    shutil.copytree(trained.folder.path, root / "runs" / "first")
    info = root / "runs" / "first" / "run.json"
    info.write_text(info.read_text().replace(str(planted.path), str(root / "data")))
    return root


@pytest.fixture(scope="module")
def served(serve: Serve, workspace: Path) -> Served:
    """The app for ``workspace``."""
    return serve(workspace)


@pytest.fixture(scope="module")  # other tests count the processes that theirs leave
def browser() -> Iterator[Any]:
    """Debian's Chromium, with a camera and a microphone that are made up."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no chromium on this machine; install Debian's package to test the app in a browser")
    with playwright_api.sync_playwright() as playwright:
        options = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        options += ["--autoplay-policy=no-user-gesture-required", "--mute-audio"]
        chromium = playwright.chromium.launch(executable_path=path, args=options)
        yield chromium
        chromium.close()


@dataclass
class Visit:
    """A browser window with a page.

    Attributes:
        page: Playwright's page.
        elsewhere: requests to other hosts, of which there must be none.
        complaints: errors of scripts, and of the console.
    """

    page: Any
    base: str
    elsewhere: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> Any:
        """Open a path of the app."""
        return self.page.goto(self.base + path)


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Visit]]:
    """Open a window on an app: ``visit(served, "/path", width=390, dark=True)``. It fails if a script complains, or if
    the page asks another host."""
    contexts: list[tuple[Any, Visit]] = []

    def open_page(
        served: Served, path: str = "/", *, width: int = 1280, height: int = 900, dark: bool = False
    ) -> Visit:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            permissions=["camera", "microphone"],
            accept_downloads=True,
        )
        page = context.new_page()
        page.set_default_timeout(30_000)
        window = Visit(page, served.base)
        page.on("request", lambda request: _note(request.url, window))
        page.on("pageerror", lambda error: window.complaints.append(str(error)))
        page.on("console", lambda line: window.complaints.append(line.text) if line.type == "error" else None)
        contexts.append((context, window))
        address, mark, place = path.partition("#")
        page.goto(f"{served.base}{address}{'&' if '?' in address else '?'}token={served.token}{mark}{place}")
        return window

    yield open_page
    windows = [window for _, window in contexts]
    for context, _ in contexts:
        context.close()
    assert [url for window in windows for url in window.elsewhere] == []
    assert [line for window in windows for line in window.complaints] == []


def _note(url: str, window: Visit) -> None:
    if not url.startswith((window.base + "/", "data:", "blob:")):
        window.elsewhere.append(url)


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of :mod:`app.studio`; tests leave it alone."""
    pytest.importorskip("av", reason="recordings are written by PyAV")
    from app.studio import make

    return make(tmp_path_factory.mktemp("studio") / "root")
