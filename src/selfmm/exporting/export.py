"""Export a finished run as an ONNX file, and check it."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from selfmm.core.errors import ExportError, OutputError
from selfmm.core.files import atomic_file
from selfmm.runs.folder import refuse_inside
from selfmm.runs.trained_model import TrainedModel

if TYPE_CHECKING:
    from selfmm.exporting.quantise import SplitLoss


@dataclass(frozen=True)
class Exported:
    """The result of an export.

    Attributes:
        path: the ONNX file.
        size: its size in bytes.
        fp32_size: size in bytes of the file with 32-bit weights; the same as ``size`` without int8.
        difference: largest difference between a score of the 32-bit file and PyTorch's, on the label scale.
        int8_losses: the loss of accuracy with int8, per split; empty without int8 or without the training data.
    """

    path: Path
    size: int
    fp32_size: int
    difference: float
    int8_losses: tuple[SplitLoss, ...] = ()


def export(
    run: str | Path,
    out: str | Path,
    *,
    int8: bool = False,
    force: bool = False,
    model: str | None = None,
    trust: bool = False,
) -> Exported:
    """Write a finished run as one ONNX file, after checking that it scores clips as PyTorch does.

    The file has the network, standardisation, stand-ins for missing modalities and the tokenizer; docs/deploy.md
    describes its inputs and outputs.

    Args:
        run: a finished run folder.
        out: the file, ``.onnx``.
        int8: store weights as 8-bit integers. The 32-bit file is checked first; the loss with int8 is measured on the
            run's data set, if it still exists.
        force: replace ``out`` if it exists.
        model, trust: allow runs to use your own code, see :func:`selfmm.api.load`.

    Raises:
        RunError: if the run is missing, damaged or not finished.
        OutputError: if ``out`` exists, is in the run or in a data set, or cannot be written.
        ExportError: if packages are missing, or the file gives other scores than the run; no file is left.
    """
    run, out = Path(run), Path(out)
    _check_place(out, run, force)
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ExportError(
            f"the package {error.name} is not installed. Install what an export needs: pip install 'selfmm[onnx]'"
        ) from error
    from selfmm.exporting.check import check
    from selfmm.exporting.graph import check_exportable, to_onnx

    trained = TrainedModel.load(run, model, trust)
    check_exportable(trained)
    with atomic_file(out) as temporary, tempfile.TemporaryDirectory(prefix="selfmm-") as folder:
        temporary.touch()  # fail now, not after the work, if it cannot be written
        plain = Path(folder) / "fp32.onnx"
        plain.write_bytes(to_onnx(trained).SerializeToString())
        difference = check(trained, plain)
        losses = _quantise(trained, plain, temporary) if int8 else ()
        if not int8:
            shutil.copyfile(plain, temporary)
        return Exported(out, temporary.stat().st_size, plain.stat().st_size, difference, losses)


def _quantise(trained: TrainedModel, plain: Path, target: Path) -> tuple[SplitLoss, ...]:
    from selfmm.exporting.check import largest_difference
    from selfmm.exporting.quantise import loss_in_mae, quantise, training_data

    quantise(plain, target)
    largest_difference(trained, target)  # any difference is accepted; this checks that every score exists
    dataset = training_data(trained)
    return () if dataset is None else loss_in_mae(trained, dataset, plain, target)


def _check_place(out: Path, run: Path, force: bool) -> None:
    if out.suffix != ".onnx":
        raise OutputError(f"an export is an ONNX file, but {out} does not end in .onnx. Give a name that does.")
    refuse_inside(out, run)
    if out.is_dir():
        raise OutputError(f"{out} is a folder. Give the name of a file that ends in .onnx.")
    if out.exists() and not force:
        raise OutputError(f"{out} exists already. Choose another name, or pass `force=True` to replace it.")
