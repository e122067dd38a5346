"""The user's own code: first read the file that ``file.py:Class`` or ``package.module:Class`` names, then run it.

A run remembers the SHA-256 of the file that defines its model. The hash covers this one file, not what it imports.
"""

from __future__ import annotations

import hashlib
import linecache
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from selfmm.config.model_name import absolute, is_file, split_code
from selfmm.core.errors import SettingsError
from selfmm.core.messages import did_you_mean
from selfmm.models.base import Model

_classes: dict[tuple[str, str], type[Model]] = {}
"""The classes that this process has loaded, by name and SHA-256 of their code."""


@dataclass(frozen=True)
class OwnCode:
    """Code that has been read but not yet run.

    Attributes:
        model: its full name, with an absolute path if it is a file.
        file: the Python file that defines the class.
        source: content of the file.
    """

    model: str
    file: Path
    source: bytes

    @classmethod
    def read(cls, model: str) -> OwnCode:
        """Find and read the file. For a module, this imports the packages that contain it.

        Raises:
            SettingsError: if the name is incomplete, or the file or module is missing or cannot be read.
        """
        place, name = split_code(model)
        if not place or not name.isidentifier():
            raise _wrong(model, "write path/to/file.py:ClassName or package.module:ClassName")
        file = Path(split_code(absolute(model))[0]) if is_file(place) else _file_of_module(model, place)
        if file.suffix != ".py" and not is_file(place):
            raise _wrong(model, f"the module {place} has no Python file; name a file, path/to/file.py:Class")
        if file.suffix != ".py":
            raise _wrong(model, f"{file} is not a Python file; its name must end in .py")
        try:
            return cls(absolute(model), file, file.read_bytes())
        except OSError as error:
            raise _wrong(model, f"cannot read {file}: {error.strerror}") from error

    @property
    def digest(self) -> str:
        """SHA-256 of the file, in hexadecimal."""
        return hashlib.sha256(self.source).hexdigest()

    def load(self) -> type[Model]:
        """Run the code and return the class. A process runs the same content once, and a module only once.

        Raises:
            SettingsError: if the code fails, or has no such class, or the class is not a ``Model``.
        """
        digests = [digest for model, digest in _classes if model == self.model]
        digest = digests[0] if digests and not is_file(split_code(self.model)[0]) else self.digest
        if (self.model, digest) not in _classes:
            _classes[self.model, digest] = self._class_in(self._run())
        return _classes[self.model, digest]

    def _run(self) -> ModuleType:
        place, _ = split_code(self.model)
        if not is_file(place):
            return self._or_explain(lambda: import_module(place))
        # Each content has a name of its own: an edited file is another module, and the classes of the old one remain.
        name = f"{self.file.stem}_{hashlib.sha256(f'{place} {self.digest}'.encode()).hexdigest()[:12]}"
        if name in sys.modules:
            return sys.modules[name]
        module = ModuleType(name)
        module.__file__ = str(self.file)
        linecache.checkcache(str(self.file))
        sys.modules[name] = module  # before it runs: annotations are looked up there

        def run() -> ModuleType:
            exec(compile(self.source, str(self.file), "exec"), module.__dict__)  # the user named this file
            return module

        try:
            return self._or_explain(run)
        except BaseException:
            del sys.modules[name]
            raise

    def _or_explain(self, run: Callable[[], ModuleType]) -> ModuleType:
        try:
            return run()
        except (Exception, SystemExit) as error:  # the user's code may raise anything
            reason = " ".join(str(error).split()) or "no message"
            raise _wrong(self.model, f"{self._where(error)} raises {type(error).__name__}: {reason[:300]}") from error

    def _where(self, error: BaseException) -> str:
        """The file and its last line in the traceback of an error."""
        lines = [
            frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(self.file)
        ]
        number = error.lineno if isinstance(error, SyntaxError) and error.filename == str(self.file) else None
        number = number or (lines[-1] if lines else None)
        return f"{self.file}, line {number}," if number else str(self.file)

    def _class_in(self, module: ModuleType) -> type[Model]:
        name = split_code(self.model)[1]
        models = [
            key
            for key, value in vars(module).items()
            if isinstance(value, type) and issubclass(value, Model) and value.__module__ == module.__name__
        ]
        if not hasattr(module, name):
            hint = did_you_mean(name, models) if models else "; this file has no models"
            raise _wrong(self.model, f"{self.file} has no class {name!r}{hint}")
        value = getattr(module, name)
        if not isinstance(value, type) or not issubclass(value, Model):
            choices = f"choose from: {', '.join(models)}" if models else "this file has no models"
            raise _wrong(
                self.model,
                f"{name} in {self.file} is not a model: derive it from selfmm.models.late_fusion.LateFusion or another "
                f"Model of selfmm; {choices}",
            )
        return value


def loaded(model: str, digest: str) -> type[Model] | None:
    """Return the class if this process has already loaded exactly this code."""
    return _classes.get((model, digest))


def digest_of(model: str, kind: type[Model]) -> str:
    """Return the SHA-256 of the file from which ``kind`` was loaded as ``model``; empty for a model of selfmm."""
    return next((digest for (name, digest), known in _classes.items() if (name, known) == (model, kind)), "")


def _file_of_module(model: str, module: str) -> Path:
    try:
        spec = find_spec(module)
    except (Exception, SystemExit) as error:  # of the packages that contain it
        # If only the module itself is missing, the message below says so.
        if not (isinstance(error, ModuleNotFoundError) and module.startswith(error.name or module)):
            raise _wrong(model, f"importing {module} raises {type(error).__name__}: {error}") from error
        spec = None
    if spec is None or spec.origin is None:
        raise _wrong(
            model, f"there is no module {module!r} on Python's path; name its file instead, path/to/file.py:Class"
        )
    return Path(spec.origin)


def _wrong(model: str, problem: str) -> SettingsError:
    return SettingsError([f"model = {model!r}: {problem}"])
