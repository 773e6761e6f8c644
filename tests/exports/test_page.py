import base64
import re
from html.parser import HTMLParser

import pytest

from cqox.exports import export
from cqox.figures.style import CONFIG, INK
from tests.exports.reports import EVIL, EVIL_COVARIATES, LONG, STUDIES_OF, exported, of_study, wide

VOID = {"meta"}


class Reader(HTMLParser):
    """Elements in their order, each with its attributes and texts, and whether every one is closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style",):
            self.texts.append(data)

    def having(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def read(kind: str, language: str = "en") -> Reader:
    return Reader(exported(kind, "html", language).decode())


@pytest.mark.parametrize("kind", STUDIES_OF)
def test_a_page_is_well_formed_and_has_the_answer_the_numbers_and_every_figure(kind):
    report, specs = of_study(kind)
    page = read(kind)
    assert page.open == []
    text = " ".join(page.texts)
    for said in (report.decision.headline, *report.decision.reasons, report.identification.statement):
        assert said in text
    for assumption in report.identification.assumptions:
        assert assumption.name in text
        assert assumption.statement in text
    for name in report.gates:
        assert name in text
    assert len(page.having("svg")) == len(page.having("figure")) == len(specs)
    assert [attributes["class"] for attributes in page.having("section")][:4] == [
        "effect", "assumptions", "gates", "estimates",
    ]  # fmt: skip


@pytest.mark.parametrize(("kind", "language"), [("trial", "en"), ("hold", "en"), ("evil", "ja")])
def test_a_page_runs_nothing_and_asks_for_nothing(kind, language):
    page = read(kind, language)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "a", "use", "image"}
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "href", "xlink:href")], tag
    style = exported(kind, "html", language).decode().partition("<style>")[2].partition("</style>")[0]
    assert set(re.findall(r"url\((.{0,20})", style)) == {"data:font/ttf;base64"}
    assert "@import" not in style
    policy = next(each["content"] for each in page.having("meta") if each.get("http-equiv"))
    assert policy.startswith("default-src 'none';")


def test_a_figure_is_a_picture_with_words_and_its_parts_are_hidden():
    plots = [each for each in read("cutoff").having("div") if each.get("class") == "plot"]
    assert [plot["role"] for plot in plots] == ["img"] * 3
    assert plots[0]["aria-label"].startswith("Mean survival_score around the cutoff 1500 of birth_weight. Binned means")
    assert [svg["aria-hidden"] for svg in read("cutoff").having("svg")] == ["true"] * 3
    identifiers = [attributes["id"] for _, attributes in read("hold").elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers)) > 0


def test_what_scrolls_can_be_reached_by_keyboard():
    scrolling = [each for each in read("cutoff").having("div") if each.get("class") in ("plot", "scroll")]
    assert len(scrolling) >= 4
    assert {each["tabindex"] for each in scrolling} == {"0"}


def test_names_that_are_markup_stay_text():
    page = read("evil")
    text = " ".join(page.texts)
    for name in (EVIL, "<b>A</b>", *EVIL_COVARIATES):
        assert name in text
    assert not page.having("b")
    assert page.open == []


def test_a_japanese_page_embeds_its_letters():
    report, specs = wide()
    content = export(report, "html", {name: specs[name] for name in ("forest", "love_plot")}, language="ja").decode()
    page = Reader(content)
    assert page.having("html") == [{"lang": "ja"}]
    assert LONG.format(1) in " ".join(page.texts)
    fonts = [base64.b64decode(font) for font in re.findall(r"base64,([^)]+)\)", content)]
    assert len(fonts) == 2
    assert all(font.startswith(b"\0\1\0\0") and len(font) > 30_000 for font in fonts)
    assert len(content) < 700_000


def test_both_colour_schemes_have_all_colours_of_figures_and_print_has_rules():
    content = exported("trial", "html").decode()
    assert "@media screen and (prefers-color-scheme: dark)" in content
    assert "@media print" in content
    dark = set(re.findall(r'\[(?:fill|stroke)="([^"]+)"\]', content))
    used = set(re.findall(r'(?:fill|stroke)="([^"]+)"', content.partition("<body>")[2])) - {"none", "transparent"}
    assert used <= dark
    assert {INK, CONFIG["background"]} <= dark
