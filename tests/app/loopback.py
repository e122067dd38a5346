"""A server in a thread of the tests, whose workers only pretend, and requests through real sockets."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.routing import BaseRoute

from selfmm.app import scoring as scoring_
from selfmm.app import server
from selfmm.app.routes import service as routes_
from selfmm.app.scoring import Scoring
from selfmm.app.scratch import Scratch
from selfmm.app.security import LOOPBACK, Rules
from selfmm.app.site import Limits, Service

TOKEN = "a token that nobody can guess".replace(" ", "-")
BOUNDARY = "----boundary"


@dataclass
class Answer:
    """An answer of the server; headers by lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json()["error"])


@dataclass
class Loopback:
    """A server that is running."""

    port: int
    service: Service
    engine: Any
    extra: dict[str, str] = field(default_factory=dict)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def raw(self, data: bytes) -> Answer:
        """Send bytes as they are, and return the answer."""
        with self.connect() as connection:
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(data)
            return answer_of(connection)

    def ask(self, path: str, body: bytes = b"", method: str = "", headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request."""
        return self.raw(self.request(path, body, method, headers))

    def request(
        self, path: str, body: bytes = b"", method: str = "", headers: Mapping[str, str] | None = None
    ) -> bytes:
        named = {"host": f"localhost:{self.port}", "connection": "close", **self.extra, **(headers or {})}
        if body and "transfer-encoding" not in named:
            named.setdefault("content-length", str(len(body)))
        lines = [f"{method or ('POST' if body else 'GET')} {path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in named.items() if value]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    def texts(self, *texts: str, **fields: Any) -> Answer:
        content = {"text": texts[0] if len(texts) == 1 else list(texts), **fields}
        return self.ask("/v1/predict", json.dumps(content).encode(), headers={"content-type": "application/json"})

    def recording(self, content: bytes | str, name: str = "clip.mp4", **fields: str) -> Answer:
        kind = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
        return self.ask("/v1/predict", form(content, name, **fields), headers=kind)

    def leftovers(self) -> list[Path]:
        return list(self.service.scratch._folder.rglob("*"))


def form(content: bytes | str, name: str = "clip.mp4", field_name: str = "recording", **fields: str) -> bytes:
    """Return the body of a form with a file."""
    parts = [f'Content-Disposition: form-data; name="{key}"\r\n\r\n{value}'.encode() for key, value in fields.items()]
    head = f'Content-Disposition: form-data; name="{field_name}"; filename="{name}"\r\n\r\n'.encode(
        "utf-8", "surrogateescape"
    )
    parts.append(head + (content.encode() if isinstance(content, str) else content))
    return b"".join(f"--{BOUNDARY}\r\n".encode() + part + b"\r\n" for part in parts) + f"--{BOUNDARY}--\r\n".encode()


def answer_of(connection: socket.socket) -> Answer:
    """Read an answer until the server closes the connection, or its length is reached."""
    data = b""
    while b"\r\n\r\n" not in data and (piece := connection.recv(65536)):
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", 10**9))
    with suppress(ConnectionResetError):
        while len(body) < length and (piece := connection.recv(65536)):
            body += piece
    if not first:
        raise ConnectionError("the server closed the connection without an answer")
    return Answer(int(first.split(" ")[1]), headers, body)


class Pretended:
    """Two runs that do not exist."""

    default = "good"

    def names(self) -> list[str]:
        return ["good", "bad"]

    def place(self, name: str) -> str:
        if name not in self.names():
            from selfmm.app.errors import NotHereError

            raise NotHereError(f"There is no run {name!r}.")
        return name


@contextmanager
def pretending(command: Sequence[str]) -> Iterator[None]:
    """Start this command as worker."""
    before, scoring_._COMMAND = scoring_._COMMAND, tuple(command)  # type: ignore[assignment]
    try:
        yield
    finally:
        scoring_._COMMAND = before


@contextmanager
def running(
    home: Path,
    *,
    token: str = "",
    cookie: str = "",
    limits: Limits | None = None,
    more: Sequence[BaseRoute] = (),
    hosts: Sequence[str] = (),
    **scoring: Any,
) -> Iterator[Loopback]:
    """Run a server with the routes for programs, and ``more``."""
    limits = limits or Limits(upload=2**20, text=10_000, texts=100, seconds=60.0)
    with server.listen("127.0.0.1", 0) as sock:
        service = Service(Pretended(), Scoring(**scoring), Scratch(home), limits)
        rules = Rules(LOOPBACK | set(hosts), token, cookie, limits.upload + 2**20, open_paths={"/v1/health"})
        app = server.assemble(service, [*routes_.routes, *more], rules)
        engine = server.engine(app, service.scoring, patience=20.0)
        thread = threading.Thread(target=engine.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        loopback = Loopback(sock.getsockname()[1], service, engine)
        while not engine.started:
            time.sleep(0.01)
        try:
            yield loopback
        finally:
            engine.should_exit = True
            thread.join(30)
            service.scoring.close(0.0)
            service.scratch.close()
