"""Names of columns that are a measure and a period: y2001, sales_2024, 売上_1月, 2024年1月, Q1 2025."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Measure", "is_regular", "measures_of"]

_YEAR = r"(?P<year>(?:19|20)\d\d)"
_SEPARATED = r"[\s_.\-/:(（]*"
_PERIODS = (
    rf"{_YEAR}[\s_.\-/]?(?:Q(?P<q>[1-4])|第?(?P<q3>[1-4])四半期)",
    rf"Q(?P<q>[1-4])[\s_.\-/]?{_YEAR}",
    rf"{_YEAR}(?:[-/_.]|年)(?P<month>0?[1-9]|1[0-2])月?",
    rf"{_YEAR}(?P<month>0[1-9]|1[0-2])",
    rf"{_YEAR}(?:年度?)?",
    r"第(?P<n>\d{1,3})(?:月|週|期|回|四半期)",
    r"(?P<n>\d{1,3})(?:月|週|週目|期|日目|か月目|ヶ月目|年目|回目)",
    r"(?P<word>weeks?|wk|months?|mon|day|period|wave|quarter|round)[\s_.\-]?(?P<n>\d{1,3})",
    r"(?<=[\s_.\-])(?P<word>[wmqt])(?P<n>\d{1,3})",
    r"(?<![a-z])(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|oct"
    r"(?:ober)?|nov(?:ember)?|dec(?:ember)?)(?![a-z])",
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ENDS = [re.compile(rf"(?P<stem>.*?){_SEPARATED}{period}[)）]?", re.IGNORECASE) for period in _PERIODS]
_STARTS = [re.compile(rf"{period}{_SEPARATED}(?P<stem>\D*)", re.IGNORECASE) for period in _PERIODS]
_FEWEST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measure of several periods.

    Attributes:
        name: what the names have in common; empty where they are periods alone.
        kind: the kind of period.
        columns: each period, as a number or as 2024-01 or 2024Q1, to its column.
        places: the periods as whole numbers that are one apart where no period is between them.
    """

    name: str
    kind: str
    columns: dict[str, str]
    places: dict[str, int]


def measures_of(names: Sequence[str]) -> list[Measure]:
    """Return the measures among some names of columns; a name without a period is in none."""
    found: dict[tuple[str, str], Measure] = {}
    for name in names:
        split = _split(unicodedata.normalize("NFKC", name).strip())
        if split is None:
            continue
        stem, kind, period, place = split
        measure = found.setdefault((stem, kind), Measure(name=stem, kind=kind, columns={}, places={}))
        if period not in measure.columns:
            measure.columns[period] = name
            measure.places[period] = place
    return list(found.values())


def is_regular(measure: Measure) -> bool:
    """Return whether a measure has at least three periods, each as far from the one before."""
    places = sorted(measure.places.values())
    steps = {later - earlier for earlier, later in pairwise(places)}
    return len(places) >= _FEWEST and len(steps) == 1 and 0 not in steps


def _split(name: str) -> tuple[str, str, str, int] | None:
    """Return stem, kind of period, period and its place on a scale of whole numbers."""
    for patterns in (_ENDS, _STARTS):
        for number, pattern in enumerate(patterns):
            match = pattern.fullmatch(name)
            if match is not None and not match["stem"][-1:].isdigit():
                return match["stem"].strip(" _.-/:"), str(number), *_period(match)
    return None


def _period(match: re.Match[str]) -> tuple[str, int]:
    parts = match.groupdict()
    quarter = parts.get("q") or parts.get("q3")
    if quarter:
        return f"{parts['year']}Q{quarter}", 4 * int(parts["year"]) + int(quarter)
    if parts.get("month"):
        return f"{parts['year']}-{int(parts['month']):02}", 12 * int(parts["year"]) + int(parts["month"])
    if parts.get("year"):
        return parts["year"], int(parts["year"])
    if parts.get("name"):
        number = _MONTHS.index(parts["name"][:3].lower()) + 1
        return str(number), number
    return str(int(parts["n"])), int(parts["n"])
