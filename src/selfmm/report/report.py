"""Write a run's report as one page of HTML and, if asked for, its pictures."""

from __future__ import annotations

from pathlib import Path

from selfmm.core.errors import OutputError
from selfmm.core.files import write_text
from selfmm.report.page import page
from selfmm.report.pictures import draw, write_pictures
from selfmm.runs.folder import refuse_inside
from selfmm.runs.material import Material


def default_page(run: Path) -> Path:
    """Return ``<run>-report.html`` next to the run folder."""
    run = run.resolve()
    return run.with_name(f"{run.name}-report.html")


def write_report(
    run: Path, out: Path | None = None, pictures: Path | None = None, *, force: bool = False
) -> list[Path]:
    """Write the page, and the pictures if a folder for them is given; see :func:`selfmm.api.report`."""
    out = out or default_page(run)
    material = Material.read(run)
    _check(material, out, pictures, force)
    audit = None if material.labels is None else material.audit()
    groups, notes = draw(material, audit)
    names = [f"{picture.name}.{suffix}" for group in groups for picture in group.pictures for suffix in ("png", "svg")]
    existing = [name for name in names if pictures is not None and (pictures / name).exists()]
    if existing and not force:
        raise OutputError(f"{pictures} already has {existing[0]}. Choose another folder, or pass `force=True`.")
    write_text(out, page(material, audit, groups, notes))
    return [out, *(write_pictures(groups, pictures) if pictures is not None else [])]


def _check(material: Material, out: Path, pictures: Path | None, force: bool) -> None:
    """Raise ``OutputError`` if files of a run or data set, or other files without ``force``, would be replaced."""
    if out.suffix.lower() not in {".html", ".htm"}:
        raise OutputError(f"the report is a page of HTML, but {out} does not end in .html. Give a name that does.")
    for path in (out, *([pictures] if pictures else [])):
        refuse_inside(path, material.folder.path)
    if out.is_dir():
        raise OutputError(f"{out} is a folder. Give the name of a file that ends in .html.")
    if pictures is not None and pictures.exists() and not pictures.is_dir():
        raise OutputError(f"{pictures} is not a folder. Give a folder for the pictures; it is created if needed.")
    if out.exists() and not force:
        raise OutputError(f"{out} exists already. Choose another name, or pass `force=True` to replace it.")
