"""Formats of a report's documents."""

from collections.abc import Mapping
from typing import Literal

__all__ = ["EXPORT_TYPES", "ExportFormat"]

type ExportFormat = Literal["html", "pdf", "pptx", "docx", "md", "csv"]
"""Suffix of a file that holds a report as a document."""

EXPORT_TYPES: Mapping[str, str] = {
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "md": "text/markdown; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
}
"""Every format by its name, which is also the ending of its files, with its Content-Type."""
