"""Check the words of code and documentation: `python -m tools.words [PATH ...]`, part of `make check`.

Banned are words that a reader would have to look up or guess, and docstrings that begin with a question instead of
what the thing is or does. `docs/glossary.md` has the terms that are used.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_PLACES = (
    "cqox",
    "cqox_assets",
    "services",
    "packages",
    "benchmarks",
    "deploy",
    "tests",
    "tools",
    "docs",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
)
_BANNED = re.compile(
    r"\b(told|tells?|whoever|anew|beside|nobody's|farewell|lest|thereof|hitherto|whence|wherein|in vain|for want of)\b",
    re.IGNORECASE,
)
_OPENING = re.compile(r"(What|How|Whether|Nothing, if|Who|Where)\b")
_OF_FILES = {"tell"}
"""Names of the standard library."""

_QUOTED = re.compile(r"`[^`]*`")
_OF_TEXTS = {_ROOT / "cqox/api/keywords.py"}
"""Made from the texts of the HTTP interface, which are no docstrings."""

_ITSELF = {"tools/words.py", "tests/tools/test_words.py"}


def findings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and complaint for each banned word or opening of one file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        for number, line in enumerate(text.splitlines(), 1):
            yield from _words(number, line)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and token.string not in _OF_FILES:
            yield from _words(token.start[0], token.string.replace("_", " "))
        elif token.type in (tokenize.COMMENT, tokenize.STRING, tokenize.FSTRING_MIDDLE):
            for offset, line in enumerate(token.string.splitlines()):
                yield from _words(token.start[0] + offset, line)
    if path in _OF_TEXTS:
        return
    for node in ast.walk(ast.parse(text)):
        # Docstrings of modules, classes and functions, and those below an attribute.
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            opening = _OPENING.match(node.value.value)
            if opening:
                yield node.lineno, f"a docstring begins with '{opening[1]}': say what it is or does"


def _words(number: int, line: str) -> Iterator[tuple[int, str]]:
    for found in _BANNED.finditer(_QUOTED.sub("", line)):
        yield number, f"'{found[1]}' is not a word of this project: use the plain or the technical one"


def main(paths: list[str]) -> int:
    """Print what was found; 1 where that is anything."""
    lines = [
        f"{path.relative_to(_ROOT).as_posix()}:{number}: {complaint}"
        for path in _files(paths)
        for number, complaint in findings(path)
    ]
    print(*lines, sep="\n", end="\n" if lines else "")
    return int(bool(lines))


def _files(paths: list[str]) -> Iterator[Path]:
    for start in paths or _PLACES:
        place = (_ROOT / start).resolve()
        found = [place] if place.is_file() else sorted(place.rglob("*"))
        for path in found:
            if path.suffix in (".py", ".md") and path.relative_to(_ROOT).as_posix() not in _ITSELF:
                yield path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
