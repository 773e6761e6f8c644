"""Every example of the documentation runs, and prints what its page shows.

On most pages an example is a whole program; on those of `sequences` the examples of a page are one.
"""

import gc
from pathlib import Path

import pytest

from tools.examples import asks_server, blocks, expected, outputs, sequences, with_outputs

ROOT = Path(__file__).parents[2]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def examples() -> list[tuple[str, int, str]]:
    """Page, line and text of each example that is a whole program."""
    return [
        (name_of(page), block.line, block.content)
        for page in sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - {*sequences()})
        for block in blocks(page.read_text(encoding="utf-8"))
        if block.language == "python"
    ]


# Pages that ask a server are run with one, in tests/e2e.
@pytest.mark.parametrize(
    "page", [each for each in sequences() if not asks_server(each.read_text(encoding="utf-8"))], ids=name_of
)
def test_the_examples_of_a_page_print_what_it_shows(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    assert with_outputs(text, outputs(page, text)) == text, "run: python -m tools.examples"


@pytest.mark.parametrize("page", sequences(), ids=name_of)
def test_every_text_that_a_page_shows_is_printed_by_an_example(page: Path) -> None:
    shown = blocks(page.read_text(encoding="utf-8"))
    printed = {text.start for language in ("python", "sh") for _, text in expected(shown, language) if text}
    assert {block.line for block in shown if block.language == "text" and block.start not in printed} == set()


@pytest.mark.parametrize(
    ("page", "line", "program"), [pytest.param(*example, id=f"{example[0]}:{example[1]}") for example in examples()]
)
def test_every_example_runs(page: str, line: int, program: str) -> None:
    namespace: dict[str, object] = {"__name__": "example"}
    # What other tests of this process have left in the registry under the names of an example.
    gc.collect()
    # The empty lines make a traceback show the line of the page.
    exec(compile("\n" * line + program, page, "exec"), namespace)
    # The registry lists a policy for as long as it lives, and the next example may use the same names.
    namespace.clear()
    gc.collect()


_ABOUT_ALL = {"README.md", "observability.md", "order-of-parts.md", "peers.md", "tutorial.md"}
"""Pages of the library that are about no single part."""
_PARTS = sorted(
    path
    for path in (ROOT / "docs" / "resilience").glob("*.md")
    if path.name not in _ABOUT_ALL and not path.name.startswith("from-")
)


@pytest.mark.parametrize("page", _PARTS, ids=lambda page: page.stem)
def test_every_page_of_a_part_has_the_same_order(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    wanted = ["## Example", "## Settings", "## What counts", "## What it emits", "## How to test with it"]
    assert "**What it is for.**" in text
    assert [heading for heading in headings if heading in wanted] == wanted
