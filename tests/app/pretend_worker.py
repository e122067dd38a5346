"""Speaks like `selfmm.app.worker`, loads nothing, and does what the first word of a text or recording says."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any


def main() -> None:
    lines = iter(sys.stdin.readline, "")
    for line in lines:
        request = json.loads(line)
        texts = request.get("text") or [Path(clip["path"]).read_text()[:1000] for clip in request.get("clips", ())]
        error = next(filter(None, map(_do, texts)), None) or ({} if request["run"] != "bad" else _bad("RunError", "no"))
        for number, text in enumerate(texts if not error else (), start=1):
            clip = request.get("clips", [{}])[0]
            about = {"texts": len(texts), "pid": os.getpid(), "options": request["options"], **clip}
            _say({"prediction": {"id": clip.get("id", f"text_{number}"), "score": float(len(text)), "about": about}})
        _say(error or {"over": True})


def _do(text: str) -> dict[str, Any] | None:
    word, _, rest = text.partition(" ")
    if word == "wait":
        time.sleep(float(rest))
    elif word == "hang":
        threading.Event().wait()
    elif word == "crash":
        os._exit(3)
    elif word == "killed":
        os.kill(os.getpid(), 9)
    elif word == "print":
        print("this is no event", flush=True)
    elif word == "environment":
        return _bad("MediaError", os.environ.get(rest, "not there"))
    elif word == "fail":
        return _bad(*rest.split(" ", 1))
    return None


def _bad(kind: str, error: str) -> dict[str, Any]:
    return {"error": error, "kind": kind}


def _say(event: dict[str, Any]) -> None:
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    main()
