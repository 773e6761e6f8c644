from datetime import UTC, datetime
from io import BytesIO
from zipfile import ZipFile

import pytest
from docx import Document
from docx.oxml.ns import qn

from cqox.exports import export
from tests.exports.reports import EVIL, LONG, STUDIES_OF, WHEN, evil, exported, of_study, wide


def opened(content: bytes):
    return Document(BytesIO(content))


def text_of(content: bytes) -> str:
    document = opened(content)
    cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
    return "\n".join([*(paragraph.text for paragraph in document.paragraphs), *cells])


@pytest.mark.parametrize("kind", STUDIES_OF)
def test_a_document_has_the_answer_the_tables_and_headings(kind):
    report, _ = of_study(kind)
    content = export(report, "docx", created_at=WHEN)
    text = text_of(content)
    for said in (report.decision.headline, *report.decision.reasons, *report.gates):
        assert said in text
    headings = [each.text for each in opened(content).paragraphs if each.style.name == "Heading 1"]
    assert headings[:4] == ["Effect", "Assumptions", "Gates", "Estimates"]
    assert headings[-1] == "Provenance"


def test_figures_are_pictures_with_words_that_fit_the_page():
    report, specs = of_study("cutoff")
    document = opened(exported("cutoff", "docx"))
    assert len(document.inline_shapes) == len(specs)
    for shape in document.inline_shapes:
        assert shape._inline.docPr.get("descr")
        assert shape.width.cm <= 17.01
        assert shape.height.cm <= 21.01
    assert report.figures.keys() == specs.keys()


def test_names_that_are_markup_stay_text():
    report, _ = evil()
    text = text_of(export(report, "docx"))
    assert EVIL in text
    assert "<b>A</b> vs control" in text


def test_japanese_texts_name_a_japanese_font():
    report, _ = wide()
    content = export(report, "docx", language="ja", created_at=WHEN)
    assert LONG.format(59) in text_of(content)
    fonts = opened(content).styles["Normal"].element.rPr.rFonts
    assert fonts.get(qn("w:eastAsia")) == fonts.get(qn("w:ascii")) == "Yu Gothic"


def test_the_head_of_a_table_is_repeated_and_columns_have_widths():
    report, _ = of_study("staggered")
    tables = opened(export(report, "docx")).tables
    table = next(table for table in tables if table.rows[0].cells[0].text == "Estimator")
    assert table.rows[0]._tr.trPr.find(qn("w:tblHeader")) is not None
    assert 16 < sum(column.width.cm for column in table.columns) < 18


def test_times_are_those_of_the_report():
    content = exported("trial", "docx")
    properties = opened(content).core_properties
    assert properties.created == properties.modified == WHEN
    assert properties.author == "CQOx"
    with ZipFile(BytesIO(content)) as file:
        assert {member.date_time for member in file.infolist()} == {(2025, 4, 7, 9, 30, 0)}
    report, _ = of_study("trial")
    assert opened(export(report, "docx")).core_properties.created == datetime(1980, 1, 1, tzinfo=UTC)
