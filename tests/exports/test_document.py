from cqox.exports.contents import document_of
from tests.exports.reports import made, of_study


def test_sections_are_found_by_name():
    document = document_of(made(), {}, language="en")
    assert document.section("provenance").heading == "Provenance"
    assert document.section("gates") is None


def test_pictures_are_in_the_order_of_the_document():
    report, specs = of_study("cutoff")
    document = document_of(report, specs, language="en")
    assert [picture.name for picture in document.pictures()] == ["discontinuity", "forest", "score_density"]
    assert document_of(report, {}, language="en").pictures() == ()
