"""The page that trains a model: a form, and the job that it starts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from selfmm import api
from selfmm.api import parts
from selfmm.app.errors import NotHereError, RequestError
from selfmm.app.pages import answer, page, site_of, takes_json
from selfmm.app.site import Site
from selfmm.app.workspace import write_problem

MODELS = {
    "": "Choose for me: adapt for few rated clips, Self-MM for many",
    "adapt": "adapt: fitted to your ratings in seconds, on top of the starter",
    "self_mm": "Self-MM: learns a score and labels of each modality; minutes to hours",
    "lf_dnn": "LF-DNN: a small network without labels per modality",
}
_PRESETS = {
    "": "None: the defaults",
    "quickstart": "quickstart: small and quick, to try things",
    "best": "best: the most accurate; minutes to hours",
    "mosi": "mosi: as published, for data like CMU-MOSI",
    "mosei": "mosei: as published, for data like CMU-MOSEI",
    "sims": "sims: as published, for data like CH-SIMS",
    "simsv2": "simsv2: as published, for data like CH-SIMS v2",
}
ABOUT = {
    "adapt": "Fitted to your ratings in closed form, in seconds. It adds to the starter what the ratings show.",
    "self_mm": "A network that also generates labels of each modality, and learns from them (Yu et al. 2021).",
    "lf_dnn": "One vector per modality; a small network reads them together (Cambria et al. 2017).",
    "ef_lstm": "One LSTM reads the features of all modalities together, step by step (Williams et al. 2018).",
    "tfn": "Tensor Fusion Network: each modality, each pair, and all of them together (Zadeh et al. 2017).",
    "lmf": "Low-rank Multimodal Fusion: like TFN, with far fewer weights (Liu et al. 2018).",
    "mfn": "Memory Fusion Network: an LSTM per modality, and a memory of how they change (Zadeh et al. 2018).",
    "graph_mfn": "MFN with a graph over all groups of modalities (Zadeh et al. 2018).",
    "mfm": "Multimodal Factorization Model: it must also reconstruct each modality (Tsai et al. 2019).",
    "mag_bert": "BERT in which voice and face during a word change how that word is read (Rahman et al. 2020).",
    "misa": "Separates what the modalities share from what is special to each (Hazarika et al. 2020).",
    "mmim": "Keeps as much information of each modality in the fused one as it can (Han et al. 2021).",
    "mult": "Multimodal Transformer: each modality attends to every other one (Tsai et al. 2019).",
    "tetfn": "MulT in which the text leads, with Self-MM's labels of each modality (Wang et al. 2023).",
    "almt": "The text selects what matters in voice and face, with transformers (Zhang et al. 2023).",
    "iccn": "Correlates the text with the voice and with the face (Sun et al. 2020).",
    "mlf_dnn": "LF-DNN that also learns people's labels of each modality (Yu et al. 2020). It needs such labels.",
    "mtfn": "TFN that also learns people's labels of each modality (Yu et al. 2020). It needs such labels.",
    "mlmf": "LMF that also learns people's labels of each modality (Yu et al. 2020). It needs such labels.",
}
"""A line about each model: what it does, and who published it."""
_FIELDS = ("data", "model", "preset", "start", "seed", "epochs", "name")
_NAME = re.compile(r"[^\x00-\x1f\x7f\\]{1,200}")
_HIGHEST_SEED = 2**31 - 1
_MOST_EPOCHS = 100_000


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
        about=ABOUT,
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
    if epochs := values.get("epochs", "").strip():
        if not epochs.isdecimal() or len(epochs) > len(str(_MOST_EPOCHS)) or not 0 < int(epochs) <= _MOST_EPOCHS:
            raise RequestError(
                f"The number of epochs is {epochs[:20]!r}: give a whole number from 1 to {_MOST_EPOCHS:,}, or nothing."
            )
        words += ["--set", f"training.max_epochs={int(epochs)}"]
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
    if problem := write_problem(site.workspace.root / inside):
        raise RequestError(problem)
    if any(job.out == inside and not job.over for job in site.jobs.all()):
        raise RequestError(f"A job that makes {name!r} is not finished yet. Give the run another name.")
    return inside


@takes_json
def start(request: Request, content: dict[str, Any]) -> Response:
    """Start a training; the body has the fields of the form as JSON.

    With ``only``, start nothing, and return the command, or what is wrong with a field.
    """
    site, values = site_of(request), {field: str(content.get(field, "")) for field in _FIELDS}
    if content.get("only"):
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
