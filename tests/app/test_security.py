"""What other sites, other machines, odd requests and odd files can do: nothing. Through real sockets."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.loopback import BOUNDARY, TOKEN, Answer, Loopback, answer_of, form, pretending, running
from selfmm import api
from selfmm.app import security, server
from selfmm.app.site import Limits

WORKER = Path(__file__).with_name("pretend_worker.py")
JSON = {"content-type": "application/json"}
BODY = json.dumps({"text": "fine"}).encode()


def fails(request: Request) -> Response:
    raise ValueError("/home/someone/secret.txt is not for you")


def fails_at_the_disk(request: Request) -> Response:
    raise OSError(28, "No space left on device", "/home/someone/secret.txt")


def shows(request: Request) -> Response:
    return PlainTextResponse(request.path_params["name"].encode("utf-8", "surrogateescape"))


def refuses(request: Request) -> Response:
    raise api.RunError(f"/home/someone/{request.path_params['name']} is not a run.")


def shows_query(request: Request) -> Response:
    return PlainTextResponse(request.scope["query_string"])


async def counts(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("files") / "clip.html"
    file.write_text("<script>alert(1)</script>")
    return file


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, page: Path) -> Iterator[Loopback]:
    """A server that checks as the app does: a token, in a cookie or a header."""
    more = [
        Route("/", lambda request: HTMLResponse("<p>home")),
        Route("/fails", fails),
        Route("/v1/fails", fails),
        Route("/v1/disk", fails_at_the_disk),
        Route("/shows/{name:path}", shows),
        Route("/query", shows_query),
        Route("/v1/refuses/{name:path}", refuses),
        Route("/v1/counts", counts, methods=["POST"]),
        Route("/v1/media/clip.html", lambda request: FileResponse(page, media_type="text/html")),
        Route("/media/clip.html", lambda request: FileResponse(page, media_type="text/html")),
    ]
    limits = Limits(upload=3 * 2**20)
    with (
        pretending([sys.executable, str(WORKER)]),
        running(
            tmp_path_factory.mktemp("requests"),
            token=TOKEN,
            cookie="selfmm_test",
            more=more,
            hosts=["Box.example"],
            limits=limits,
        ) as server,
    ):
        yield server


@pytest.fixture
def mine(app: Loopback) -> Loopback:
    """The same, for requests with the token."""
    return Loopback(app.port, app.service, app.engine, {"authorization": f"Bearer {TOKEN}"})


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "localhost@evil.example", "[::1", "1"])
def test_a_name_that_leads_here_by_dns_rebinding_is_refused(mine: Loopback, host: str) -> None:
    if host:
        assert mine.ask("/", headers={"host": host}).status == 421
        assert mine.ask("/v1/health", headers={"host": host}).status == 421
    else:
        assert mine.raw(b"GET / HTTP/1.0\r\n\r\n").status == 421


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:8765", "[::1]:8765", "box.example", "10.0.0.7"]
)
def test_names_that_are_allowed_and_addresses_in_digits_work(mine: Loopback, host: str) -> None:
    assert mine.ask("/", headers={"host": host}).status == 200


def test_two_hosts_are_refused(mine: Loopback) -> None:
    assert mine.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n").status == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:1"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": "http://localhost:1@evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_form_or_script_of_another_site_changes_nothing(mine: Loopback, headers: dict[str, str]) -> None:
    for kind in ("application/json", "text/plain"):
        assert mine.ask("/v1/predict", BODY, headers={**headers, "content-type": kind}).status == 403


@pytest.mark.parametrize("headers", [{}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}])
def test_the_apps_own_pages_and_programs_may_send(mine: Loopback, headers: dict[str, str]) -> None:
    assert mine.ask("/v1/predict", BODY, headers={**headers, **JSON}).status == 200
    own = f"http://localhost:{mine.port}"
    assert mine.ask("/v1/predict", BODY, headers={**headers, **JSON, "origin": own}).status == 200


def test_another_site_cannot_read_data(mine: Loopback) -> None:
    assert mine.ask("/v1/runs", headers={"sec-fetch-site": "cross-site"}).status == 403
    assert mine.ask("/", headers={"sec-fetch-site": "cross-site"}).status == 200, "a link leads to a page"
    answer = mine.ask("/v1/runs", headers={"origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert mine.ask("/v1/predict", method="OPTIONS", headers={"origin": "https://evil.example"}).status == 405


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer "},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": "Bearer \xff\xfe"},
        {"cookie": "selfmm_test=wrong"},
        {"cookie": f"selfmm_other={TOKEN}"},
        {"cookie": "selfmm_test"},
    ],
)
def test_nothing_without_the_token(app: Loopback, headers: dict[str, str]) -> None:
    for path in ("/", "/v1/runs", "/static/app.css", "/no/such", "/v1/openapi.json"):
        answer = app.ask(path, headers=headers)
        assert answer.status == 401
        assert TOKEN.encode() not in answer.body
    assert app.ask("/v1/predict", BODY, headers={**headers, **JSON}).status == 401
    assert app.ask("/v1/health", headers=headers).json() == {"status": "ready", "ready": True}


def test_the_token_of_the_link_becomes_a_cookie_and_leaves_the_link(app: Loopback) -> None:
    answer = app.ask(f"/shows/a%23b?x=1&token={TOKEN}&y=%20")
    assert (answer.status, answer.headers["location"]) == (303, "/shows/a%23b?x=1&y=+")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    named = cookie.partition(";")[0]
    assert app.ask("/", headers={"cookie": named}).status == 200
    again = app.ask(f"/?token={TOKEN}", headers={"cookie": named})
    assert again.status == 303, "it leaves the link also if the cookie is there"
    assert app.ask("/?token=wrong").status == 401
    assert app.ask(f"/v1/predict?token={TOKEN}", BODY, headers=JSON).status == 401, "a link cannot carry out anything"


@pytest.mark.parametrize("path", ["//evil.example/x", "/%5Cevil.example", "/%2F%2Fevil.example", "/\\\\evil.example"])
def test_the_redirection_stays_here(app: Loopback, path: str) -> None:
    answer = app.raw(f"GET {path}?token={TOKEN} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert answer.status in (303, 400)
    place = answer.headers.get("location", "/")
    assert place.startswith("/")
    assert not place.startswith(("//", "/\\"))


def test_no_header_can_be_put_in_by_a_link(app: Loopback) -> None:
    answer = app.ask(f"/shows/x%0d%0aset-cookie:%20evil=1?token={TOKEN}")
    assert answer.status == 303
    assert "evil=1" not in answer.headers.get("set-cookie", "")


def test_pages_run_nothing_of_other_places_and_are_shown_in_no_frame(mine: Loopback) -> None:
    for path in ("/", "/no/such", "/fails"):
        headers = mine.ask(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_a_file_with_html_is_not_run_as_a_page(mine: Loopback) -> None:
    for path in ("/v1/media/clip.html", "/media/clip.html", "/v1/runs", "/v1/no/such"):
        headers = mine.ask(path).headers
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
        assert headers["x-content-type-options"] == "nosniff"


def test_parts_of_files_and_their_heads(mine: Loopback, page: Path) -> None:
    path = "/v1/media/clip.html"
    whole = page.read_bytes()
    part = mine.ask(path, headers={"range": "bytes=3-6"})
    assert (part.status, part.body) == (206, whole[3:7])
    head = mine.ask(path, method="HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(whole)))
    assert mine.ask(path, headers={"range": "bytes=9999-"}).status == 416
    assert mine.ask(path, headers={"range": "bytes=5-3"}).status == 400
    assert mine.ask(path, headers={"range": f"bytes={'0-0,' * 5000}1-1"}).status in (200, 206, 400, 416)


def test_an_error_shows_no_traceback_and_no_place_outside(mine: Loopback) -> None:
    for path, status in (("/v1/fails", 500), ("/fails", 500), ("/v1/disk", 507)):
        answer = mine.ask(path)
        assert answer.status == status
        assert b"Traceback" not in answer.body
        assert b"/home/someone" not in answer.body
    assert "The disk is full" in mine.ask("/v1/disk").error


def test_names_that_are_not_utf8_keep_their_bytes(mine: Loopback) -> None:
    assert mine.ask("/shows/caf%E9/%ff").body == b"caf\xe9/\xff"
    assert mine.ask("/shows/caf%C3%A9").body == "café".encode()
    assert mine.ask("/v1/refuses/caf%E9").error == "caf? is not a run."
    assert mine.ask("/v1/no/such/caf%E9").status == 404


@pytest.mark.parametrize(
    "path", ["/shows/" + "a" * 60_000, "/shows/%00", "/shows/..%2f..%2fetc", "/../../etc/passwd", "/static/..%2fapp.py"]
)
def test_odd_paths_do_no_harm(mine: Loopback, path: str) -> None:
    assert mine.ask(path).status in (200, 404)


def test_heads_of_any_size_are_refused(mine: Loopback) -> None:
    assert mine.ask("/", headers={"x": "a" * 200_000}).status in (400, 431)


@pytest.mark.parametrize("length", ["-1", "1e9", "999999999999", "99999999999999999999999", "0x10", "\xb2"])
def test_a_length_that_is_wrong_or_too_large_is_refused(mine: Loopback, length: str) -> None:
    request = mine.request("/v1/counts", method="POST", headers={**JSON, "content-length": length})
    assert mine.raw(request).status in (400, 413)


def test_a_body_that_is_too_large_gets_an_answer_although_the_client_goes_on_sending(mine: Loopback) -> None:
    for kind, most in (("application/json", 2), ("application/octet-stream", 4)):
        body = b" " * ((most + 1) * 2**20)
        answer = mine.ask("/v1/counts", body, headers={"content-type": kind})
        assert (answer.status, answer.error) == (413, f"The request is too large: {most} MiB at most.")


def test_a_body_without_a_length_is_limited_too(mine: Loopback) -> None:
    chunk = b"10000\r\n" + b"a" * 65536 + b"\r\n"
    for count, status in ((8, 200), (48, 413)):
        head = mine.request("/v1/counts", method="POST", headers={**JSON, "transfer-encoding": "chunked"})
        assert mine.raw(head + chunk * count + b"0\r\n\r\n").status == status


def test_a_client_that_asks_before_it_sends_is_not_asked_for_a_body_that_is_refused(mine: Loopback) -> None:
    headers = {**JSON, "content-length": str(2**40), "expect": "100-continue"}
    started = time.monotonic()
    assert mine.raw(mine.request("/v1/counts", method="POST", headers=headers)).status == 413
    assert time.monotonic() - started < 1.5


def test_a_slow_body_is_given_up(mine: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "_START", 0.5)
    monkeypatch.setattr(security, "_DRAIN", 0.1)
    with mine.connect() as connection:
        connection.sendall(mine.request("/v1/counts", method="POST", headers={**JSON, "content-length": "1000"}) + b"a")
        answer = answer_of(connection)
    assert (answer.status, answer.error) == (408, "The request arrives too slowly.")


def test_a_slow_head_is_given_up(mine: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_HEAD", 0.5)
    for start in (b"", b"GET / HTT"):
        with mine.connect() as connection:
            connection.settimeout(10)
            connection.sendall(start)
            assert connection.recv(100) == b""
    with mine.connect() as connection:  # also the second request of a connection
        connection.settimeout(10)
        connection.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n\r\nGET"
        )
        assert answer_of(connection).status == 200
        assert connection.recv(100) == b""


def test_a_request_that_takes_longer_than_a_head_may_is_not_cut_off(
    mine: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_HEAD", 0.5)
    assert mine.texts("wait 1.5").status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x00" * 100,
    ],
)
def test_what_is_not_http_gets_no_further(mine: Loopback, data: bytes) -> None:
    with mine.connect() as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1000)[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 421")
    assert mine.ask("/").status == 200


def test_a_websocket_is_not_opened(mine: Loopback) -> None:
    headers = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-key": "x" * 24}
    with mine.connect() as connection:
        connection.sendall(mine.request("/", headers=headers))
        assert answer_of(connection).status == 200


def send(server: Loopback, body: bytes, kind: str = f"multipart/form-data; boundary={BOUNDARY}") -> Answer:
    return server.ask("/v1/predict", body, headers={"content-type": kind})


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("../../../etc/cron.d/evil.mp4", "evil"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\evil.mp4", "evil"),
        ("<img src=x onerror=alert(1)>.mp4", "<img src=x onerror=alert(1)>"),
        ("a" * 3000 + ".mp4", "a" * 100),
        ("..", "recording"),
        ("", "recording"),
        ("x.mp4\0.exe", "x.mp4"),
        ("x.$(touch evil)", "x"),
        ("caf\udce9.mp4", "caf\ufffd"),
    ],
)
def test_an_uploads_name_leads_nowhere(mine: Loopback, name: str, title: str) -> None:
    [prediction] = [send(mine, form("fine", name)).json()]
    about = prediction["about"]
    assert prediction["id"] == title
    path = Path(about["path"])
    assert path.parent.parent == mine.service.scratch._folder
    assert path.name in ("recording", "recording.mp4", "recording.exe")
    assert mine.leftovers() == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (form("fine")[:-10], f"multipart/form-data; boundary={BOUNDARY}"),
        (form("fine")[:60], f"multipart/form-data; boundary={BOUNDARY}"),
        (form("fine"), "multipart/form-data; boundary=another"),
        (form("fine"), "multipart/form-data"),
        (form("fine"), "multipart/form-data; boundary="),
        (b"nonsense", f"multipart/form-data; boundary={BOUNDARY}"),
        (form("fine") * 2, f"multipart/form-data; boundary={BOUNDARY}"),
        (form("fine", field_name="other"), f"multipart/form-data; boundary={BOUNDARY}"),
        (form("fine", wrong="1"), f"multipart/form-data; boundary={BOUNDARY}"),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"text": 1}', "application/json"),
        (b'{"text": []}', "application/json"),
        (b'{"text": ["a", null]}', "application/json"),
        (b'{"text": "a", "run": 1}', "application/json"),
        (b'{"text": "a", "model": "evil.py:Net", "trust": true}', "application/json"),
        (b'{"text": "\\ud800"}', "application/json"),
        (b'{"text": "a", "explain": "maybe"}', "application/json"),
        (BODY, "text/plain"),
        (BODY, "x" * 1000),
    ],
)
def test_bad_bodies_get_a_sentence(mine: Loopback, body: bytes, kind: str) -> None:
    answer = send(mine, body, kind)
    if body == form("fine") * 2:
        assert answer.status in (200, 400), "what follows the end of a form is not read"
    else:
        assert answer.status == 400
        assert len(answer.error) > 20
    assert mine.leftovers() == []


def test_a_form_with_too_much_in_its_fields_is_refused(mine: Loopback) -> None:
    assert send(mine, form("fine", text="a" * 1_200_000)).status == 413
    parts = b"".join(f"--{BOUNDARY}\r\n{'x' * 9000}: y\r\n\r\nz\r\n".encode() for _ in range(3))
    assert send(mine, parts + f"--{BOUNDARY}--\r\n".encode()).status in (400, 413)
    assert mine.leftovers() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"recogniser": "/etc"},
        {"recogniser": "someone/model"},
        {"recogniser": "../x"},
        {"recogniser": "e5"},
        {"language": "../../x"},
        {"language": "de; rm"},
        {"window": "nan"},
        {"window": "inf"},
        {"window": "0"},
        {"window": "x"},
        {"start": "-1"},
        {"run": "../other"},
        {"run": "/etc/passwd"},
        {"by_sentence": "2"},
        {"model": "evil.py:Net"},
        {"trust": "true"},
    ],
)
def test_fields_cannot_name_files_hubs_or_code(mine: Loopback, fields: dict[str, str]) -> None:
    answer = mine.recording("fine", **fields)
    assert answer.status == (404 if "run" in fields else 400)
    assert mine.leftovers() == []
