import pytest

from cqox.exports.pictures import pictures
from tests.exports.reports import ENGLISH, JAPANESE, made, of_study


def spec(name: str) -> dict[str, object]:
    return {"title": {"text": f"Title of {name}", "subtitle": "s"}, "description": f"Alt of {name}", "data": {}}


def names(design: str | None, *figures: str) -> list[str]:
    found = {"design": design, "statement": "s", "assumptions": []}
    report = made(identification=None if design is None else found)
    return [block.name for block in pictures(report, {name: spec(name) for name in figures}, ENGLISH).blocks]


@pytest.mark.parametrize(
    ("design", "first"),
    [
        ("comparison", "forest"),
        ("sharp_cutoff", "discontinuity"),
        ("trends", "event_study"),
        ("synthetic_control", "synthetic_control"),
        ("interrupted_series", "interrupted_series"),
        (None, "forest"),
    ],
)
def test_the_figure_of_the_design_comes_first_and_the_others_keep_their_order(design, first):
    figures = ["overlap", "forest", "event_study", "discontinuity", "synthetic_control", "interrupted_series"]
    assert names(design, *figures) == [first, *(name for name in figures if name != first)]


def test_without_that_figure_another_is_first():
    assert names("trends", "event_means", "forest") == ["event_means", "forest"]
    assert names("sharp_cutoff", "score_density") == ["score_density"]
    assert names("comparison") == []


def test_of_other_contrasts_there_is_the_first_figure_alone():
    found = names("comparison", "overlap", "forest", "overlap-2", "forest-2", "forest-3", "weights-3")
    assert found == ["forest", "overlap", "forest-2", "forest-3"]


def test_title_and_words_are_those_of_the_figure_in_the_language():
    report, specs = of_study("trial")
    (english,) = pictures(report, specs, ENGLISH).blocks
    (japanese,) = pictures(report, specs, JAPANESE).blocks
    assert english.title == "Effect of page on converted"
    assert english.alt.startswith("Forest plot. ")
    assert japanese.title == "pageがconvertedに及ぼす効果"
    assert japanese.spec["title"]["text"] == japanese.title


def test_a_specification_of_an_older_release_without_words_has_its_name():
    found = pictures(made(), {"forest": {"title": ["Two", "lines"]}, "other": {}}, ENGLISH).blocks
    assert [(block.title, block.alt) for block in found] == [("Two lines", "forest"), ("other", "other")]
