"""Make the starter again: ``python -m selfmm.starter [--encoder NAME] [--archive FILE] [--out FOLDER]``."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from selfmm.runs.folder import STARTERS
from selfmm.starter.fit import make
from selfmm.starter.texts import download, read_archive


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m selfmm.starter", description=__doc__)
    parser.add_argument("--encoder", choices=list(STARTERS), default="e5", help="the text encoder; default: e5")
    parser.add_argument("--archive", type=Path, help="the source archive of vaderSentiment; default: download it")
    parser.add_argument("--out", type=Path, help="the run folder to write; default: that of selfmm")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="selfmm-") as folder:
        texts = read_archive(arguments.archive or download(Path(folder)))
    print(make(texts, arguments.out or STARTERS[arguments.encoder], arguments.encoder).about)


if __name__ == "__main__":
    main()
