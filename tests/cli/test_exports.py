from pathlib import Path

import pytest

from cqox.cli.exports import FORMATS, check_targets, format_of, write_output, write_report
from cqox.errors import InvalidRequest


class Written:
    """Stand in for a report: each method writes its own name."""

    def __getattr__(self, name: str):
        return lambda path: Path(path).write_text(name, encoding="utf-8")


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_has_a_method_of_the_report(tmp_path: Path, form):
    from cqox.api.report import Report

    path = tmp_path / f"r.{form.upper()}"
    write_report(Written(), path, format_of(path))  # type: ignore[arg-type]
    name = path.read_text(encoding="utf-8")
    assert name == {"md": "to_markdown"}.get(form, f"to_{form}")
    assert callable(getattr(Report, name))


def test_a_suffix_of_no_format_is_refused_with_those_that_there_are(tmp_path: Path):
    with pytest.raises(InvalidRequest) as refused:
        check_targets([tmp_path / "a.html", tmp_path / "a.xls"])
    assert refused.value.choices == FORMATS
    with pytest.raises(InvalidRequest, match="does not exist"):
        check_targets([tmp_path / "none" / "a.html"])


def test_standard_output_gets_the_bytes_of_the_file(capfdbinary: pytest.CaptureFixture[bytes]):
    write_output(Written(), "pdf")  # type: ignore[arg-type]
    assert capfdbinary.readouterr().out == b"to_pdf"


def test_a_terminal_gets_no_binary_file(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    with pytest.raises(InvalidRequest, match="--output"):
        write_output(Written(), "pptx")  # type: ignore[arg-type]
