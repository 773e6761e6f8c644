"""A notebook as a page."""

import base64

from tools.site.notebooks import page_of


def code(source: str, *outputs: dict[str, object]) -> dict[str, object]:
    return {"cell_type": "code", "source": source, "outputs": list(outputs)}


def shown(**data: object) -> dict[str, object]:
    return {"output_type": "execute_result", "data": {name.replace("_", "/", 1): each for name, each in data.items()}}


def test_text_code_and_what_was_printed_follow_each_other() -> None:
    notebook = {
        "cells": [
            {"cell_type": "markdown", "source": ["# A\n", "b"]},
            code("print(1)", {"output_type": "stream", "name": "stdout", "text": ["1\n"]}),
            code("x", shown(text_plain="5")),
            code("", shown(text_plain="  ")),
        ]
    }
    page, pictures = page_of(notebook, "n")
    assert page == "# A\nb\n\n```python\nprint(1)\n```\n\n```text\n1\n```\n\n```python\nx\n```\n\n```text\n5\n```\n"
    assert pictures == {}


def test_pictures_become_files() -> None:
    png = base64.b64encode(b"png").decode()
    svg = {"output_type": "display_data", "data": {"image/svg+xml": "<svg/>", "text/plain": "<SVG>"}}
    notebook = {"cells": [code("a", svg), code("b", {"output_type": "display_data", "data": {"image/png": png}})]}
    page, pictures = page_of(notebook, "n")
    assert pictures == {"n-1.svg": b"<svg/>", "n-2.png": b"png"}
    assert "![figure](n-1.svg)" in page
    assert "<SVG>" not in page
