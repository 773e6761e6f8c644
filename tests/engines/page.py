"""The table of differences in docs/engines.md."""

from collections.abc import Mapping
from pathlib import Path

from tests.engines.differences import BOUND

__all__ = ["PAGE", "table", "with_table"]

PAGE = Path(__file__).parents[2] / "docs" / "engines.md"
"""The page."""

_BEGIN, _END = "<!-- differences -->\n", "<!-- end -->"


def table(found: Mapping[str, Mapping[str, float]]) -> str:
    """Return a row for each estimate, with the largest difference in each engine; those above the bound are bold.

    Args:
        found: the differences, by engine and estimate.
    """
    first = next(iter(found.values()))
    lines = [f"| | {' | '.join(found)} |", f"|---|{'---:|' * len(found)}"]
    lines += [f"| `{name}` | {' | '.join(_shown(each[name]) for each in found.values())} |" for name in first]
    return "".join(f"{line}\n" for line in lines)


def with_table(text: str, found: Mapping[str, Mapping[str, float]]) -> str:
    """Return a page with the table in the place of the one that it has.

    Raises:
        ValueError: the page has no place for it.
    """
    head, begin, rest = text.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"the page has no {_BEGIN.strip()} or no {_END}")
    return f"{head}{begin}{table(found)}{end}{tail}"


def _shown(difference: float) -> str:
    if difference == 0.0:
        return "0"
    text = f"{difference:{'.0e' if difference <= BOUND else '.1e'}}".replace("e-0", "e-")
    return text if difference <= BOUND else f"**{text}**"
