"""Write the diagrams of `docs/architecture.md` from the import contracts: `python docs/layers.py`."""

import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_PAGE = Path(__file__).with_name("architecture.md")
_BLOCK = re.compile(r"(<!-- layers: (?P<name>[^>]+) -->\n).*?(<!-- end -->\n)", re.DOTALL)
_SIBLINGS = re.compile(r" ([|:]) ")
_WIDTH = 4
"""Modules in one line of a node."""


def with_diagrams(page: str, contracts: Sequence[Mapping[str, object]]) -> str:
    """Return the page with a diagram of each contract that it names.

    Raises:
        KeyError: there is no contract of layers of that name.
    """
    layers = {str(one["name"]): one["layers"] for one in contracts if one["type"] == "layers"}

    def drawn(block: re.Match[str]) -> str:
        named = layers[block["name"]]
        assert isinstance(named, list)
        return f"{block[1]}```mermaid\n{diagram(named)}```\n{block[3]}"

    return _BLOCK.sub(drawn, page)


def diagram(layers: Sequence[str]) -> str:
    """Return a Mermaid flowchart: one node for each layer, the highest first."""
    prefix = _prefix([module for layer in layers for module in _SIBLINGS.split(layer)[::2]])
    nodes = [f'    L{place}["{_label(layer, prefix)}"]\n' for place, layer in enumerate(layers)]
    arrows = [f"    L{place} --> L{place + 1}\n" for place in range(len(layers) - 1)]
    return "".join(["flowchart TB\n", *nodes, *arrows])


def _prefix(modules: Sequence[str]) -> str:
    """Return the packages that all modules share, with a dot behind each."""
    paths = [module.split(".")[:-1] for module in modules]
    shared = itertools.takewhile(lambda names: len(set(names)) == 1, zip(*paths, strict=False))
    return "".join(f"{names[0]}." for names in shared)


def _label(layer: str, prefix: str) -> str:
    words = [word.removeprefix(prefix) for word in _SIBLINGS.split(layer)]
    modules, signs = words[::2], [*words[1::2], ""]
    return "<br/>".join(_lines(modules, signs))


def _lines(modules: Sequence[str], signs: Sequence[str]) -> Iterator[str]:
    for first in range(0, len(modules), _WIDTH):
        pairs = zip(modules[first : first + _WIDTH], signs[first : first + _WIDTH], strict=True)
        yield " ".join(f"{module} {sign}".rstrip() for module, sign in pairs)


def contracts() -> list[Mapping[str, object]]:
    """Return the import contracts as `pyproject.toml` has them."""
    settings = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return list(settings["tool"]["importlinter"]["contracts"])


if __name__ == "__main__":
    _PAGE.write_text(with_diagrams(_PAGE.read_text(encoding="utf-8"), contracts()), encoding="utf-8")
