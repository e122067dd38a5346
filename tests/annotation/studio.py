"""Label Studio as its documentation describes it, for tests: what it accepts, and what it exports."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

OBJECTS = {"Text", "Audio", "Video"}


def complaints(config: str, task: Mapping[str, Any]) -> list[str]:
    """What keeps a task from being imported into a project with this configuration."""
    view = ElementTree.fromstring(config)
    objects = {tag.get("name"): tag.get("value") for tag in view.iter() if tag.tag in OBJECTS}
    controls = {tag.get("name"): tag for tag in view.iter("Number")}
    names = [tag.get("name") for tag in view.iter() if tag.get("name")]
    problems = [f"name {name} twice" for name in set(names) if names.count(name) > 1]
    problems += [f"{name} points to nothing" for name, tag in controls.items() if tag.get("toName") not in objects]
    for value in objects.values():
        if not value or value[0] != "$" or not isinstance(task["data"].get(value[1:]), str):
            problems.append(f"no data for {value}")
    for prediction in task.get("predictions", []):
        if not 0 <= prediction["score"] <= 1:
            problems.append(f"score {prediction['score']}")
        for result in prediction["result"]:
            control = controls.get(result["from_name"])
            if control is None or control.get("toName") != result["to_name"] or result["type"] != "number":
                problems.append(f"no control for {result}")
            elif not _fits(result["value"]["number"], control):
                problems.append(f"value {result['value']}")
    return problems


def _fits(value: float, control: ElementTree.Element) -> bool:
    low, high, step = (float(control.get(name, "nan")) for name in ("min", "max", "step"))
    steps = (value - low) / step
    return low <= value <= high and math.isclose(steps, round(steps), abs_tol=1e-6)


def annotation(
    ratings: Mapping[str, object], to_names: Mapping[str, str], by: object = 1, **more: object
) -> dict[str, Any]:
    """A completed annotation as the JSON export has it; ``ratings`` per control."""
    result = [
        {
            "id": f"r{number}",
            "from_name": name,
            "to_name": to_names.get(name, "clip"),
            "type": "number",
            "origin": "manual",
            "value": {"number": value},
        }
        for number, (name, value) in enumerate(ratings.items())
    ]
    return {
        "id": 1000,
        "completed_by": by,
        "result": result,
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": "2026-03-09T22:16:08.728353Z",
        "updated_at": "2026-03-09T22:16:08.728378Z",
        "draft_created_at": None,
        "lead_time": 4.2,
        "task": 1,
        "parent_prediction": None,
        **more,
    }


def exported(task: Mapping[str, Any], number: int, *annotations: dict[str, Any]) -> dict[str, Any]:
    """A task as the JSON export has it."""
    return {
        "id": number,
        "annotations": list(annotations),
        "file_upload": "tasks.json",
        "drafts": [{"result": [{"from_name": "label_text", "value": {"number": 99}}]}],
        "predictions": [],
        "data": dict(task["data"]),
        "meta": {},
        "created_at": "2026-03-09T21:52:49.513742Z",
        "updated_at": "2026-03-09T22:16:08.746926Z",
        "project": 83,
        "total_annotations": len(annotations),
    }


def min_records(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same as JSON-MIN: a record per annotation, its ratings beside the data, the task's number as ``id``."""
    return [
        {
            **task["data"],
            "id": task["id"],
            **{result["from_name"]: [result["value"]] for result in one["result"]},
            "annotator": one["completed_by"],
            "annotation_id": one["id"],
            "created_at": one["created_at"],
            "updated_at": one["updated_at"],
            "lead_time": one["lead_time"],
        }
        for task in tasks
        for one in task["annotations"]
        if not one["was_cancelled"]
    ]
