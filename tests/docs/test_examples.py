"""Every example of the documentation is a whole program, and runs."""

import gc
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def examples() -> list[tuple[str, int, str]]:
    """Page, line and text of each."""
    found = []
    for page in sorted((*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))):
        text = page.read_text(encoding="utf-8")
        for block in _PYTHON.finditer(text):
            line = text.count("\n", 0, block.start(1))
            found.append((page.relative_to(ROOT).as_posix(), line, block[1]))
    return found


@pytest.mark.parametrize(
    ("page", "line", "program"), [pytest.param(*example, id=f"{example[0]}:{example[1]}") for example in examples()]
)
def test_every_example_runs(page: str, line: int, program: str) -> None:
    namespace: dict[str, object] = {"__name__": "example"}
    # The empty lines make a traceback show the line of the page.
    exec(compile("\n" * line + program, page, "exec"), namespace)
    # The registry lists a policy for as long as it lives, and the next example may use the same names.
    namespace.clear()
    gc.collect()


_PARTS = sorted(path for path in (ROOT / "docs" / "resilience").glob("*.md") if path.name != "README.md")


@pytest.mark.parametrize("page", _PARTS, ids=lambda page: page.stem)
def test_every_page_of_a_part_has_the_same_order(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    wanted = ["## Example", "## Settings", "## What counts", "## What it emits", "## How to test with it"]
    assert "**What it is for.**" in text
    assert [heading for heading in headings if heading in wanted] == wanted
