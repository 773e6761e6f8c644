"""The documentation site: built strict, in two languages, complete, and without requests to other hosts."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.site.__main__ import build

ROOT = Path(__file__).parents[2]
_FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio)\b[^>]*?\bsrc=["']?(https?:[^"'\s>]+)"""
    r"""|<link\b[^>]*\brel=["']?(?:stylesheet|preload|preconnect|icon)["']?[^>]*\bhref=["']?(https?:[^"'\s>]+)""",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("docs")
    assert build(made) == 0, "zensical found a broken link; its report is above"
    return made


def leaves(nav: object) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict):
        for each in nav.values():
            yield from leaves(each)
    elif isinstance(nav, list):
        for each in nav:
            yield from leaves(each)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_page_has_one_place_in_the_navigation(folder: Path, language: str) -> None:
    configuration = tomllib.loads((ROOT / "docs" / f"zensical.{language}.toml").read_text(encoding="utf-8"))
    pages = folder / "pages" / language
    assert sorted(leaves(configuration["project"]["nav"])) == sorted(
        path.relative_to(pages).as_posix() for path in pages.rglob("*.md")
    )


def test_both_languages_are_built_and_link_each_other(folder: Path) -> None:
    english, japanese = (folder / "site" / name for name in ("index.html", "ja/index.html"))
    assert 'href="ja/index.html"' in english.read_text(encoding="utf-8")
    assert 'href="../index.html"' in japanese.read_text(encoding="utf-8")
    assert 'lang="ja"' in japanese.read_text(encoding="utf-8")


def test_the_switch_of_languages_works_below_any_address(folder: Path) -> None:
    for page, ups in (("tutorial/trial.html", "../"), ("ja/tutorial/trial.html", "../../")):
        links = dict(
            re.findall(r'<a href="([^"]*)" hreflang="(..)"', (folder / "site" / page).read_text(encoding="utf-8"))
        )
        targets = {(folder / "site" / page).parent.joinpath(link).resolve(): name for link, name in links.items()}
        assert f"{ups}index.html" in links
        assert targets == {folder / "site" / "index.html": "en", folder / "site" / "ja" / "index.html": "ja"}


def test_no_page_fetches_anything_from_another_host(folder: Path) -> None:
    pages = list((folder / "site").rglob("*.html"))
    assert len(pages) > 60
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert _FETCHED.search(text) is None, page
        assert 'class="mermaid"' not in text, page


def test_links_across_the_languages_lead_somewhere(folder: Path) -> None:
    # Zensical checks links to pages of the same site alone.
    site = folder / "site"
    for page in site.rglob("*.html"):
        body = page.read_text(encoding="utf-8").partition("<article")[2].partition("</article>")[0]
        for target in re.findall(r'href="([^":#]+\.html)[#"]', body):
            assert (page.parent / target).exists(), f"{page.relative_to(site)}: {target}"


def test_voices_are_tabs(folder: Path) -> None:
    page = (folder / "site" / "tutorial" / "first-answer.html").read_text(encoding="utf-8")
    assert re.findall(r"<label for=[^>]*>(.*?)</label>", page)[:2] == ["Python", "HTTP"]
