"""Writes the pages that are made from code: `python docs/build.py`. A test holds the pages to it."""

import re
from pathlib import Path
from typing import cast

from cqox import errors
from cqox.contract import ROLES, Definition, Options
from cqox.diagnostics import definitions
from cqox.estimators import Estimator, entries
from services.config.table import Setting, table
from services.http.contract.api import OPERATIONS, Operation
from services.http.response.problems import kind_of, kinds

_FOLDER = Path(__file__).parent
_ROOTS = (errors.CqoxError, errors.ResilienceError)
"""Errors that are only raised as one of their subclasses."""
_PAGE = re.compile(r"docs/([\w-]+)\.md")
"""A page of the documentation as the help of a flag names it."""
_HEAD = """# Estimators

<!-- Made from the catalog by `python docs/build.py`. -->

The API answers the same at `/api/estimators`, and `cqox estimators` in a terminal.

The comprehensive call runs every estimator that applies. One that does not is `skipped` with the reason. Estimates of
different estimands are reported apart and never averaged. What HC, CRV1 and CRV3 mean here, and when each is taken, is
on the page of [standard errors](standard-errors.md).
"""

_OPTIONS_HEAD = """# Options of an analysis

<!-- Made from the request model by `python docs/build.py`. -->

In Python options are keywords of `cqox.analyze`, over HTTP members of `options`, on the command line
`--option NAME=VALUE`, and every one has a default that works. Most analyses want some of these sooner or later:
`minimum_effect`, `better`, `assignment`, `assumes`, `primary`, `reference_level`, `categorical`, `missing`, `refute`.

Words are categories and numbers are amounts. Numbers that are codes are taken for amounts too, unless `categorical`
names their columns, by the name or the header in the file; each level then enters as its own, as if it had been sent
as a word, and up to 50 levels of a treatment are compared. The notes of a report name the covariates that look like
codes: whole numbers of at least three levels, each of them twice on average, whose name ends in what people number
(`region`, `race`, `industry`, `都道府県`, `診療科`) or says that it holds ids or codes (`icd_code`, `store_id`,
`地域コード`).
Nothing is changed for what it looks like.

| option | values | default | meaning |
|---|---|---|---|
"""

_ROLES_HEAD = """# Roles

<!-- Made from the code by `python docs/build.py`. -->

A role says what a column, or a number, is in the design. In Python it
is a keyword of `cqox.analyze`, over HTTP a member of `mapping`, on the command line a flag (`--unit-id`). Which roles
make which design: [choose a design](../how-to/choose-a-design.md). Reports use the name; every other word is accepted
too.

| role | takes | what it is | other words |
|---|---|---|---|
"""

_HTTP_HEAD = """# HTTP

<!-- Made from the code by `python docs/build.py`. -->

A running service describes the same with every schema at `/docs` and
`/openapi.json`. Paths that answer in a language take `?lang=ja`, and every request may carry `X-Request-Timeout-Ms`.
Errors are [problems](problems.md).

| method and path | what it does | answers |
|---|---|---|
"""

_PROBLEMS_HEAD = """# Problems and errors

<!-- Made from the code by `python docs/build.py`. -->

Over HTTP an error is `application/problem+json` (RFC 9457): `type`
identifies the kind, `detail` says what to change, `field` where, and `choices` lists valid values. In Python it is an
exception of [`cqox.errors`](../../cqox/errors.py) with `.detail`, `.field` and `.choices`. Where a retry helps,
`Retry-After` says when.

| type | status | meaning | exceptions | retry after |
|---|---|---|---|---|
"""

_SETTINGS_HEAD = """# Settings

<!-- Made from the code by `python docs/build.py`. -->

Every setting is an environment variable and a flag; a secret has no
flag, and may be in a file that a second variable names. Bounds are in parentheses.
[Operations](../operations.md) explains what they are for.

| variable, flag | meaning | default | of |
|---|---|---|---|
"""

