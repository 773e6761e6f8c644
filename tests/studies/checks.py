"""Size and power of each gate, test of the ledger and finding: how often it speaks in good and in other studies."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.studies.study import Study

__all__ = ["Check", "checks"]

_DESIGN_OF = {"broken trial": "trial"}
"""Families whose design has its good studies in another one."""

_SEEN = 0.05
"""Least rate in a study for which that study is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Rates of one check in the studies of the designs in which it ever spoke.

    Attributes:
        name: of the gate, ledger entry or finding.
        says: `warns` or `fails` of a gate, `contradicted` of a ledger entry, `found` of a finding.
        good_runs: runs of good studies of these designs.
        size: share of these in which the check speaks; None without such runs.
        worst: name and rate of the good study in which it does so most often; None where it never does.
        others: names and rates of the other studies in which it does so in at least 5% of the runs, most first.
    """

    name: str
    says: str
    good_runs: int
    size: float | None
    worst: tuple[str, float] | None
    others: Sequence[tuple[str, float]]


def checks(studies: Sequence[Study], records: Iterable[Mapping[str, object]]) -> list[Check]:
    """Return every check that spoke at least once, by what it says and its name."""
    runs: Counter[str] = Counter()
    counted: dict[tuple[str, str], Counter[str]] = {}
    for record in records:
        study = str(record["study"])
        runs[study] += 1
        for check in dict.fromkeys(_speaking(record)):
            counted.setdefault(check, Counter())[study] += 1
    known = [study for study in studies if runs[study.name]]
    return [_check(*name, counted[name], runs, known) for name in sorted(counted)]


def _check(says: str, name: str, counted: Mapping[str, int], runs: Mapping[str, int], known: Sequence[Study]) -> Check:
    families = {_design(study) for study in known if counted[study.name]}
    good = [study.name for study in known if study.kind == "good" and _design(study) in families]
    good_runs = sum(runs[each] for each in good)
    rates = sorted(((study.name, counted[study.name] / runs[study.name]) for study in known), key=lambda each: -each[1])
    kinds = {study.name: study.kind for study in known}
    return Check(
        name=name,
        says=says,
        good_runs=good_runs,
        size=sum(counted[each] for each in good) / good_runs if good_runs else None,
        worst=next((each for each in rates if kinds[each[0]] == "good" and each[1] > 0), None),
        others=[each for each in rates if kinds[each[0]] != "good" and each[1] >= _SEEN],
    )


def _design(study: Study) -> str:
    return _DESIGN_OF.get(study.family, study.family)


def _speaking(record: Mapping[str, object]) -> list[tuple[str, str]]:
    ledger = record.get("ledger", {})
    return [
        *(("warns", name) for name in record.get("warned", ())),
        *(("fails", name) for name in record.get("failed", ())),
        *(("contradicted", name) for name in ledger.get("contradicted", ())),
        *(("found", code) for code in record.get("findings", ())),
    ]
