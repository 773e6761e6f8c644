"""The notebooks of `examples/` run, and print what they show."""

from pathlib import Path

import nbformat
import pytest

from tools.notebooks import NOTEBOOKS, executed, printed


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) >= 5


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_prints_what_it_shows(path: Path) -> None:
    pytest.importorskip("causaldata")
    assert printed(executed(path)) == printed(nbformat.read(path, as_version=4)), "run: python -m tools.notebooks"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_says_what_the_verdict_is_and_why(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    verdicts = {
        word
        for shown in printed({"cells": cells})
        for word in ("GO", "CANARY", "HOLD")
        if f"{word}\n" in shown or f"{word} on" in shown
    }
    assert verdicts
    assert {word for word in verdicts if word not in text} == set()


def test_what_a_library_warns_of_and_where_progress_stood_is_not_kept(tmp_path: Path) -> None:
    source = (
        "import sys\nfrom IPython.display import display\n"
        "print('kept')\nprint('lost', file=sys.stderr)\ndisplay({'text/plain': ' '}, raw=True)\n1 + 1"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbformat.write(notebook, tmp_path / "n.ipynb")
    assert printed(executed(tmp_path / "n.ipynb")) == ["kept\n2"]
