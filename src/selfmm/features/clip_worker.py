"""The worker process that extracts clips. It answers a job when the features are stored, and gives signs of life."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfmm.config.recipe import Recipe
from selfmm.core.errors import MediaError, SelfmmError, SettingsError, SourceError
from selfmm.core.jobs.parent import Parent, in_one_line
from selfmm.core.machine import collect_rarely
from selfmm.features.clips.clip import Clip
from selfmm.features.extraction import extract_clip
from selfmm.features.kept import store

_writing = threading.Lock()


def answer(job: dict[str, Any], alive: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Extract and store a clip. Return an empty answer if that worked, ``reason`` if this clip cannot be extracted, or
    ``stop`` with the type and content of an error that affects all clips.

    Args:
        job: a ``clip``, a ``recipe``, the number of ``threads``, and the ``path`` of the file to write.
        alive: called whenever a piece of the clip is done.
    """
    try:
        recipe = Recipe.model_validate(job["recipe"])
        features = extract_clip(Clip.from_json(job["clip"]), recipe, threads=job["threads"], alive=lambda _: alive())
        with _writing:
            store(Path(job["path"]), features)
        return {}
    except (MediaError, SourceError) as error:
        return {"reason": str(error)}
    except SelfmmError as error:  # weights, packages, the disk: the next clip would fail too
        return {"stop": [type(error).__name__, error.problems if isinstance(error, SettingsError) else str(error)]}
    except OSError as error:
        return {"reason": f"{job['clip']['path']} cannot be read: {error.strerror or error}."}
    except Exception as error:  # an unforeseen error in one file must not stop the others
        return {"reason": in_one_line(error)}


def main() -> None:
    collect_rarely()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Ctrl-C, the parent ends this process
    parent = Parent(gone=_leave)
    while True:
        parent.send(answer(parent.receive(), parent.alive))


def _leave() -> None:
    with _writing:  # finish the file that is being written
        os._exit(0)


if __name__ == "__main__":
    main()
