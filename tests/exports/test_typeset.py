import re
from collections.abc import Iterator
from io import BytesIO

import pytest
from pypdf import PdfReader
from pypdf.generic import ArrayObject, DictionaryObject, IndirectObject

from cqox.exports import export
from tests.exports.reports import (
    EVIL_COVARIATES,
    LONG,
    STUDIES_OF,
    WHEN,
    decision,
    evil,
    exported,
    made,
    of_study,
    wide,
)


def opened(content: bytes) -> PdfReader:
    return PdfReader(BytesIO(content))


def text_of(content: bytes) -> str:
    """The text of all pages without blanks: lines of a page end anywhere."""
    return "".join(re.sub(r"[\s\u200b]", "", page.extract_text()) for page in opened(content).pages)


def solid(text: str) -> str:
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("kind", STUDIES_OF)
def test_a_document_has_the_answer_assumptions_and_gates(kind):
    report, _ = of_study(kind)
    text = text_of(export(report, "pdf", created_at=WHEN))
    for said in (report.decision.headline, *report.decision.reasons, *report.gates):
        assert solid(said) in text
    for assumption in report.identification.assumptions:
        assert solid(assumption.statement) in text


def alternatives(element: object) -> Iterator[str]:
    """The alternative texts below an element of the structure tree."""
    found = element.get_object() if isinstance(element, IndirectObject) else element
    if isinstance(found, ArrayObject):
        for each in found:
            yield from alternatives(each)
    elif isinstance(found, DictionaryObject):
        if "/Alt" in found:
            yield str(found["/Alt"])
        yield from alternatives(found.get("/K"))


def test_figures_are_drawn_with_their_letters_and_described():
    report, specs = of_study("cutoff")
    with_figures, without = exported("cutoff", "pdf"), export(report, "pdf", created_at=WHEN)
    assert len(opened(with_figures).pages) > len(opened(without).pages)
    assert solid("Mean survival_score around the cutoff 1500") in text_of(with_figures)
    found = list(alternatives(opened(with_figures).trailer["/Root"]["/StructTreeRoot"]))
    assert len(found) == len(specs)
    assert found[0].startswith("Mean survival_score around the cutoff 1500 of birth_weight. Binned means")


def test_the_file_holds_its_fonts_is_tagged_and_names_its_language():
    reader = opened(exported("cutoff", "pdf"))
    root = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"] == True  # noqa: E712
    assert root["/Lang"] == "en"
    fonts = {
        str(font.get_object()["/BaseFont"]).partition("+")[2]
        for page in reader.pages
        for font in page["/Resources"].get("/Font", {}).values()
    }
    assert fonts == {"CQOxGothic-Regular", "CQOxGothic-Bold"}
    assert "/JavaScript" not in str(root)
    assert "/URI" not in str(root)


def test_japanese_is_in_the_typeface_of_the_project():
    report, _ = wide()
    content = export(report, "pdf", language="ja", created_at=WHEN)
    text = text_of(content)
    assert "施策が結果指標に及ぼす効果" in text
    assert LONG.format(59) in text
    assert opened(content).trailer["/Root"]["/Lang"] == "ja"
    assert len(content) < 1_000_000


def test_names_that_are_code_stay_text():
    report, _ = evil()
    text = text_of(export(report, "pdf"))
    for name in EVIL_COVARIATES:
        assert solid(name) in text


def test_a_title_that_is_code_stays_text():
    code = '#import "@preview/x:1" #read("/etc/passwd") $a$ *b* _c_ <d> @e // f `g` \\u{41} [h] = i'
    report = made(decision=decision(headline=code))
    content = export(report, "pdf", title=code, remarks=code)
    assert text_of(content).count(solid(code)) == 3
    assert opened(content).metadata.title == code


def test_a_word_of_any_length_is_divided():
    word = "w" * 300
    content = export(made(mapping={"y": word, "treatment": word}), "pdf")
    assert text_of(content).count(word) >= 3
    for page in opened(content).pages:
        places: list[float] = []
        page.extract_text(visitor_text=lambda text, _, place, *rest, seen=places: seen.append(place[4]))
        assert max(places) < float(page.mediabox.width)


def test_the_time_is_that_of_the_report_and_an_unknown_one_is_left_out():
    information = opened(exported("trial", "pdf")).metadata
    assert information.creation_date == WHEN
    assert information.author == "CQOx"
    assert opened(export(made(), "pdf")).metadata.get("/CreationDate") is None
