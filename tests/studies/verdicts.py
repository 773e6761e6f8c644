"""Rates of verdicts by study, and the rule by which a study passes or fails the table."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from tests.studies.study import Study

__all__ = ["Row", "fails", "rows", "wilson"]

_MOST_GO, _LEAST_GO = 0.05, 0.80
_DECLARED_FALSELY = "false declaration"
"""Begins the names of studies that declare what is false. No rate is demanded of them: data cannot refuse all of it."""

_QUANTILE = 2.5758293035489004
"""Of the standard normal at .995: intervals of 99%."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Verdicts of the runs of a study.

    Attributes:
        study: the study.
        runs: how many.
        verdicts: share of each verdict.
        lower, upper: Wilson's 99% interval of the rate of GO.
        fails: whether the rule refuses it.
        ratio: mean distance of the estimate from the minimum effect, in standard errors; None without them.
        coverage: share of intervals that hold the truth; None without a known truth.
        named: ledger entries and findings that are named in at least half of the runs, with their status.
        reasons: what stood in the way of GO, most frequent first, with its share of runs.
        seconds: mean duration of a run.
        broken: estimators that failed in any run.
    """

    study: Study
    runs: int
    verdicts: Mapping[str, float]
    lower: float
    upper: float
    fails: bool
    ratio: float | None
    coverage: float | None
    named: Sequence[str]
    reasons: Sequence[tuple[str, float]]
    seconds: float
    broken: Sequence[str]


def wilson(successes: int, runs: int) -> tuple[float, float]:
    """Return the 99% interval of a rate (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    square, rate = _QUANTILE**2, successes / runs
    centre = (rate + square / (2 * runs)) / (1 + square / runs)
    half = _QUANTILE / (1 + square / runs) * math.sqrt(rate * (1 - rate) / runs + square / (4 * runs**2))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def fails(kind: str, lower: float, upper: float) -> bool:
    """Return whether a study fails: GO surely too often without a gain, or surely too rarely with one."""
    return upper < _LEAST_GO if kind == "good" else lower > _MOST_GO


def rows(studies: Sequence[Study], records: Iterable[Mapping[str, object]]) -> list[Row]:
    """Return a row for each study that has a run, in the order of the studies."""
    found: dict[str, list[Mapping[str, object]]] = {}
    for record in records:
        found.setdefault(str(record["study"]), []).append(record)
    return [_row(study, found[study.name]) for study in studies if study.name in found]


def _row(study: Study, records: Sequence[Mapping[str, object]]) -> Row:
    counted = Counter(str(record["verdict"]) for record in records)
    lower, upper = wilson(counted["GO"], len(records))
    minimum = float(study.options.get("minimum_effect", 0.0)) * (1 if study.options.get("better") != "lower" else -1)
    ratios = [
        (record["estimate"] - minimum) / record["standard_error"]
        for record in records
        if record.get("standard_error") and record["estimate"] is not None
    ]
    covered = [record["covered"] for record in records if record.get("covered") is not None]
    return Row(
        study=study,
        runs=len(records),
        verdicts={name: count / len(records) for name, count in counted.items()},
        lower=lower,
        upper=upper,
        fails=fails(study.kind, lower, upper) and not study.name.startswith(_DECLARED_FALSELY),
        ratio=fmean(ratios) if ratios else None,
        coverage=fmean(covered) if covered else None,
        named=[name for name, share in _shares(records, _named) if share >= 0.5],
        reasons=_shares([record for record in records if record["verdict"] != "GO"], _against, of=len(records)),
        seconds=fmean(float(record["seconds"]) for record in records),
        broken=sorted({name for record in records for name in record.get("broken", ())}),
    )


def _shares(records, names, *, of: int | None = None) -> list[tuple[str, float]]:
    counted = Counter(name for record in records for name in dict.fromkeys(names(record)))
    return [(name, count / (of or len(records))) for name, count in counted.most_common()]


def _named(record: Mapping[str, object]) -> list[str]:
    ledger = record.get("ledger", {})
    entries = [
        f"{status}: {name}" for status in ("contradicted", "untested", "declared") for name in ledger.get(status, ())
    ]
    return [*entries, *(f"finding: {code}" for code in record.get("findings", ()))]


def _against(record: Mapping[str, object]) -> list[str]:
    return [
        *(f"fail: {name}" for name in record.get("failed", ())),
        *(f"warn: {name}" for name in record.get("warned", ())),
        *(f"contradicted: {name}" for name in record.get("ledger", {}).get("contradicted", ())),
        *(f"caps: {name}" for name in record.get("caps", ())),
        *(f"finding: {code}" for code in record.get("findings", ())),
        *([f"refused: {record['reasons'][0]}"] if record["verdict"] == "ERROR" else []),
    ] or ["evidence"]
