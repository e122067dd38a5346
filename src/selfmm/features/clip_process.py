"""What runs in a process that extracts clips: one line of JSON in per clip, one line out when it is kept.

Started by :mod:`selfmm.features.workers`. The end of the input says that the parent is done, or gone however it died,
and ends this process too.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from selfmm.errors import MediaError, SelfmmError, SourceError
from selfmm.features.clips.clip import Clip
from selfmm.features.extraction import extract_clip
from selfmm.features.kept import store
from selfmm.features.recipe import Recipe


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """What became of a job: nothing more to say; or ``reason`` why it cannot be done; or ``stop``, why none can.

    A job has a ``clip``, a ``recipe``, the number of ``threads``, and the ``path`` where to keep what is extracted.
    """
    try:
        recipe = Recipe.model_validate(job["recipe"])
        store(Path(job["path"]), extract_clip(Clip.from_json(job["clip"]), recipe, threads=job["threads"]))
        return {}
    except (MediaError, SourceError) as error:
        return {"reason": str(error)}
    except SelfmmError as error:  # weights, packages, the disk: the next clip fares no better
        return {"stop": [type(error).__name__, str(error)]}
    except OSError as error:
        return {"reason": f"{job['clip']['path']} cannot be read: {error.strerror or error}."}
    except Exception as error:  # what nobody foresaw in one file must not stop the others
        first = (str(error).strip() or "no message").splitlines()[0][:300]
        return {"reason": f"{type(error).__name__}: {first}"}


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes our input
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print goes to standard error: this stream is ours
    import torch

    for line in sys.stdin:
        job = json.loads(line)
        torch.set_num_threads(job["threads"])
        out.write(json.dumps(answer(job)) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
