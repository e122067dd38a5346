"""The peer's environment, and timed processes. Nothing here depends on what the programs do."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from selfmm.core.errors import SelfmmError

PEER = "MMSA==2.2.1"
ROOT = Path(__file__).parents[1]

_SIZES = """
import json, sys
from importlib import metadata
from packaging.requirements import Requirement
seen, todo = {}, [(Requirement(line), "") for line in json.loads(sys.argv[1])]
while todo:
    wanted, extra = todo.pop()
    if wanted.marker and not wanted.marker.evaluate({"extra": extra}):
        continue
    dist = metadata.distribution(wanted.name)
    name = dist.metadata["Name"].lower()
    new = {"", *wanted.extras} - seen.setdefault(name, set())
    seen[name] |= new
    todo += [(Requirement(line), extra) for extra in new for line in dist.requires or ()]
paths = {file.locate() for name in seen for file in metadata.distribution(name).files or ()}
print(json.dumps(sum(path.stat().st_size for path in paths if path.is_file())))
"""


class BenchmarkError(SelfmmError):
    """A measured program failed, or there is nothing to compare with."""


def peer_python(cache: Path) -> Path:
    """Return the interpreter of an environment with the published peer; make it in ``cache`` if it is missing.

    Packages that both programs need, such as torch and transformers, have the versions that ours runs with.

    Raises:
        BenchmarkError: if pip cannot install the peer.
    """
    folder = cache / f"peer-{PEER.replace('==', '-')}-python{sys.version_info.major}.{sys.version_info.minor}"
    if not (folder / "complete").is_file():
        ours = [f"{dist.name}=={dist.version}" for dist in metadata.distributions() if dist.name != "selfmm"]
        _must([sys.executable, "-m", "venv", "--clear", str(folder)])
        pins = folder / "constraints.txt"
        pins.write_text("\n".join(sorted(set(ours))) + "\n", encoding="utf-8")
        _must([str(_python(folder)), "-m", "pip", "install", "--quiet", "--constraint", str(pins), PEER])
        (folder / "complete").touch()  # last: an interrupted installation starts again
    return _python(folder)


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _must(command: Sequence[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        lines = (result.stderr.strip() or "no message").splitlines()
        raise BenchmarkError(f"{' '.join(command)[:300]} failed:\n" + "\n".join(lines[-8:]))
    return result.stdout


def surroundings(threads: int, device: str) -> dict[str, str]:
    """Environment variables of a measured process: no network, ``threads`` threads, our package from this clone."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    path = os.pathsep.join(filter(None, (str(ROOT / "src"), os.environ.get("PYTHONPATH", ""))))
    fixed = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": path}
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
    return {**os.environ, **fixed, **hidden, **dict.fromkeys(names, str(threads))}


@dataclass(frozen=True)
class Took:
    """Seconds of a process from start to end, and its CPU seconds."""

    wall: float
    processors: float


def timed(command: Sequence[str | Path], environment: Mapping[str, str], log: Path) -> Took:
    """Run a process to its end and write its output to ``log``.

    Raises:
        BenchmarkError: if it fails; the message has the end of its output.
    """
    with log.open("wb") as file:
        started, worked = time.perf_counter(), _worked()
        code = subprocess.run(command, env=environment, stdout=file, stderr=subprocess.STDOUT, check=False).returncode
        took = Took(time.perf_counter() - started, _worked() - worked)
    if code:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-8:]
        reason = "it was killed, probably because memory ran out; give fewer --clips" if code == -9 else f"code {code}"
        raise BenchmarkError(f"{' '.join(map(str, command))[:300]} failed ({reason}):\n" + "\n".join(last))
    return took


def _worked() -> float:
    """CPU seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def installed_bytes(python: Path, requirements: Sequence[str]) -> int:
    """Bytes of the files of these distributions and their dependencies, in the environment of ``python``."""
    return int(json.loads(_must([str(python), "-c", _SIZES, json.dumps(list(requirements))])))


def our_bytes() -> int:
    """Bytes that `pip install .` installs: our package, and the core's dependencies in this environment."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    own = sum(path.stat().st_size for path in (ROOT / "src" / "selfmm").rglob("*") if path.is_file())
    return own + installed_bytes(Path(sys.executable), project["dependencies"])


def versions(python: Path, names: Sequence[str]) -> dict[str, str]:
    """Versions of distributions in the environment of ``python``."""
    ask = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    return dict(zip(names, _must([str(python), "-c", ask, *names]).split(), strict=True))


def available_bytes() -> int | None:
    """Memory available to a new process; None if the system does not say."""
    file = Path("/proc/meminfo")
    if not file.exists():
        return None
    line = next(line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("MemAvailable"))
    return int(line.split()[1]) * 1024
