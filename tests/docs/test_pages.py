import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from tools.site.markdown import without_comments

ROOT = Path(__file__).parents[2]


def build() -> ModuleType:
    """Load `docs/build.py`, which is in no package."""
    spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return program


@pytest.mark.parametrize("page", build().PAGES)
def test_a_page_made_from_code_is_what_the_code_says_now(page: str) -> None:
    written = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert build().PAGES[page]() == written, "run: python docs/build.py"


@pytest.mark.parametrize("page", build().PAGES)
def test_a_page_made_from_code_names_no_file_of_the_repository_to_its_readers(page: str) -> None:
    text = without_comments((ROOT / "docs" / page).read_text(encoding="utf-8"))
    assert re.findall(r"(?<![(/\w])(?:docs|tests)/[\w./-]+\.(?:md|py)", text) == []


@pytest.mark.parametrize(
    "page", sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))
)
def test_every_link_within_the_repository_leads_somewhere(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target
