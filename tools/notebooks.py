"""Run the notebooks of `examples/` and keep what they print: `python -m tools.notebooks [NOTEBOOK ...]`.

A code host and the site show the stored output, and a test runs each notebook and compares its text.
"""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

__all__ = ["NOTEBOOKS", "executed", "printed"]

_ROOT = Path(__file__).parents[1]
NOTEBOOKS = tuple(sorted((_ROOT / "examples").glob("*.ipynb")))
_SECONDS = 150
_KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}


def executed(path: Path) -> nbformat.NotebookNode:
    """Return a notebook after a run in an empty folder, without times, counts and what went to stderr.

    Raises:
        CellExecutionError: a cell raises an exception.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        paths = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        # Sockets of the file system: no other user of the machine can listen.
        sockets = Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}})
        resources = {"metadata": {"path": folder}}
        client = NotebookClient(notebook, config=sockets, kernel_name="python3", timeout=_SECONDS, resources=resources)
        client.execute(env={**os.environ, "PYTHONPATH": paths})
    notebook.metadata = nbformat.from_dict(_KERNEL)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = [_plain(each) for each in cell.outputs if not _is_passing(each)]
    return notebook


def _is_passing(output: nbformat.NotebookNode) -> bool:
    """Return whether an output is a warning of a library or the place where progress was shown."""
    if output.output_type == "stream":
        return output.name == "stderr"
    return output.output_type == "display_data" and not output.data.get("text/plain", "x").strip()


def _plain(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return an output without its count, and of a figure the figure alone."""
    if "execution_count" in output:
        output.execution_count = None
    if "image/svg+xml" in output.get("data", {}):
        output.data = nbformat.from_dict({"image/svg+xml": output.data["image/svg+xml"]})
    return output


def printed(notebook: Mapping[str, Any]) -> list[str]:
    """Return the text that each cell of code prints or shows."""
    return [
        "".join(
            "".join(each["text"] if each["output_type"] == "stream" else each.get("data", {}).get("text/plain", ""))
            for each in cell["outputs"]
        )
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]


def main(names: Sequence[str]) -> int:
    """Run the notebooks that are named, by default all, and write them with their output."""
    for path in [Path(name).resolve() for name in names] or NOTEBOOKS:
        nbformat.write(executed(path), path)
        print(path.relative_to(_ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
