"""The ``selfmm`` command: it reads options, calls :mod:`selfmm.api`, and prints."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command. Ctrl-C ends it with a message even while Python is still importing what it needs."""
    try:
        from selfmm.cli.root import run

        run()
    except KeyboardInterrupt as interrupt:
        from selfmm.api.parts import INTERRUPTED

        print(f"error: interrupted; {INTERRUPTED}", file=sys.stderr)
        sys.exit(getattr(interrupt, "code", 130))
