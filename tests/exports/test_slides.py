from io import BytesIO
from zipfile import ZipFile

import pytest
from pptx import Presentation
from pptx.util import Inches

from cqox.exports import export
from tests.exports.reports import EVIL, STUDIES_OF, WHEN, decision, evil, exported, made, of_study, wide


def opened(content: bytes):
    return Presentation(BytesIO(content))


def texts(slide) -> list[str]:
    found = []
    for shape in slide.shapes:
        if shape.has_text_frame:
            found += [paragraph.text for paragraph in shape.text_frame.paragraphs]
        if shape.has_table:
            found += [cell.text_frame.text for row in shape.table.rows for cell in row.cells]
    return found


def titles(content: bytes) -> list[str]:
    return [slide.shapes.title.text_frame.text for slide in opened(content).slides]


@pytest.mark.parametrize("kind", STUDIES_OF)
def test_the_slides_are_answer_assumptions_figure_and_gates(kind):
    report, _ = of_study(kind)
    content = exported(kind, "pptx")
    slides = list(opened(content).slides)
    found = titles(content)
    assert found[0].startswith("Effect o")
    assert found[1].startswith("Assumptions")
    assert found[-1].startswith("Gates")
    assert report.decision.headline in texts(slides[0])
    assert any(text.startswith(f"Verdict: {report.decision.verdict}") for text in texts(slides[0]))
    ledger = [text for slide, title in zip(slides, found, strict=True) if title.startswith("Assum")
              for text in texts(slide)]  # fmt: skip
    for assumption in report.identification.assumptions:
        assert f"{assumption.name}\n{assumption.statement}" in ledger
    gates = " ".join(text for slide, title in zip(slides, found, strict=True) if title.startswith("Gates")
                     for text in texts(slide))  # fmt: skip
    for name, gate in report.gates.items():
        if gate.status != "not_applicable":
            assert name in gates
        if gate.status in ("fail", "warn"):
            assert gate.reason in gates


@pytest.mark.parametrize("kind", STUDIES_OF)
def test_nothing_lies_outside_its_slide_and_the_figure_is_large(kind):
    file = opened(exported(kind, "pptx"))
    pictures = []
    for slide in file.slides:
        for shape in slide.shapes:
            assert shape.left >= 0
            assert shape.top >= 0
            assert shape.left + shape.width <= file.slide_width
            assert shape.top + shape.height <= file.slide_height
            if shape.shape_type == 13:
                pictures.append(shape)
    (picture,) = pictures
    assert picture.width > Inches(10) or picture.height > Inches(4)
    assert picture._element._nvXxPr.cNvPr.get("descr")


def test_long_ledgers_take_several_slides_with_the_head_on_each():
    assumptions = [
        {"name": f"assumption_{number}", "statement": "It holds. " * 12, "status": "untested", "caps": True,
         "evidence": ["Evidence of this. " * 10], "remedy": "Do something. " * 10}
        for number in range(12)
    ]  # fmt: skip
    report = made(identification={"design": "comparison", "statement": "s", "assumptions": assumptions})
    content = export(report, "pptx")
    found = [title for title in titles(content) if title.startswith("Assumptions")]
    assert found == [f"Assumptions ({number} of {len(found)})" for number in range(1, len(found) + 1)]
    assert len(found) > 2
    tables = [shape.table for slide in opened(content).slides for shape in slide.shapes if shape.has_table]
    assert all(table.rows[0].cells[0].text_frame.text == "Status" for table in tables)
    shown = [row.cells[1].text_frame.text for table in tables for row in list(table.rows)[1:]]
    assert [text.partition("\n")[0] for text in shown] == [f"assumption_{number}" for number in range(12)]


def test_a_text_of_any_length_is_cut_to_its_place():
    report = made(
        decision=decision(headline="long " * 500, reasons=["reason " * 300] * 8),
        mapping={"y": "y" * 300, "treatment": "w " * 200},
    )
    slide = opened(export(report, "pptx")).slides[0]
    found = texts(slide)
    assert any(text.startswith("long ") and text.endswith("…") for text in found)
    assert any("more in the full report" in text for text in found)


def test_names_that_are_markup_stay_text():
    report, _ = evil()
    content = export(report, "pptx")
    assert EVIL in titles(content)[0]


def test_japanese_slides_name_a_japanese_font_and_language():
    report, _ = wide()
    file = opened(export(report, "pptx", language="ja"))
    assert file.slides[0].shapes.title.text_frame.text == "施策が結果指標に及ぼす効果"
    assert file.slides[1].shapes.title.text_frame.text == "仮定"
    run = file.slides[0].shapes.title.text_frame.paragraphs[0].runs[0]
    assert run.font.name == "Yu Gothic"
    assert 'lang="ja-JP"' in run._r.xml
    assert '<a:ea typeface="Yu Gothic"' in run._r.xml


def test_times_are_those_of_the_report():
    content = exported("trial", "pptx")
    properties = opened(content).core_properties
    assert properties.created == properties.modified == WHEN.replace(tzinfo=None)
    with ZipFile(BytesIO(content)) as file:
        assert {member.date_time for member in file.infolist()} == {(2025, 4, 7, 9, 30, 0)}


def test_without_figures_ledger_and_gates_there_is_the_answer():
    assert titles(export(made(), "pptx")) == ["Effect of campaign on sales"]
