"""Writes `docs/validation.md` from what `make validate` found: `python docs/validate.py FILE`.

The section of simulated studies at the end of the page is that of `python -m tests.studies --page`, and stays.
"""

import json
import sys
from pathlib import Path

_PAGE = Path(__file__).with_name("validation.md")
_HEAD = """\
# Validation

Each row is a Monte-Carlo run of the catalog's code on simulated data whose truth is known, written by `make validate`
(seeds 20240, 20241, ...). A 95% interval fails where the 99.9% interval of its
coverage lies outside [.93, .97] (below .93 alone for methods that are conservative by design); an estimate fails where
its bias is beyond three Monte-Carlo errors and .02 standard deviations; a standard error where its mean is off by more
than 7%. What fails, fails the run. Where a method is known to miss one of these bounds on a design, its test states the
wider one that it is held to, and the row shows by how much it misses. [Simulated studies and their
verdicts](#simulated-studies-and-their-verdicts) follow after the estimators.
"""
_STUDIES = "\n## Simulated studies and their verdicts\n"


def main(arguments: list[str]) -> int:
    """Write the page."""
    if len(arguments) != 1 or arguments[0] in ("-h", "--help"):
        sys.stdout.write(f"{__doc__}\n")
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    rows = [json.loads(line) for line in Path(arguments[0]).read_text(encoding="utf-8").splitlines()]
    if not rows:
        sys.stderr.write(f"{arguments[0]} holds no run; nothing was written.\n")
        return 1
    written = _PAGE.read_text(encoding="utf-8") if _PAGE.exists() else ""
    _PAGE.write_text(page(rows) + studies(written), encoding="utf-8")
    sys.stdout.write(f"{len(rows)} runs written to {_PAGE}\n")
    return 0


def studies(written: str) -> str:
    """Return the section of simulated studies from the page as it is."""
    _, heading, section = written.partition(_STUDIES)
    return heading + section


def page(rows: list[dict[str, object]]) -> str:
    """The page up to the simulated studies, a table for each design in the order of its name."""
    parts = [_HEAD]
    for design in sorted({str(row["design"]) for row in rows}):
        own = sorted((row for row in rows if row["design"] == design), key=lambda row: str(row["estimator"]))
        parts.append(f"\n## {design}\n\n| estimator | rows | runs | bias | sd | mean se / sd | coverage | |")
        parts.append("\n|---|---:|---:|---:|---:|---:|---:|---|\n")
        parts.extend(_line(row) for row in own)
    return "".join(parts)


def _line(row: dict[str, object]) -> str:
    cells = [
        f"`{row['estimator']}`", f"{row['rows']:,}", f"{row['replications']:,}", _number(row["bias"], "+.4f"),
        _number(row["sd"], ".4f"), _number(row["se_ratio"], ".3f"), _number(row["coverage"], ".3f"), str(row["note"]),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


def _number(value: object, form: str) -> str:
    return "–" if value is None else format(float(str(value)), form)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
