"""A process that has imported what workers need, and from which they are forked: they start at once, not in seconds.

For each worker the parent sends its three standard streams. The template answers with the worker's process id, and with
its exit code at the end. It imports and forks, and computes nothing: a process whose threads have computed must not be
forked. Where Linux is missing, or a GPU is used, workers are started one by one instead.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from typing import IO, Any

from selfmm.core.machine import collect_rarely

_FORK = b"fork"
_KILLED = -9


def can_fork() -> bool:
    """Return whether this system can fork workers from a template."""
    return sys.platform == "linux" and hasattr(os, "pidfd_open")


class Forked:
    """A forked worker, as its parent sees it, with those methods of ``subprocess.Popen`` that a worker needs.

    Args:
        stdin, stdout: the parent's ends of its streams.
        abort: ends the template, if the worker is to be killed before it was forked.
    """

    def __init__(self, stdin: int, stdout: int, abort: Callable[[], None]) -> None:
        self._abort = abort
        self.stdin = os.fdopen(stdin, "w", encoding="utf-8")
        self.stdout = os.fdopen(stdout, encoding="utf-8", errors="replace")
        self.pid: Future[int] = Future()
        self.code: Future[int] = Future()

    def wait(self, timeout: float | None = None) -> int:
        try:
            return self.code.result(timeout)
        except TimeoutError as error:
            raise subprocess.TimeoutExpired("worker", timeout or 0) from error

    def kill(self) -> None:
        if not self.pid.done():
            self._abort()
        elif not self.code.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid.result(), signal.SIGKILL)


class Template:
    """The process from which workers are forked, as its parent sees it.

    Args:
        name: a module with a function ``run() -> int``, which does the work of a worker, and a sequence ``NEEDS``, the
            names of modules to import beforehand.
        environment: its environment variables and those of its workers.
    """

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._waiting: SimpleQueue[Forked] = SimpleQueue()
        self._running: dict[int, Forked] = {}
        self._lock, self._ended = threading.Lock(), False
        command = (sys.executable, "-P", "-m", __name__, name, str(theirs.fileno()))
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()], **streams)
        theirs.close()
        threading.Thread(target=self._read, daemon=True).start()

    def fork(self, errors: IO[Any] | None) -> Forked | None:
        """Fork a worker whose standard error goes to ``errors``; return None if the template has ended."""
        (its_in, our_out), (our_in, its_out) = os.pipe(), os.pipe()
        worker = Forked(our_out, our_in, self._process.kill)
        with self._lock:
            self._waiting.put(worker)
            try:
                if self._ended:
                    raise BrokenPipeError
                socket.send_fds(self._socket, [_FORK], [its_in, its_out, 2 if errors is None else errors.fileno()])
            except OSError:
                self._waiting.get()
                worker.stdin.close()
                worker.stdout.close()
                return None
            finally:
                os.close(its_in)
                os.close(its_out)
        return worker

    def close(self, patience: float = 5) -> None:
        """End the template; its workers end by themselves."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:  # it is still importing
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        with self._socket:
            while message := self._receive():
                pid, code = message["pid"], message.get("code")
                if code is None:
                    self._running[pid] = self._waiting.get()
                    self._running[pid].pid.set_result(pid)
                else:
                    self._running.pop(pid).code.set_result(code)
            with self._lock:
                self._ended = True
        while not self._waiting.empty():
            worker = self._waiting.get()
            worker.pid.set_result(self._process.pid)
            worker.code.set_result(_KILLED)
            with suppress(OSError):  # there may be a message that nobody has read
                worker.stdin.close()
        for worker in self._running.values():
            worker.code.set_result(_KILLED)

    def _receive(self) -> dict[str, int]:
        with suppress(OSError):
            if message := self._socket.recv(4096):
                content: dict[str, int] = json.loads(message)
                return content
        return {}


def serve(name: str, number: int) -> None:
    """Import a module, and fork a worker for each message on the socket ``number`` until that is closed."""
    collect_rarely()
    try:
        module: Any = importlib.import_module(name)
        for needed in module.NEEDS:
            with suppress(ImportError):
                importlib.import_module(needed)
    except KeyboardInterrupt:
        os._exit(130)
    heed = signal.signal(signal.SIGINT, signal.SIG_IGN)  # from now on, Ctrl-C is for the workers and their parent
    gc.freeze()
    with socket.socket(fileno=number) as parent, selectors.DefaultSelector() as selector:
        selector.register(parent, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not parent:
                    _, status = os.waitpid(key.data, 0)
                    selector.unregister(key.fileobj)
                    os.close(key.fd)
                    _say(parent, pid=key.data, code=os.waitstatus_to_exitcode(status))
                    continue
                message, streams, _, _ = socket.recv_fds(parent, len(_FORK), 3)
                if not message:
                    return
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)  # OpenBLAS ends its threads before a fork
                    pid = os.fork()
                if pid == 0:
                    signal.signal(signal.SIGINT, heed)
                    others = [entry.fd for entry in selector.get_map().values()]
                    _become(module.run, streams, others)
                for stream in streams:
                    os.close(stream)
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
                _say(parent, pid=pid)


def _say(parent: socket.socket, **content: int) -> None:
    with suppress(OSError):  # the parent has ended, which the next message shows too
        parent.send(json.dumps(content).encode())


def _become(run: Any, streams: list[int], others: list[int]) -> None:
    """Do the work of a worker in this forked process, and end it."""
    code = 1
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        for other in (*streams, *others):
            os.close(other)
        code = run()
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
