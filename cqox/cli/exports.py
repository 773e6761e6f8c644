"""Reports as files: which formats there are, and how one is written."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from cqox.api.report import Report
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest

__all__ = ["FORMATS", "Format", "check_targets", "format_of", "write_output", "write_report"]

type Format = Literal["html", "pdf", "pptx", "docx", "md", "csv", "json"]
"""A format by the suffix of its files."""

FORMATS: tuple[Format, ...] = get_args(Format.__value__)

_BINARY = frozenset({"pdf", "pptx", "docx"})


def format_of(path: Path) -> Format:
    """Return the format of a file by its suffix.

    Raises:
        InvalidRequest: no format has this suffix; `choices` are the formats.
    """
    suffix = path.suffix.removeprefix(".").lower()
    if suffix not in FORMATS:
        raise InvalidRequest(Message("terminal.no-such-format", file=str(path)), choices=FORMATS)
    return suffix


def check_targets(targets: Sequence[Path]) -> None:
    """Check, before anything is computed, that files can be written there.

    Raises:
        InvalidRequest: a suffix is of no format, or the folder does not exist.
    """
    for path in targets:
        format_of(path)
        if not path.parent.is_dir():
            raise InvalidRequest(Message("terminal.no-such-folder", folder=str(path.parent)))


def write_report(report: Report, path: Path, form: Format) -> None:
    """Write a report into a file.

    Raises:
        InputError: a package that the format needs is not installed.
        OSError: the file cannot be written.
    """
    match form:
        case "html":
            report.to_html(path)
        case "pdf":
            report.to_pdf(path)
        case "pptx":
            report.to_pptx(path)
        case "docx":
            report.to_docx(path)
        case "md":
            report.to_markdown(path)
        case "csv":
            report.to_csv(path)
        case "json":
            report.to_json(path)


def write_output(report: Report, form: Format) -> None:
    """Write a report to standard output, the bytes of its file.

    Raises:
        InvalidRequest: the format is binary, and standard output a terminal.
    """
    if form in _BINARY and sys.stdout.isatty():
        raise InvalidRequest(Message("terminal.binary-format", form=form))
    with tempfile.TemporaryDirectory(prefix="cqox-") as folder:
        path = Path(folder) / f"report.{form}"
        write_report(report, path, form)
        sys.stdout.flush()
        sys.stdout.buffer.write(path.read_bytes())
        sys.stdout.buffer.flush()
