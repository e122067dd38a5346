"""Languages have the names that the recognisers' authors gave them, but for three."""

from __future__ import annotations

from selfmm.core.languages import language_name


def test_every_language_of_the_recognisers_has_a_name() -> None:
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    different = {code for code, name in LANGUAGES.items() if language_name(code).lower() != name}
    assert different == {"my", "nn"}
    assert language_name("xx") == "xx"
