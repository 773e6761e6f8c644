"""A table of the estimates as CSV: one row an estimate, the names of columns in English whatever the language.

RFC 4180. The file begins with a byte order mark only if it holds other letters than ASCII: Excel reads such a file in
the code page of the system without one, and every other program reads plain ASCII best.
"""

import csv
from io import StringIO

from cqox.contract import EstimateReport, Report
from cqox.contract.messages import Message
from cqox.exports.reading import main_contrast, outcome_and_treatment
from cqox.exports.wording import Wording, printable

__all__ = ["COLUMNS", "tidy_csv"]

COLUMNS = (
    "estimator", "term", "contrast", "estimand", "estimate", "std_error", "conf_low", "conf_high", "conf_level",
    "p_value", "n", "n_effective", "outcome", "units", "se_method", "family", "primary", "status", "reason",
)  # fmt: skip
"""Names of the columns, those of tidy tables of models where there are such."""

_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""Beginnings of texts that a spreadsheet would compute; the wide ones count in Japanese."""

_NOT_IN_UNITS_OF_THE_OUTCOME = ("density jump",)
_PER_UNIT = ("average derivative", "slope between the dose's quartiles")


def tidy_csv(report: Report, wording: Wording) -> bytes:
    """Return the estimates, those without a number included.

    A text that a spreadsheet would take for a formula begins with an apostrophe.

    Args:
        report: with its sentences in the language of the table.
        wording: for the units.
    """
    table = StringIO()
    writer = csv.writer(table, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for found in report.estimates:
        writer.writerow([_cell(value) for value in _row(report, found, wording)])
    text = table.getvalue()
    return text.encode("ascii" if text.isascii() else "utf-8-sig")


def _row(report: Report, found: EstimateReport, wording: Wording) -> tuple[str | float | None, ...]:
    outcome, treatment = outcome_and_treatment(report)
    primary = found.name == report.decision.primary and found.contrast in (main_contrast(report), None)
    return (
        found.name,
        treatment,
        found.contrast,
        found.estimand,
        found.estimate,
        found.standard_error,
        found.ci_lower,
        found.ci_upper,
        round(wording.level / 100, 12),
        found.p_value,
        found.n,
        found.n_effective,
        outcome,
        _units(found, outcome, treatment, wording),
        found.se_method,
        found.family,
        "true" if primary else "false",
        found.status,
        found.reason,
    )


def _units(found: EstimateReport, outcome: str | None, treatment: str | None, wording: Wording) -> str | None:
    if outcome is None or found.estimand in _NOT_IN_UNITS_OF_THE_OUTCOME:
        return None
    if found.estimand in _PER_UNIT and treatment is not None:
        return wording(Message("exports.units-per-unit", outcome=outcome, treatment=treatment))
    return wording(Message("exports.units", outcome=outcome))


def _cell(value: str | float | None) -> str | float | None:
    if not isinstance(value, str):
        return value
    # Blanks before it do not keep a spreadsheet from computing.
    begins = value.lstrip(" \u3000\u00a0")
    return printable(f"'{value}" if begins.startswith(_FORMULAS) else value)
