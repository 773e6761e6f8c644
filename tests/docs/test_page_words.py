"""Words that the documentation quotes from the page at `/`, and its pictures of it."""

import re
from pathlib import Path

import pytest

from cqox.contract.messages import Language, codes, template

ROOT = Path(__file__).parents[2]
_FIELD = re.compile(r"\{[^{}]*\}")
_QUOTED = {"en": re.compile(r"“([^”]+)”"), "ja": re.compile(r"「([^」]+)」")}
_VOICES = {"en": "Page", "ja": "ページ"}
_FOLDERS: dict[Language, Path] = {"en": ROOT / "docs", "ja": ROOT / "docs" / "ja"}
MOST_BYTES = 150_000


def sentences(language: Language) -> list[re.Pattern[str]]:
    """Return what each sentence of the page looks like, its fields filled, and what stands before its first field."""
    found = [text for code in codes(language) if code.startswith("page.") and (text := template(language, code))]
    whole = [".+".join(map(re.escape, _FIELD.split(text))) for text in found]
    heads = [re.escape(head) for text in found if "{" in text and (head := text.partition("{")[0].rstrip(" (（"))]
    return [re.compile(pattern) for pattern in (*whole, *heads)]


def about_the_page(path: Path, language: Language) -> str:
    """Return the tabs of the page's voice in a tutorial, or all of a how-to."""
    text = path.read_text(encoding="utf-8")
    if path.parent.name != "tutorial":
        return text
    voice = re.compile(rf"^\*\*{_VOICES[language]}\*\*\n(.*?)^(?:<!-- end -->|\*\*)", re.MULTILINE | re.DOTALL)
    return "".join(voice.findall(text))


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize(
    "name", ["tutorial/first-answer.md", "tutorial/trial.md", "tutorial/panel.md", "how-to/from-excel-to-a-slide.md"]
)
def test_every_quoted_word_is_on_the_page(language: Language, name: str) -> None:
    known = sentences(language)
    quoted = _QUOTED[language].findall(about_the_page(_FOLDERS[language] / name, language).replace("\n", " "))
    assert len(quoted) >= 5
    assert [text for text in quoted if not any(each.fullmatch(text) for each in known)] == []


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("name", ["first-answer", "trial", "panel"])
def test_every_step_of_a_tutorial_has_the_voice_of_the_page(language: Language, name: str) -> None:
    text = (_FOLDERS[language] / "tutorial" / f"{name}.md").read_text(encoding="utf-8")
    assert text.count("<!-- tabs -->\n") == text.count(f"\n**{_VOICES[language]}**\n")


def test_pictures_of_the_page_are_small() -> None:
    pictures = sorted((ROOT / "docs" / "images").glob("page-*"))
    assert [path.name for path in pictures if path.stat().st_size > MOST_BYTES] == []
    assert {path.name for path in pictures} == {
        f"page-{language}-{name}.png"
        for language in _FOLDERS
        for name in ("answer", "dashboard", "findings", "preview")
    }
