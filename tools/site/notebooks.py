"""A notebook as a page: its text, its code, and what it printed when it was run."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["page_of"]

type _Json = Mapping[str, Any]

_PICTURES = {"image/svg+xml": "svg", "image/png": "png"}


def page_of(notebook: _Json, name: str) -> tuple[str, dict[str, bytes]]:
    """Return the Markdown of a notebook and its pictures by file name.

    Args:
        notebook: the document, nbformat 4.
        name: prefix of the pictures' names.
    """
    pictures: dict[str, bytes] = {}
    parts: list[str] = []
    for cell in notebook["cells"]:
        source = _text(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif cell["cell_type"] == "code" and source.strip():
            parts.append(f"```python\n{source}\n```")
            parts.extend(_outputs(cell.get("outputs", ()), name, pictures))
    return "\n\n".join(parts) + "\n", pictures


def _outputs(outputs: Sequence[_Json], name: str, pictures: dict[str, bytes]) -> Iterator[str]:
    for output in outputs:
        data = {"text/plain": output["text"]} if output["output_type"] == "stream" else output.get("data", {})
        picture = next((kind for kind in _PICTURES if kind in data), None)
        if picture:
            file = f"{name}-{len(pictures) + 1}.{_PICTURES[picture]}"
            content = _text(data[picture])
            pictures[file] = base64.b64decode(content) if picture == "image/png" else content.encode()
            yield f"![figure]({file})"
        elif "text/markdown" in data:
            yield _text(data["text/markdown"])
        elif _text(data.get("text/plain", "")).strip():
            yield f"```text\n{_text(data['text/plain']).rstrip()}\n```"


def _text(source: str | Sequence[str]) -> str:
    return source if isinstance(source, str) else "".join(source)
