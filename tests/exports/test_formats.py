import hashlib
import subprocess
import sys
from datetime import UTC, datetime
from unittest import mock

import pytest

from cqox.contract import EXPORT_TYPES, Report
from cqox.errors import InvalidRequest
from cqox.exports import export
from tests.exports.reports import WHEN, decision, estimate, made, of_study

STARTS = {"html": b"<!DOCTYPE html>", "pdf": b"%PDF-", "pptx": b"PK", "docx": b"PK", "md": b"# ", "csv": b"estimator,"}


def in_process(code: str, report: Report) -> str:
    """The standard output of another process that reads the report from its standard input."""
    command, given = [sys.executable, "-c", code], report.model_dump_json()
    return subprocess.run(command, input=given, capture_output=True, check=True, timeout=120, text=True).stdout


@pytest.mark.parametrize("format", EXPORT_TYPES)
def test_every_format_is_written_the_same_each_time(format):
    report, specs = of_study("series")
    first = export(report, format, specs, language="en", created_at=WHEN)
    assert first.startswith(STARTS[format])
    assert export(report, format, specs, language="en", created_at=WHEN) == first
    later = report.model_copy(
        update={"provenance": report.provenance.model_copy(update={"cache": "hit", "trace_id": "t", "seconds": {}})}
    )
    assert export(later, format, specs, language="en", created_at=WHEN) == first
    assert 2_000 < len(first) < 500_000


def test_another_process_writes_the_same_bytes():
    code = (
        "import hashlib, sys; from datetime import datetime; from cqox.contract import EXPORT_TYPES, Report;"
        "from cqox.exports import export;"
        "report, when = Report.model_validate_json(sys.stdin.read()), datetime(2025, 4, 7);"
        "written = (export(report, each, language='ja', created_at=when) for each in EXPORT_TYPES);"
        "print(*(hashlib.sha256(each).hexdigest() for each in written))"
    )
    other = in_process(code, made())
    when = datetime(2025, 4, 7, tzinfo=UTC)
    here = [hashlib.sha256(export(made(), each, language="ja", created_at=when)).hexdigest() for each in EXPORT_TYPES]
    assert other.split() == here


@pytest.mark.parametrize("format", EXPORT_TYPES)
@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_report_of_an_older_release_and_one_without_a_number_are_written(format, language):
    old = made(decision=decision(headline=None), options={})
    failed = made(
        estimates=[estimate("aipw", None, status="failed", reason="It broke.")],
        decision=decision(verdict="HOLD", primary=None, reasons=[]),
        mapping={},
        status="failed",
    )
    for report in (old, failed):
        assert export(report, format, language=language).startswith((STARTS[format], b"\xef\xbb\xbf" + STARTS[format]))


@pytest.mark.parametrize("format", EXPORT_TYPES)
def test_controls_and_halves_of_letters_in_names_are_replaced(format):
    report = made(
        mapping={"y": "a\x00b\x0b\ud800", "treatment": "\u202ew"},
        estimates=[estimate("aipw", contrast="\x1b[31mred")],
    )
    assert export(report, format, title="x\x01y", remarks="\x02")


def test_an_unknown_format_names_the_valid_ones():
    with pytest.raises(InvalidRequest) as found:
        export(made(), "xlsx")
    assert list(found.value.choices) == list(EXPORT_TYPES)
    assert "'xlsx'" in str(found.value)


@pytest.mark.parametrize(
    ("format", "package", "writer", "command"),
    [
        ("pdf", "typst", "cqox.exports.typeset", "pip install 'cqox[export]'"),
        ("pptx", "pptx", "cqox.exports.slides", "pip install 'cqox[export]'"),
        ("docx", "docx", "cqox.exports.word", "pip install 'cqox[export]'"),
        ("html", "vl_convert", "cqox.exports.page", "pip install 'cqox[engine]'"),
    ],
)
def test_a_missing_package_says_the_command(format, package, writer, command, monkeypatch):
    # The renderer of a page is loaded with its first figure.
    report, specs = of_study("series")
    gone = [name for name in sys.modules if name.startswith("cqox.exports.") and name != "cqox.exports.formats"]
    gone += [name for name in sys.modules if name.startswith((f"{package}.", "cqox.figures"))]
    for name in gone:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InvalidRequest) as found:
        export(report, format, specs)
    assert command in str(found.value)
    # Only that of a page draws without its package, until there is a figure.
    assert (writer in sys.modules) == (format == "html")


def test_text_formats_load_no_numerics_and_no_office_packages():
    code = (
        "import sys; from cqox.exports import export; from cqox.contract import Report;"
        "report = Report.model_validate_json(sys.stdin.read());"
        "export(report, 'md'); export(report, 'csv');"
        "heavy = {'numpy', 'polars', 'altair', 'vl_convert', 'typst', 'pptx', 'docx', 'lxml', 'PIL'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert in_process(code, made()).strip() == "[]"


def test_a_time_without_a_zone_is_in_utc():
    report = made()
    with mock.patch.dict("os.environ", {"TZ": "Asia/Tokyo"}):
        naive = export(report, "md", created_at=datetime(2025, 4, 7, 9, 30))
    assert naive == export(report, "md", created_at=WHEN)
