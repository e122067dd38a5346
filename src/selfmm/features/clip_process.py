"""What runs in a process that extracts clips: a line of JSON in per clip, a line out when it is kept, and an empty line
now and then to show that it gets on.

Started by :mod:`selfmm.features.workers`. The end of the input says that the parent is done, or gone however it died,
and ends this process too, even in the midst of a clip.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from selfmm.config.recipe import Recipe
from selfmm.core.errors import MediaError, SelfmmError, SettingsError, SourceError
from selfmm.core.machine import collect_rarely
from selfmm.features.clips.clip import Clip
from selfmm.features.extraction import extract_clip
from selfmm.features.kept import store

_writing = threading.Lock()


def answer(job: dict[str, Any], alive: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """What became of a job: nothing more to say; or ``reason`` why it cannot be done; or ``stop``, why none can.

    Args:
        job: a ``clip``, a ``recipe``, the number of ``threads``, and the ``path`` where to keep what is extracted.
        alive: is called whenever a piece of the clip is done.
    """
    try:
        recipe = Recipe.model_validate(job["recipe"])
        found = extract_clip(Clip.from_json(job["clip"]), recipe, threads=job["threads"], alive=alive)
        with _writing:
            store(Path(job["path"]), found)
        return {}
    except (MediaError, SourceError) as error:
        return {"reason": str(error)}
    except SelfmmError as error:  # weights, packages, the disk: the next clip fares no better
        says = error.problems if isinstance(error, SettingsError) else str(error)
        return {"stop": [type(error).__name__, says]}
    except OSError as error:
        return {"reason": f"{job['clip']['path']} cannot be read: {error.strerror or error}."}
    except Exception as error:  # what nobody foresaw in one file must not stop the others
        first = (str(error).strip() or "no message").splitlines()[0][:300]
        return {"reason": f"{type(error).__name__}: {first}"}


def main() -> None:
    collect_rarely()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends us
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print goes to standard error: this stream is ours

    def say(line: str) -> None:
        with suppress(BrokenPipeError):  # the parent is gone: the end of the input will say so too
            out.write(f"{line}\n")
            out.flush()

    jobs: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(jobs,), daemon=True).start()
    while True:
        say(json.dumps(answer(json.loads(jobs.get()), lambda: say(""))))


def _listen(jobs: queue.SimpleQueue[str]) -> None:
    """Takes in jobs while one is worked at, so that the end of the input is noticed at once."""
    for line in sys.stdin:
        jobs.put(line)
    with _writing:  # a file is written to its end, and nothing is left half-written
        os._exit(0)


if __name__ == "__main__":
    main()
