"""Errors of the processes that analyse runs."""

from __future__ import annotations

import pytest

from selfmm import api
from selfmm.app.analysis import _process


def test_an_error_is_its_message_and_a_crash_shows_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(api.RunError, match=r"^it is damaged; see b\.$"):
        _process("-c", "import sys; sys.exit('warning: x\\nerror: it is damaged;\\n  see b.')")
    with pytest.raises(api.RunError, match=r"ended with code 1\.") as caught:
        _process("-c", "raise ValueError('error: x')")
    assert "Traceback" not in str(caught.value)
    assert "Traceback" in capsys.readouterr().err
