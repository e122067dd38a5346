"""``selfmm serve`` under load on this machine: 200 requests, 8 at a time, and kill -9 in the middle.

    python benchmarks/serve.py                     # about 5 minutes on two idle cores
    python benchmarks/serve.py --requests 40       # less

Of ten requests, nine score a sentence and one a short recording that ``selfmm demo`` draws. Every answer is compared
with the one that the same request got alone. The command line scores the same sentence and recording in a process of
its own, as a program without a server would; ratios say how much faster the server answers. Nothing leaves the machine,
and everything ends by itself: each request within five minutes.

Figures of one run with the starter and two workers, on two cores on which some twenty other processes were busy (so
compare the ratios, not the times); the command took 48 s for a sentence and 58 s for a recording:

    200 requests, 8 at a time: 200 x 200, none with another score
    sentence, alone               p50 0.20 s, 242 times faster than the command; p95 1.4 s, 35 times
    sentence, 8 at a time         p50 0.51 s,  93 times;                         p95 1.1 s, 44 times
    recording, alone              p50 1.7 s,   33 times;                         p95 12 s,   5 times (the first one)
    recording, 8 at a time        p50 5.9 s,   10 times;                         p95 7.6 s,  8 times
    memory                        server 86 MB, workers 1.16 GB each (0.74 GB before the first recording)
    kill -9 of a worker           in the middle of 100: 99 x 200, 1 x 500; two workers afterwards
    kill -9 of the server         in the middle of 50: 16 x 200, 34 broken connections; its workers ended, the two
                                  uploads that it left were removed by the next start, which answered
    SIGTERM                       with 8 requests under way: 8 x 200, ended after 1.8 s
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import queue
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfmm import api

_PATIENCE = 300.0  # seconds
_EVERY = 10  # one request of this number is a recording
_BOUNDARY = "--selfmm"
SENTENCES = (
    "I loved every minute of it.",
    "It was dull, and far too long for what it had to say.",
    "Well, it is what it is.",
    "The acting is superb, although the plot makes little sense.",
    "I want my money back!",
    "We saw it on a Tuesday in a cinema that was nearly empty.",
    "Nobody who likes the books will forgive them this ending, and nobody else will understand it.",
    "Go and see it.",
)


@dataclass(frozen=True)
class Request:
    """What one client sends: a sentence, or a recording."""

    kind: str
    body: bytes
    content_type: str


@dataclass(frozen=True)
class Result:
    """What came back. ``status`` is 0 if the connection broke, with the reason in ``content``."""

    request: Request
    status: int
    seconds: float
    content: Any


def sentence(text: str) -> Request:
    return Request("sentence", json.dumps({"text": text}).encode(), "application/json")


def recording(path: Path) -> Request:
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="recording"; filename="{path.name}"\r\n\r\n'
    body = head.encode() + path.read_bytes() + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return Request("recording", body, f"multipart/form-data; boundary={_BOUNDARY}")


class Server:
    """``selfmm serve`` in a process of its own."""

    def __init__(self, state: Path, workers: int) -> None:
        command = [sys.executable, "-m", "selfmm", "serve", "--port", "0", "--workers", str(workers), "--queue", "256"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "XDG_STATE_HOME": str(state)}
        )
        started = time.perf_counter()
        assert self.process.stdout is not None
        found = re.search(r"http://localhost:(\d+)", self.process.stdout.readline())
        if found is None:
            raise SystemExit("the server did not start; see its message above")
        self.port, self.start_seconds = int(found[1]), time.perf_counter() - started

    def ask(self, request: Request) -> Result:
        began = time.perf_counter()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)
            connection.request("POST", "/v1/predict", request.body, {"content-type": request.content_type})
            response = connection.getresponse()
            content = json.loads(response.read())
            connection.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Result(request, 0, time.perf_counter() - began, type(error).__name__)
        return Result(request, response.status, time.perf_counter() - began, content)

    def workers(self) -> list[int]:
        return [int(pid) for file in Path(f"/proc/{self.process.pid}/task").glob("*/children") for pid in _read(file)]

    def end(self) -> float:
        """Ask it to end, and return the seconds that it took."""
        began = time.perf_counter()
        self.process.terminate()
        self.process.wait(_PATIENCE)
        return time.perf_counter() - began


def _read(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []


def megabytes(process: int) -> float:
    """Return the memory of a process, its share of what several use counted once."""
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1000
    return 0.0


def load(
    server: Server, requests: Sequence[Request], at_once: int, after: int = 0, then: Callable[[], object] | None = None
) -> list[Result]:
    """Send requests, ``at_once`` at a time; call ``then`` when ``after`` of them are answered."""
    waiting: queue.SimpleQueue[Request] = queue.SimpleQueue()
    for request in requests:
        waiting.put(request)
    results: list[Result] = []
    lock = threading.Lock()

    def client() -> None:
        while True:
            try:
                request = waiting.get_nowait()
            except queue.Empty:
                return
            result = server.ask(request)
            with lock:
                results.append(result)
                due = then is not None and len(results) == after
            if due and then is not None:
                then()

    threads = [threading.Thread(target=client) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def score(content: Any) -> float:
    return float((content[0] if isinstance(content, list) else content)["score"])


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(round(share * (len(values) - 1)), len(values) - 1)]


def cold(arguments: Sequence[str | Path], times: int) -> float:
    """Return the median seconds that the command line takes."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        command = [sys.executable, "-m", "selfmm", "predict", *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True, timeout=_PATIENCE)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def wait_for(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def alive(process: int) -> bool:
    return bool(_read(Path(f"/proc/{process}/cmdline")))


