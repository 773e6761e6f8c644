"""Exports of a report: one function, a writer for each format, loaded when it is first asked for."""

from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import JsonValue

from cqox.contract import EXPORT_TYPES, Report
from cqox.contract.messages import LANGUAGES, Language, Message
from cqox.errors import InvalidRequest
from cqox.exports.contents import document_of
from cqox.exports.reading import level_of, translated
from cqox.exports.wording import Wording

__all__ = ["export"]

_EXTRAS = {"typst": "export", "pptx": "export", "docx": "export"}
_OTHER_EXTRA = "engine"


def export(
    report: Report,
    format: str,
    figures: Mapping[str, Mapping[str, JsonValue]] | None = None,
    *,
    language: Language = LANGUAGES[0],
    created_at: datetime | None = None,
    title: str | None = None,
    remarks: str | None = None,
) -> bytes:
    """Write a finished report in a format. The same report and arguments give the same bytes.

    The CSV is a tidy table of the estimates alone; its columns have English names in every language.

    Args:
        report: as the API returns it in English, of this release or an older one.
        format: one of `EXPORT_TYPES`.
        figures: figure name to Vega-Lite specification, as the API returns it in English; without them the document
            has none.
        language: language of the document.
        created_at: when the report was computed, in UTC if it names no zone; it is in the document and its metadata.
        title: title of the document; "Effect of ... on ..." if None.
        remarks: paragraphs of its owner, with an empty line between two, below the verdict.

    Raises:
        InvalidRequest: there is no such format, or a package that it needs is not installed.
    """
    if format not in EXPORT_TYPES:
        raise InvalidRequest(
            Message("exports.no-such-format", format=format[:20]), field="format", choices=list(EXPORT_TYPES)
        )
    if created_at is not None and created_at.tzinfo is None:
        created_at = created_at.replace(tzinfo=UTC)
    try:
        if format == "csv":
            from cqox.exports.tidy import tidy_csv

            return tidy_csv(translated(report, language), Wording(language=language, level=level_of(report)))
        document = document_of(
            report, figures or {}, language=language, created_at=created_at, title=title, remarks=remarks
        )
        match format:
            case "html":
                from cqox.exports.page import html_page

                return html_page(document)
            case "pdf":
                from cqox.exports.typeset import pdf_document

                return pdf_document(document, created_at)
            case "pptx":
                from cqox.exports.slides import slide_deck

                return slide_deck(document, created_at)
            case "docx":
                from cqox.exports.word import word_document

                return word_document(document, created_at)
            case _:
                from cqox.exports.markdown import markdown

                return markdown(document)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0], _OTHER_EXTRA)
        command = f"pip install 'cqox[{extra}]'"
        missing = Message("exports.missing-package", format=format, command=command)
        raise InvalidRequest(missing, field="format") from error
