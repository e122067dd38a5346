"""The page that trains a model: a form, and the job that it starts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from selfmm import api
from selfmm.api import parts
from selfmm.app.errors import NotHereError, RequestError
from selfmm.app.pages import answer, json_of, page, site_of
from selfmm.app.site import Site

MODELS = {
    "": "Choose for me: adapt for few rated clips, Self-MM for many",
    "adapt": "adapt: fitted to your ratings in seconds, on top of the starter",
    "self_mm": "Self-MM: learns a score and labels of each modality; minutes to hours",
    "lf_dnn": "LF-DNN: a small network without labels per modality",
}
_PRESETS = {
    "": "None: the defaults",
    "quickstart": "quickstart: small and quick, to try things",
    "mosi": "mosi: as published, for data like CMU-MOSI",
    "mosei": "mosei: as published, for data like CMU-MOSEI",
    "sims": "sims: as published, for data like CH-SIMS",
    "simsv2": "simsv2: as published, for data like CH-SIMS v2",
}
_FIELDS = ("data", "model", "preset", "start", "seed", "name")
_NAME = re.compile(r"[^\x00-\x1f\x7f\\]{1,200}")
_HIGHEST_SEED = 2**31 - 1


def form(request: Request) -> Response:
    """Return the form; parameters of the link fill in the fields of the same names."""
    site = site_of(request)
    values = {field: request.query_params.get(field, "") for field in _FIELDS}
    datasets = [item.name for item in site.workspace.items("dataset")]
    if values["data"] and values["data"] not in datasets:
        site.workspace.path(values["data"])  # raises NotHereError if it does not exist
    values["data"] = values["data"] or (datasets[0] if len(datasets) == 1 else "")
    values["seed"] = values["seed"] or "1111"
    return page(
        request,
        "train.html",
        values=values,
        datasets=[{"name": name, **_facts(site, name)} for name in datasets],
        models=MODELS,
        others=sorted(set(parts.MODELS) - set(MODELS)),
        presets={name: _PRESETS.get(name, name) for name in ("", *parts.PRESETS)},
        starts=[run.name for run in site.runs.all() if run.state == "finished" and not run.seeds],
        taken=[item.name for item in site.workspace.items()],
        busy=any(not job.over for job in site.jobs.all()),
    )


def _facts(site: Site, name: str) -> dict[str, Any]:
    """Return the number of clips and of rated clips of a data set, or why it cannot be used."""
    try:
        dataset = api.open_dataset(site.workspace.path(name))
        rated = dataset.samples["split"][~np.isnan(dataset.labels())]
        counts = {split: int((rated == split).sum()) for split in parts.SPLITS}
        return {"counts": counts, "clips": len(dataset), "problem": _gap(counts)}
    except api.DatasetError as error:
        return {"counts": {}, "clips": 0, "problem": str(error)}


def _gap(counts: Mapping[str, int]) -> str:
    if not sum(counts.values()):
        return "No clip of this data set has a label yet. Rate some first."
    missing = [split for split in ("train", "valid") if not counts[split]]
    if missing:
        return f"No clip of the split {' and '.join(missing)} has a label. Rate some of these clips first."
    return ""


def command(site: Site, values: Mapping[str, str]) -> list[str]:
    """Return the command of a training from the fields of the form.

    Raises:
        RequestError: if a field is not valid; the message says what to do.
    """
    data, name = values.get("data", "").strip("/"), values.get("name", "").strip().rstrip("/")
    if not data:
        raise RequestError("Choose a data set.")
    if not (site.workspace.path(data) / parts.MANIFEST).is_file():
        raise RequestError(f"{data[:200]!r} is not a data set. Choose one from the list.")
    words = ["train", _argument(data)]
    if model := values.get("model", ""):
        if model not in parts.MODELS:
            raise RequestError(f"There is no model {model[:60]!r}. Choose one from the list.")
        words += ["--model", model]
    if preset := values.get("preset", ""):
        if preset not in parts.PRESETS:
            raise RequestError(f"There is no preset {preset[:60]!r}. Choose one from the list.")
        words += ["--preset", preset]
    if start := values.get("start", ""):
        if start != parts.STARTER and not (site.workspace.path(start) / "run.json").is_file():
            raise RequestError(f"{start[:200]!r} is not a run. Choose one from the list.")
        words += ["--start", _argument(start)]
    if seed := values.get("seed", "").strip():
        if not seed.isdecimal() or len(seed) > len(str(_HIGHEST_SEED)) or int(seed) > _HIGHEST_SEED:
            raise RequestError(f"The seed is {seed[:20]!r}: give a whole number from 0 to {_HIGHEST_SEED}.")
        words += ["--seed", seed]
    return [*words, "--out", _new_name(site, name), "--resume"]


def _argument(name: str) -> str:
    """Return a name that no command takes for an option."""
    return f"./{name}" if name.startswith("-") else name


def _new_name(site: Site, name: str) -> str:
    """Return the name of a new run.

    Raises:
        RequestError: if it is not a name in the folder, or is taken.
    """
    pieces = PurePosixPath(name).parts
    if not name or not _NAME.fullmatch(name) or any(piece in ("..", "/") or piece[0] in ".-" for piece in pieces):
        raise RequestError(
            "Give the run a name in this folder, such as runs/first. No part of it may begin with a dot or a hyphen."
        )
    inside = site.workspace.name_of(name)
    if inside is None:
        raise RequestError(f"{name!r} is outside this folder. Give another name, such as runs/first.")
    if (site.workspace.root / inside).exists():
        raise RequestError(f"{name!r} already exists. Give the run another name.")
    parents = [site.workspace.root / parent for parent in PurePosixPath(inside).parents]
    if any((parent / file).is_file() for parent in parents for file in (parts.MANIFEST, "run.json")):
        raise RequestError(f"{name!r} would be inside a data set or a run. Give a name such as runs/first.")
    if any(job.out == inside and not job.over for job in site.jobs.all()):
        raise RequestError(f"A job that makes {name!r} is not finished yet. Give the run another name.")
    return inside


async def start(request: Request) -> Response:
    """Start a training; the body has the fields of the form as JSON.

    With ``only``, start nothing, and return the command, or what is wrong with a field.
    """
    content = await json_of(request)
    values = {field: str(content.get(field, "")) for field in _FIELDS}
    return await run_in_threadpool(_start, site_of(request), values, bool(content.get("only")))


def _start(site: Site, values: Mapping[str, str], only: bool) -> Response:
    if only:
        try:
            return answer({"command": f"selfmm {shlex.join(command(site, values))}", "problem": ""})
        except (RequestError, NotHereError) as error:
            return answer({"command": "", "problem": str(error)})
    words = command(site, values)
    out = words[words.index("--out") + 1]
    job = site.jobs.start(f"Train {out} on {words[1]}", [words], out=out, about=words[1])
    site.workspace.look_again()
    return answer({"job": job.id}, 201)


routes = [Route("/runs/new", form), Route("/v1/train", start, methods=["POST"])]
