"""Writes the pages that are made from code: `python docs/build.py`. A test holds the pages to it."""

from pathlib import Path
from typing import cast

from cqox.contract import Definition, Options
from cqox.diagnostics import definitions
from cqox.estimators import Estimator, entries

_PAGE = Path(__file__).parent / "estimators.md"
_OPTIONS_PAGE = Path(__file__).parent / "options.md"
_VERDICTS_PAGE = Path(__file__).parent / "verdicts.md"
_HEAD = """# Estimators

Made from the catalog by `python docs/build.py`; the API answers the same at `/api/estimators`.

The comprehensive call runs every estimator that applies. One that does not is `skipped` with the reason. Estimates of
different estimands are reported apart and never averaged. What HC, CRV1 and CRV3 mean here, and when each is taken, is
on the page of [standard errors](standard-errors.md).
"""

_OPTIONS_HEAD = """# Options of an analysis

Made from the request model by `python docs/build.py`. Over HTTP they are members of `options`, on the command line
`--option NAME=VALUE`, and every one has a default that works.

| option | values | default | meaning |
|---|---|---|---|
"""


_VERDICTS_HEAD = """# Verdicts

Made from the code by `python docs/build.py`; the API answers the same at `/api/definitions`, and `cqox explain NAME` in
a terminal.

A report answers in one sentence (`decision.headline`), then says GO, CANARY or HOLD. The verdict is the weakest of four
things: the **evidence** (the interval of the primary estimate against `options.minimum_effect`), the **gates** (checks
that the primary rests on), the **ledger** (`identification`: the assumptions under which the estimate is the effect,
and how far each is backed), and the **findings** on the data. So a comparison whose assignment is unknown is an
association and never GO, however narrow its interval is. Where the minimum effect lies inside the interval, the
evidence decides.

What you know and the data cannot show is said in the request:

- `options.assignment`: `randomized`, or `unconfounded` (as good as random given the mapped covariates). It speaks of
  the treatment; of instruments it speaks of the instrument, of panels of the start of treatment. At a cutoff the score
  assigns, and it does not apply.
- `options.assumes`: the assumptions of the design that you vouch for, by the names below. A declaration never beats a
  test that contradicts it.
- `options.expected_share`, `options.post_treatment` and `options.accept`: the planned share of treated rows, columns
  that come after treatment, and findings that you accept.
"""


def verdicts_page() -> str:
    """Return the page that defines verdicts, gates and assumptions."""
    found = definitions()

    def of(kind: str) -> list[Definition]:
        return [each for each in found if each.kind == kind]

    gates = "".join(f"| `{each.name}` | {each.meaning} | {each.source or ''} |\n" for each in of("gate"))
    assumptions = "".join(
        f"| `{each.name}` | {each.meaning} | {', '.join(map(_code, each.designs))} | {each.source or ''} |\n"
        for each in of("assumption")
    )
    return (
        _VERDICTS_HEAD
        + "\n## Verdicts\n\n"
        + "".join(f"- **{each.name}**: {each.meaning}\n" for each in of("verdict"))
        + "\n## Statuses of an assumption\n\n"
        + "".join(f"- `{each.name}`: {each.meaning}\n" for each in of("status"))
        + "\n## Gates\n\nA gate passes, warns (the verdict is at most CANARY) or fails (HOLD).\n\n"
        + "| gate | rule | source |\n|---|---|---|\n"
        + gates
        + "\n## Assumptions\n\n| assumption | what must be true | declarable in | source |\n|---|---|---|---|\n"
        + assumptions
    )


def _code(name: str) -> str:
    return f"`{name}`"


def options_page() -> str:
    """Return the page of all options."""
    properties = Options.model_json_schema()["properties"]
    return _OPTIONS_HEAD + "".join(_option(name, schema) for name, schema in properties.items())


def _option(name: str, schema: dict[str, object]) -> str:
    default = schema.get("default")
    shown = "" if default is None else f"`{str(default).lower() if isinstance(default, bool) else default}`"
    return f"| `{name}` | {_values(schema)} | {shown} | {str(schema['description']).replace('|', '/')} |\n"


def _values(schema: dict[str, object]) -> str:
    """Return the values that a schema allows, null left out."""
    if "anyOf" in schema:
        kinds = cast("list[dict[str, object]]", schema["anyOf"])
        return ", ".join(_values(kind) for kind in kinds if kind.get("type") != "null")
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in cast("list[str]", schema["enum"]))
    bounds = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    named = [f"{word} {schema[bound]:,}" for bound, word in bounds.items() if bound in schema]
    kinds_by_name = {"number": "number", "integer": "whole number", "boolean": "`true`, `false`", "string": "text"}
    kind = kinds_by_name.get(str(schema["type"]), "two numbers" if "prefixItems" in schema else "list of texts")
    return " ".join([kind, *named])


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
    _OPTIONS_PAGE.write_text(options_page(), encoding="utf-8")
    _VERDICTS_PAGE.write_text(verdicts_page(), encoding="utf-8")
