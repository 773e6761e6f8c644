"""Progress in a terminal, in a notebook and for a function."""

import sys
from collections.abc import Mapping
from types import ModuleType

import pytest

from cqox.api import progress as shows
from cqox.api.progress import shown
from cqox.errors import InvalidRequest


def test_a_function_gets_every_step() -> None:
    steps: list[Mapping[str, object]] = []
    with shown(steps.append) as on_step:
        assert on_step is not None
        on_step({"step": "plan"})
    assert steps == [{"step": "plan"}]


def test_another_value_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"'progress' is of type str\."), shown("foo"):  # type: ignore[arg-type]
        pass


def test_there_is_none_where_it_is_not_wanted_or_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    with shown(False) as on_step:
        assert on_step is None
    monkeypatch.setattr(sys, "stderr", open("/dev/null", "w", encoding="utf-8"))  # noqa: SIM115
    with shown(None) as on_step:
        assert on_step is None
    sys.stderr.close()


def test_a_terminal_shows_one_line_once_it_takes_long_and_removes_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with shown(True) as on_step:
        assert on_step is not None
        on_step({"step": "quick"})
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(shows, "_QUIET_SECONDS", 0.0)
    with shown(True) as on_step:
        assert on_step is not None
        on_step({"step": "estimate.aipw"})
        on_step({"step": "upload", "sent_bytes": 3, "size_bytes": 4})
        on_step({"step": "x" * 200})
    lines = capsys.readouterr().err.split("\r")
    assert lines[1].rstrip() == "cqox: estimate.aipw"
    assert lines[2].rstrip() == "cqox: upload 75%"
    assert len(lines[3]) == len(lines[1])
    assert lines[-2].strip() == lines[-1] == ""


def test_a_notebook_updates_one_output(monkeypatch: pytest.MonkeyPatch) -> None:
    class ZMQInteractiveShell:
        pass

    outputs: list[str] = []

    class Handle:
        def update(self, content: dict[str, str], *, raw: bool) -> None:
            outputs.append(content["text/plain"])

    def display(content: dict[str, str], *, raw: bool, display_id: bool) -> Handle:
        outputs.append(content["text/plain"])
        return Handle()

    ipython, shown_by = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = ZMQInteractiveShell  # type: ignore[attr-defined]
    shown_by.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", shown_by)
    monkeypatch.setattr(shows, "_QUIET_SECONDS", 0.0)
    with shown(None) as on_step:
        assert on_step is not None
        on_step({"step": "plan"})
        on_step({"step": "figures"})
    assert outputs == ["cqox: plan", "cqox: figures", " "]
