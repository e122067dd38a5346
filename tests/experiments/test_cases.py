"""What a comparison and an ablation are made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfmm.config.settings import load_settings
from selfmm.core.errors import SettingsError
from selfmm.experiments.cases import ABLATIONS, ablation_cases, model_cases
from selfmm.models import MODELS

MODALITIES = ("text", "audio", "vision")


def test_models_with_settings_of_their_own(tmp_path: Path) -> None:
    preset = tmp_path / "tuned.toml"
    preset.write_text('model = "ef_lstm"\n[options]\nhidden = 16\n')
    cases = model_cases(["self_mm", "lf_dnn+labels.source=generated", str(preset)], "mosi", ["training.max_epochs=3"])
    assert [case.name for case in cases] == ["self_mm", "lf_dnn+labels.source=generated", "tuned"]
    own, borrowed, tuned = (case.settings for case in cases)
    assert (own.model, own.text.encoder, own.training.max_epochs) == ("self_mm", "bert-base-uncased", 3)
    assert (borrowed.model, borrowed.labels.source) == ("lf_dnn", "generated")
    assert (tuned.model, tuned.options, tuned.text.encoder) == ("ef_lstm", {"hidden": 16}, "minilm")
    assert tuned.training.max_epochs == 3


def test_all_of_them() -> None:
    assert [case.name for case in model_cases(["all"], None, [])] == list(MODELS)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(
        SettingsError, match=r"3 settings are wrong[\s\S]*did you mean 'self_mm'[\s\S]*labels.sorce[\s\S]*no.toml"
    ):
        model_cases(["selfmm", "lf_dnn+labels.sorce=none", "no.toml"], None, [])


def test_tasks_are_the_papers_table() -> None:
    cases = ablation_cases("tasks", load_settings(), MODALITIES)
    assert [case.name for case in cases] == [
        *("full", "tasks=m", "tasks=m,text", "tasks=m,audio", "tasks=m,vision"),
        *("tasks=m,text,audio", "tasks=m,text,vision", "tasks=m,audio,vision"),
    ]
    assert cases[0].settings == load_settings()
    assert cases[1].settings.labels.source == "none"
    assert cases[3].settings.labels.tasks == ("audio",)
    assert {case.settings.labels.source for case in cases[2:]} == {"generated"}
    people = ablation_cases("tasks", load_settings(None, ["labels.source=human"]), MODALITIES)
    assert {case.settings.labels.source for case in people[2:]} == {"human"}
    alone = ablation_cases("tasks", load_settings(None, ["model=lf_dnn"]), MODALITIES)
    assert [alone[1].name, alone[-1].name, len(alone)] == ["tasks=m,text", "tasks=m,text,audio,vision", 8]


def test_what_else_is_varied() -> None:
    settings = load_settings(None, ["training.max_epochs=3", "labels.rule=authors"])
    rules = ablation_cases("rules", settings, MODALITIES)
    assert [case.settings.labels.rule for case in rules[:5]] == ["authors", "paper", "centre-gap", "sugrm", "posterior"]
    assert [case.settings.labels.source for case in rules[5:]] == ["human", "none"]
    left = ablation_cases("modalities", settings, MODALITIES)
    assert [case.settings.modalities for case in left[:3]] == [(), ("text", "audio"), ("text", "vision")]
    assert len(left) == 7
    amounts = ablation_cases("amount", settings, MODALITIES)
    assert [case.settings.training.share for case in amounts] == [1, 0.5, 0.25, 0.1]
    for what in ABLATIONS:
        cases = ablation_cases(what, settings, MODALITIES)
        assert all(case.settings.training.max_epochs == 3 for case in cases)
        assert cases[0].settings == settings
        assert len({case.settings.model_dump_json() for case in cases}) == len(cases), "no training is done twice"


def test_no_such_ablation() -> None:
    with pytest.raises(SettingsError, match="'task' is not an ablation; did you mean 'tasks'"):
        ablation_cases("task", load_settings(), MODALITIES)