def measure(options: argparse.Namespace, home: Path) -> None:
    clips = home / "clips"
    api.demo(clips, count=4)
    files = sorted(path for path in clips.rglob("*") if path.suffix in (".mp4", ".webm"))
    requests = [
        recording(files[place // _EVERY % len(files)])
        if place % _EVERY == _EVERY - 1
        else sentence(SENTENCES[place % len(SENTENCES)])
        for place in range(options.requests)
    ]
    by_command = {
        "sentence": cold(["--text", SENTENCES[0]], options.times),
        "recording": cold([files[0], "--json"], options.times),
    }
    server = Server(home / "state", options.workers)
    print(f"ready after {server.start_seconds:.1f} s, with {options.workers} workers")
    expected = {
        request.body: server.ask(request) for request in {request.body: request for request in requests}.values()
    }
    if any(result.status != 200 for result in expected.values()):
        raise SystemExit(f"a request fails alone: {next(r.content for r in expected.values() if r.status != 200)}")
    alone = {
        kind: [server.ask(request).seconds for request in requests if request.kind == kind][: options.alone]
        for kind in by_command
    }
    began = time.perf_counter()
    results = load(server, requests, options.at_once)
    taken = time.perf_counter() - began
    wrong = sum(
        result.status == 200 and abs(score(result.content) - score(expected[result.request.body].content)) > 1e-3
        for result in results
    )
    print(
        f"{len(results)} requests, {options.at_once} at a time: {taken:.1f} s; {counted(results)}, {wrong} other scores"
    )
    for kind, command in by_command.items():
        times = [result.seconds for result in results if result.request.kind == kind]
        for name, values in (("alone", alone[kind]), (f"{options.at_once} at a time", times)):
            shown = ", ".join(
                f"{title} {quantile(values, share):.3f} s ({command / quantile(values, share):.0f} times faster)"
                for title, share in (("p50", 0.5), ("p95", 0.95))
            )
            print(f"  {kind}, {name}: {shown}; the command takes {command:.1f} s")
    processes = [("server", server.process.pid), *(("worker", pid) for pid in server.workers())]
    print("  memory: " + ", ".join(f"{name} {megabytes(pid):.0f} MB" for name, pid in processes))
    _kill_worker(server, requests, options)
    _kill_server(server, requests, options, home)


def _kill_worker(server: Server, requests: Sequence[Request], options: argparse.Namespace) -> None:
    victims = server.workers()[:1]
    part = requests[: options.requests // 2]
    results = load(server, part, options.at_once, len(part) // 3, lambda: os.kill(victims[0], signal.SIGKILL))
    print(f"kill -9 of a worker in the middle of {len(part)}: {counted(results)}")
    for message in {result.content["error"] for result in results if result.status not in (0, 200)}:
        print(f"  {message}")
    print(f"  afterwards: {server.ask(requests[0]).status}, {len(server.workers())} workers")


def _kill_server(server: Server, requests: Sequence[Request], options: argparse.Namespace, home: Path) -> None:
    workers, part = server.workers(), requests[: options.requests // 4]
    results = load(server, part, options.at_once, len(part) // 3, server.process.kill)
    server.process.wait()
    gone = wait_for(lambda: not any(map(alive, workers)))
    place = home / "state" / "selfmm" / "serve"
    left = [path for path in place.rglob("*") if path.is_file() and not path.name.endswith((".lock", ".start"))]
    print(f"kill -9 of the server in the middle of {len(part)}: {counted(results)}; workers ended: {gone}")
    again = Server(home / "state", 1)
    before = len(left)
    left = [path for path in left if path.exists()]
    print(f"  files left: {before}, after the restart: {len(left)}; it answers: {again.ask(requests[0]).status}")
    results = []
    thread = threading.Thread(target=lambda: results.extend(load(again, part[: options.at_once], options.at_once)))
    thread.start()
    time.sleep(0.3)
    seconds = again.end()
    thread.join()
    print(f"  SIGTERM with {options.at_once} requests under way: {counted(results)}; ended after {seconds:.1f} s")


def counted(results: Sequence[Result]) -> str:
    counts = Counter(result.status or f"no answer ({result.content})" for result in results)
    return ", ".join(f"{count} x {status}" for status, count in sorted(counts.items(), key=lambda entry: -entry[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--alone", type=int, default=20, help="requests of each kind that are sent one by one")
    parser.add_argument("--times", type=int, default=3, help="runs of the command line")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="selfmm-serve-"))
    try:
        measure(options, home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