_VERDICTS_HEAD = """# Verdicts

<!-- Made from the code by `python docs/build.py`. -->

The API answers the same at `/api/definitions`, and `cqox explain NAME` in a terminal.

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
        f"| `{each.name}` | {each.meaning} | {each.rule} "
        f"| {', '.join(map(_code, each.designs))} | {each.source or ''} |\n"
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
        + "\n## Assumptions\n\n"
        + "An assumption that caps holds the verdict at CANARY while it is untested and not declared.\n\n"
        + "| assumption | what must be true | supported, contradicted, untested | declarable in | source |\n"
        + "|---|---|---|---|---|\n"
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


def roles_page() -> str:
    """Return the page of all roles."""
    takes = {"column": "a column", "columns": "columns", "scalar": "a value"}
    return _ROLES_HEAD + "".join(
        f"| `{role.name}` | {takes[role.arity]} | {role.meaning} | {', '.join(map(_code, role.aliases))} |\n"
        for role in ROLES.values()
    )


def http_page() -> str:
    """Return the page of all operations of the HTTP interface, by group."""
    groups: dict[str, list[Operation]] = {}
    for operation in OPERATIONS:
        groups.setdefault(operation.group, []).append(operation)
    return _HTTP_HEAD + "".join(_operation(operation) for group in groups.values() for operation in group)


def _operation(operation: Operation) -> str:
    paths = ", ".join(_code(f"{operation.method} {path}") for path in (operation.path, *operation.aliases))
    answers = ", ".join(str(answer.status.value) for answer in operation.answers)
    text = f"{operation.summary}. {operation.description}".strip().replace("|", "/")
    return f"| {paths} | {' '.join(text.split())} | {answers} |\n"


def problems_page() -> str:
    """Return the page of the types of problems, each with the exceptions that it is in Python."""
    classes = [getattr(errors, name) for name in errors.__all__]
    kind_by_class = {each: kind_of(each.__new__(each)) for each in classes}
    rows = []
    for kind in kinds():
        named = ", ".join(
            _code(each.__name__) for each, its in kind_by_class.items() if its == kind and each not in _ROOTS
        )
        after = "" if kind.retry_after is None else f"{kind.retry_after:g} s"
        rows.append(f"| `{kind.type}` | {kind.status.value} | {kind.title} | {named} | {after} |\n")
    return _PROBLEMS_HEAD + "".join(rows)


def settings_page() -> str:
    """Return the page of all settings of the services."""
    return _SETTINGS_HEAD + "".join(map(_setting, table()))


def _setting(setting: Setting) -> str:
    other = setting.flag or setting.file_variable
    default = _code(setting.default) if "://" in setting.default else setting.default
    meaning = _PAGE.sub(r"[\1](../\1.md)", setting.help.replace("|", "/").replace("*", "\\*"))
    names = f"{_code(setting.variable)}<br>{_code(other)}"
    return f"| {names} | {meaning} | {default}{_bounds(setting)} | {', '.join(setting.services)} |\n"


def _bounds(setting: Setting) -> str:
    """Return the bounds of a setting in words; empty where there are none."""
    if setting.maximum is not None:
        return f" ({setting.minimum or 0:,} to {setting.maximum:,})"
    return "" if setting.minimum is None else f" (from {setting.minimum:,})"


PAGES = {
    "estimators.md": estimators_page,
    "options.md": options_page,
    "verdicts.md": verdicts_page,
    "reference/roles.md": roles_page,
    "reference/http.md": http_page,
    "reference/problems.md": problems_page,
    "reference/settings.md": settings_page,
}
"""Path in `docs` of each page, and what makes it."""

if __name__ == "__main__":
    for name, made in PAGES.items():
        (_FOLDER / name).parent.mkdir(exist_ok=True)
        (_FOLDER / name).write_text(made(), encoding="utf-8")
