"""Why a clip has its score, and the labels per modality that a run generated."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Visit = Callable[..., Any]
pytestmark = pytest.mark.slow  # a process loads torch


def test_contributions_add_up_and_words_are_read_by_keys(served: Any, visit: Visit) -> None:
    page = visit(served, "/runs/runs/first?view=explain").page
    page.get_by_role("region", name="Clips").get_by_role("link").first.click()
    page.locator(".parts").first.wait_for(timeout=300_000)
    rows = page.locator(".parts").first.locator("li").all()
    values = [float(row.locator(".number").inner_text().replace("−", "-")) for row in rows]
    assert sum(values[:-1]) == pytest.approx(values[-1], abs=0.03)
    assert len(values) == 5  # nothing, text, audio, vision, and the score
    page.locator(".spoken button").first.focus()
    tip = page.locator(".spoken ~ .tip")
    first = tip.inner_text()
    page.keyboard.press("ArrowRight")
    assert tip.inner_text() != first
    assert "the score by" in tip.inner_text()
    assert page.get_by_role("heading", name="Each moment: audio").is_visible()


def test_what_adds_nothing_is_a_sentence_and_another_fit_is_named(served: Any, visit: Visit) -> None:
    part = {"added": 0.0, "alone": None, "content": 0.0, "gap": 0.0}
    content = {
        "id": "a",
        "score": -0.67,
        "base": 0.0,
        "label_range": [-3, 3],
        "contributions": [{"modality": "text", "value": -0.67, **part}, {"modality": "audio", "value": -0.0, **part}],
        "lacking": [],
        "text": "so bad",
        "words": [{"word": "bad", "start": 3, "end": 6, "value": -0.67}],
        "frames": [
            {"modality": "audio", "rate": None, "columns": {"mel_1": -0.0, "mel_2": 0.0001}}
            | {"curve": [-0.0, 0.0], "peak": 0, "peak_column": "mel_1"},
            {"modality": "vision", "rate": 10.0, "columns": {"smile": 0.5, "brow": 0.0002}}
            | {"curve": [0.0, 0.5], "peak": 1, "peak_column": "smile"},
        ],
        "steps": 8,
        "labels": {},
        "split": "train",
    }
    page = visit(served, "/runs").page

    def explain_page(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace('data-shown=""', 'data-shown="-0.7810"'))

    page.route("**/v1/explain?*", lambda route: route.fulfill(json=content))
    page.route("**view=explain*", explain_page)
    page.goto(f"{served.base}/runs/runs/first?view=explain&clip=a")
    page.get_by_text("It adds nothing: no frame and no feature changes the score by 0.01.").wait_for()
    assert "shows the score −0.78 for this clip" in page.locator("#other-fit").inner_text()
    text = page.locator("#explanation").inner_text()
    assert "mel_1" not in text
    assert "Other features that change the score by less than 0.001: 1." in text
    assert not any(zero in text.split() for zero in ("-0", "−0", "-0.00", "−0.00"))


def test_an_explanation_is_refused_with_a_sentence(served: Any) -> None:
    for query, says in (("run=runs/first&data=data&clip=nothing", "no clip 'nothing'"), ("clip=x", "must name a run")):
        status, body, _ = served.fetch(f"/v1/explain?{query}")
        assert 400 <= status < 500
        assert says in json.loads(body)["error"]


def test_labels_are_audited_shown_and_downloaded(served: Any, visit: Visit) -> None:
    page = visit(served, "/runs/runs/first?view=labels").page
    page.get_by_role("heading", name="Each clip").wait_for(timeout=300_000)
    assert page.locator(".verdicts li").count() == 3
    page.get_by_role("button", name="vision", exact=True).click()
    page.wait_for_url("**modality=vision*")
    page.get_by_role("button", name="Sign changed").click()
    page.wait_for_url("**only=flipped*")
    assert all(
        "negative" in (cell.get_attribute("class") or "")
        for cell in page.locator("#labels .rows tbody tr td:nth-child(6)").all()
    )
    page.get_by_role("button", name="All", exact=True).click()
    page.locator("#labels .rows tbody th button").first.click()
    page.get_by_text("Its labels over the epochs").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name=".csv").click()
    path = download.value.path()
    assert path.read_text(encoding="utf-8-sig").splitlines()[0].startswith("id,")


def test_a_run_without_generated_labels_says_so(served: Any) -> None:
    info = served.root / "runs" / "first" / "run.json"
    before = info.read_text()
    try:
        info.write_text(before.replace('"generated"', '"none"'))
        status, body, _ = served.fetch("/runs/runs/first?view=labels")
        assert status == 200
        assert "no generated labels per modality" in body.decode()
        assert served.fetch("/v1/run-labels?run=runs/first")[0] == 422
    finally:
        info.write_text(before)
