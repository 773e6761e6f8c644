import pytest
from markdown_it import MarkdownIt

from cqox.exports import export
from tests.exports.reports import EVIL, EVIL_COVARIATES, STUDIES_OF, WHEN, decision, evil, exported, made, of_study

RULES = MarkdownIt("commonmark").enable("table")


def texts(content: bytes) -> list[str]:
    """The texts of all leaves, as a reader of Markdown sees them; there is no markup but our own."""
    found = []
    for token in RULES.parse(content.decode()):
        assert token.type != "html_block"
        assert token.type != "code_block"
        for child in token.children or ():
            assert child.type in ("text", "strong_open", "strong_close", "softbreak"), child
        if token.type == "inline":
            found.append("".join(child.content for child in token.children))
    return found


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("kind", STUDIES_OF)
def test_a_document_holds_the_answer_tables_and_figures_in_words(kind, language):
    report, specs = of_study(kind)
    content = export(report, "md", specs, language=language, created_at=WHEN)
    found = texts(content)
    assert sum(token.type == "table_open" for token in RULES.parse(content.decode())) >= 1
    if language == "en":
        assert report.decision.headline in found
        assert any(text.startswith("Forest plot. ") for text in found)
    assert content == export(report, "md", specs, language=language, created_at=WHEN)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_names_that_are_markup_stay_text(language):
    report, specs = evil()
    found = " ".join(texts(export(report, "md", specs, language=language)))
    for name in (EVIL, "<b>A</b>", *EVIL_COVARIATES):
        assert name in found


@pytest.mark.parametrize(
    "text", ["# no heading", "- no item", "1. no item", "2) x", "> x", "* x", "_x_ __y__", "~~x~~", "![a](b)", "&lt;",
             "a  ", "    four", "===", "<!-- x -->", "`", "snake_case stays", "| a | b |", "$x$", "\\*", "42.99 x"],
)  # fmt: skip
def test_a_text_that_looks_like_markup_stays_text(text):
    content = export(made(decision=decision(reasons=[text, f"a {text}"])), "md", title=text)
    found = texts(content)
    assert found[0] == text.strip()
    assert text.strip() in found[1:]
    assert f"a {text}".strip() in found


def test_ordinary_numbers_and_names_are_not_littered_with_escapes():
    content = exported("trial", "md").decode()
    assert "no_interference" in content
    assert "2\\." not in content
