"""The section of docs/validation.md on simulated studies, from the rows of `verdicts`."""

from collections.abc import Sequence
from pathlib import Path

from tests.studies.checks import Check
from tests.studies.verdicts import Row

__all__ = ["HEADING", "PAGE", "section", "write"]

PAGE = Path(__file__).parents[2] / "docs" / "validation.md"
HEADING = "## Simulated studies and their verdicts"
"""Begins the section, which ends with the page; `docs/validate.py` keeps what follows it."""

_HEAD = """\
Each row is a kind of study, simulated and sent through the analysis of the service, written by `make studies` (the
designs are in `tests/studies`). GO asks for a limited risk: a study without a gain fails the table where the lower end
of Wilson's 99% interval of its rate of GO is above 5%, a good study, with a true effect of four to five standard errors
or more and true declarations, where the upper end is below 80%. All gates, ledger entries and findings decide together.
Nothing is declared that is false, but where the name says so; of those no rate is demanded, and what is shown is how
often the data contradict the declaration. The last column has what the report names in at least
half of the runs, by its status in the ledger.
"""
_TABLE = """
| study | what it shows | kind | runs | GO | CANARY | HOLD | 99% interval of GO | coverage | | named in the report |
|---|---|---|---:|---:|---:|---:|---|---:|---|---|
"""
_CHECKS = """
### Gates, tests and findings one by one

How often each gate warns or fails, each ledger entry is contradicted and each finding is made in these runs: its size
in the good studies of the designs in which that ever happened (pooled, and where it is highest), and its power in the
other studies (the four highest, of those with 5% or more).

| check | says | good runs | size | most often in | other studies |
|---|---|---:|---:|---|---|
"""
_MOST_SHOWN = 4
_KINDS = {"good": "Good studies, rightly declared", "no effect": "Studies without a gain"}


def section(found: Sequence[Row], spoken: Sequence[Check]) -> str:
    """Return the section with a table for each kind of study, and one of the checks that spoke against a study."""
    failing = sum(row.fails for row in found)
    parts = [f"{HEADING}\n\n{_HEAD}\n{len(found)} studies, of which {failing} fail.\n"]
    for kind, title in _KINDS.items():
        own = [row for row in found if (row.study.kind == "good") == (kind == "good")]
        if own:
            parts += [f"\n### {title}\n", _TABLE, *(_line(row) for row in own)]
    return "".join([*parts, _CHECKS, *(_check(each) for each in spoken)])


def write(found: Sequence[Row], spoken: Sequence[Check], page: Path = PAGE) -> None:
    """Put the section at the end of the page, in place of the one that is there."""
    before = page.read_text(encoding="utf-8").partition(f"\n{HEADING}\n")[0].rstrip("\n")
    page.write_text(f"{before}\n\n{section(found, spoken)}", encoding="utf-8")


def _line(row: Row) -> str:
    shares = [_percent(row.verdicts.get(name, 0.0)) for name in ("GO", "CANARY", "HOLD")]
    cells = [
        row.study.name, row.study.shows, row.study.kind, f"{row.runs:,}", *shares,
        f"{_percent(row.lower)} to {_percent(row.upper)}", "–" if row.coverage is None else _percent(row.coverage),
        "**fails**" if row.fails else "", _grouped(row.named),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


def _check(check: Check) -> str:
    cells = [
        f"`{check.name}`",
        check.says,
        f"{check.good_runs:,}",
        "–" if check.size is None else _percent(check.size),
        "–" if check.worst is None else f"{check.worst[0]} ({_percent(check.worst[1])})",
        ", ".join(f"{name} ({_percent(rate)})" for name, rate in check.others[:_MOST_SHOWN]) or "–",
    ]
    return f"| {' | '.join(cells)} |\n"


def _grouped(named: Sequence[str]) -> str:
    groups: dict[str, list[str]] = {}
    for each in named:
        status, _, name = each.partition(": ")
        groups.setdefault(status, []).append(f"`{name}`")
    return "; ".join(f"{status} {', '.join(names)}" for status, names in groups.items())


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"
