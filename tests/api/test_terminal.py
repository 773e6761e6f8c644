"""The text of a report."""

import builtins

import pytest

from cqox.api.report import Report
from cqox.api.terminal import text_of


def test_it_is_as_wide_as_the_terminal_and_at_least_eighty(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    narrow = text_of(report)
    monkeypatch.setenv("COLUMNS", "200")
    wide = text_of(report)
    assert "difference_in_means" in wide
    rows = [line for line in narrow.splitlines() if line.startswith("difference_in_m")]
    assert all(len(line) <= 80 for line in rows)
    assert not any(line != line.rstrip() for line in wide.splitlines())


def test_a_notebook_gets_it_as_text_and_nowhere_else(
    report: Report, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class ZMQInteractiveShell:
        pass

    usual = text_of(report)
    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    assert text_of(report) == usual
    assert "\x1b" not in usual
    assert capsys.readouterr().out == ""
