"""``selfmm report``: from a run folder to one page of HTML, and to pictures on request."""

from __future__ import annotations

from pathlib import Path

from selfmm.core.errors import OutputError
from selfmm.core.files import write_text
from selfmm.report.page import page
from selfmm.report.pictures import draw, write_pictures
from selfmm.runs.folder import refuse_inside
from selfmm.runs.material import Material


def default_page(run: Path) -> Path:
    """``<run>-report.html`` beside the run folder."""
    run = run.resolve()
    return run.with_name(f"{run.name}-report.html")


def write_report(
    run: Path, out: Path | None = None, pictures: Path | None = None, *, force: bool = False
) -> list[Path]:
    """Writes the page, and the pictures if a folder for them is named.

    Args:
        run: a finished run folder.
        out: the page; default beside the run folder.
        pictures: folder for a PNG and an SVG of each picture.
        force: replace what is there.

    Returns:
        What was written, the page first.

    Raises:
        RunError, OutputError: each says the mend.
    """
    out = default_page(run) if out is None else out
    material = Material.read(run)
    _check(material, out, pictures, force)
    audit = None if material.labels is None else material.audit()
    groups, notes = draw(material, audit)
    names = [f"{one.name}.{suffix}" for group in groups for one in group.pictures for suffix in ("png", "svg")]
    there = [name for name in names if pictures is not None and (pictures / name).exists()]
    if there and not force:
        raise OutputError(f"{pictures} holds {there[0]} already. Choose another folder, or pass `force=True`.")
    write_text(out, page(material, audit, groups, notes))
    return [out, *(write_pictures(groups, pictures) if pictures is not None else [])]


def _check(material: Material, out: Path, pictures: Path | None, force: bool) -> None:
    """Nothing of a run or a data set is replaced, and nothing else without being asked."""
    if out.suffix.lower() not in {".html", ".htm"}:
        raise OutputError(f"the report is a page of HTML; name {out} so that it ends in .html.")
    for path in (out, *([pictures] if pictures else [])):
        refuse_inside(path, material.folder.path)
    if out.is_dir():
        raise OutputError(f"{out} is a folder. Name a file that ends in .html.")
    if pictures is not None and pictures.exists() and not pictures.is_dir():
        raise OutputError(f"{pictures} is no folder. Name a folder for the pictures, which is made if need be.")
    if out.exists() and not force:
        raise OutputError(f"{out} exists already. Choose another name, or pass `force=True` to replace it.")
