"""Writes the pages that are made from code: `python docs/build.py`. A test holds the pages to it."""

from pathlib import Path

from cqox.estimators import Estimator, entries

_PAGE = Path(__file__).parent / "estimators.md"
_HEAD = """# Estimators

Made from the catalog by `python docs/build.py`; the API answers the same at `/api/estimators`.

The comprehensive call runs every estimator that applies. One that does not is `skipped` with the reason. Estimates of
different estimands are reported apart and never averaged. What HC, CRV1 and CRV3 mean here, and when each is taken, is
on the page of [standard errors](standard-errors.md).
"""


def estimators_page() -> str:
    """The page of all estimators, by family."""
    families: dict[str, list[Estimator]] = {}
    for entry in entries():
        families.setdefault(entry.family, []).append(entry)
    return _HEAD + "".join(_family(name, entries) for name, entries in families.items())


def _family(name: str, entries: list[Estimator]) -> str:
    return f"\n## {name.replace('_', ' ').capitalize()}\n" + "".join(_entry(entry) for entry in entries)


def _entry(entry: Estimator) -> str:
    paper = f"[{entry.paper}](https://doi.org/{entry.doi})" if entry.doi else entry.paper
    optional = f"; uses {', '.join(f'`{role}`' for role in entry.optional)} where mapped" if entry.optional else ""
    return (
        f"\n### `{entry.name}`\n\n{entry.summary}\n\n"
        f"- Estimand: {entry.estimand}\n"
        f"- Needs: {', '.join(f'`{role}`' for role in entry.requires)}{optional}\n"
        f"- Standard error: {entry.standard_error}\n"
        f"- Paper: {paper}\n"
        f"- Checked against: {entry.checked_against}\n"
    )


if __name__ == "__main__":
    _PAGE.write_text(estimators_page(), encoding="utf-8")
