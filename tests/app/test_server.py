"""The server of the app as a process: how it starts and ends, and what happens when its folder changes under it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from app.conftest import Served
from cli.command_line import complains, selfmm
from selfmm import api
from selfmm.app import server
from selfmm.app.server import PORT, listen
from selfmm.data.store import Dataset

Serve = Callable[..., Served]
ODD = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def odd(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """The app for a folder of odd names."""
    root = tmp_path_factory.mktemp("odd")
    for name in (ODD, "caf\udce9", "a#b?c%41", "\"'&amp;"):
        (root / name).mkdir()
        (root / name / "run.json").write_text("{}")
    (root / "empty.mp4").write_bytes(b"")
    return serve(root)


def test_a_data_set_called_like_html_is_text_on_every_screen(
    serve: Serve, visit: Callable[..., Any], planted: Dataset, tmp_path: Path
) -> None:
    shutil.copytree(planted.path, tmp_path / ODD)
    (tmp_path / ODD / "clip<img src=x onerror=alert(2)>.mp4").write_bytes(b"")
    served = serve(tmp_path)
    for path in ("/", "/data", f"/data/{quote(ODD)}", "/rate", f"/rate/{quote(ODD)}", f"/runs/new?data={quote(ODD)}"):
        window = visit(served, path)
        window.page.on("dialog", lambda dialog, note=window.complaints.append: note(dialog.message))
        window.page.wait_for_load_state("networkidle")
        assert window.page.locator("img[src=x]").count() == 0
        assert ODD in window.page.content().replace("&lt;", "<").replace("&gt;", ">")


def test_no_script_or_template_makes_html_of_text() -> None:
    folder = Path(server.__file__).parent
    sources = [*folder.glob("static/*.js"), *folder.glob("templates/*.html"), *folder.rglob("*.py")]
    assert len(sources) > 20
    forbidden = (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "| safe",
        "Markup(",
        'style="',
    )
    found = [(path.name, word) for path in sources for word in forbidden if word in path.read_text(encoding="utf-8")]
    assert found == []


def test_names_are_escaped(odd: Served) -> None:
    status, body, _ = odd.fetch("/")
    assert status == 200
    assert b"<img src=x" not in body
    assert b"&lt;img src=x onerror=alert(1)&gt;" in body


def test_runs_that_cannot_be_read_have_a_sentence(odd: Served) -> None:
    status, body, headers = odd.fetch("/v1/runs")
    assert (status, headers["content-type"]) == (200, "application/json")
    assert str(odd.root).encode() not in body


def test_pages_and_errors_have_the_headers_of_the_guard(odd: Served) -> None:
    for path in ("/", "/no/such/page", "/static/app.css"):
        assert "default-src 'self'" in odd.fetch(path)[2]["content-security-policy"]
    assert "server" not in odd.fetch("/")[2]


def test_files_outside_are_not_served(odd: Served) -> None:
    for path in ("/static/../server.py", "/static/..%2fserver.py", "/static//etc/passwd", "/../../etc/passwd"):
        assert odd.fetch(path)[0] == 404


def test_a_folder_that_vanishes_is_said_and_comes_back(serve: Serve, tmp_path: Path) -> None:
    root = tmp_path / "mine"
    root.mkdir()
    served = serve(root)
    root.rename(tmp_path / "moved")
    status, body, _ = served.fetch("/")
    assert status == 404
    assert b"is gone. Move it back" in body
    assert str(tmp_path).encode() not in body
    (tmp_path / "moved").rename(root)
    assert served.fetch("/")[0] == 200


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_with_a_message(serve: Serve, tmp_path: Path, end: signal.Signals) -> None:
    served = serve(tmp_path)
    served.process.send_signal(end)
    out, err = served.process.communicate(timeout=30)
    assert (served.process.returncode, err) == (0, "")
    assert out.endswith("selfmm has ended.\n")


def test_links_live_through_a_restart_and_each_folder_has_its_own_key(serve: Serve, tmp_path: Path) -> None:
    first = serve(tmp_path)
    token = first.token
    first.end()
    assert serve(tmp_path).token == token
    (tmp_path / "sub").mkdir()
    assert serve(tmp_path / "sub").token != token


def test_what_cannot_be_served_is_explained(tmp_path: Path) -> None:
    complains(selfmm("app", tmp_path / "no such"), "is not a folder")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        complains(selfmm("app", tmp_path, "--port", taken.getsockname()[1]), "Address already in use", "--port")
    (tmp_path / "file").write_text("x")
    complains(selfmm("app", tmp_path, XDG_STATE_HOME=str(tmp_path / "file")), "a part of the path is a file")
    for port in ("-1", "99999"):
        complains(selfmm("app", tmp_path, "--port", port), "cannot listen", "is a number from 0 to 65535. Choose")


def test_it_takes_the_next_port_that_is_free() -> None:
    with listen("127.0.0.1", None) as first, listen("127.0.0.1", None) as second:
        ports = [sock.getsockname()[1] for sock in (first, second)]
    assert PORT <= ports[0] < ports[1] < PORT + 20
    with pytest.raises(api.ArgumentsError, match="cannot listen"):
        listen("no.such.host.invalid", 1)


def test_a_server_imports_nothing_heavy() -> None:
    heavy = {"torch", "transformers", "av", "matplotlib", "faster_whisper", "mediapipe"}
    code = f"import sys, selfmm.app.service; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize("package", ["starlette", "uvicorn", "python_multipart"])
@pytest.mark.parametrize("command", ["app", "serve"])
def test_without_the_extra_the_message_says_what_to_install(command: str, package: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; sys.argv = ['selfmm', {command!r}]"
    code += "; import selfmm.cli; selfmm.cli.main()"
    result: Any = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"}
    )
    assert result.returncode == 1
    assert "pip install 'selfmm[app]'" in " ".join(result.stderr.split())
    assert package in result.stderr
