"""Reference cases: reading them, and turning a CSV and a mapping into what the estimators take.

A case is `{case, csv, mapping, estimator, expected{}, tolerance{}}`; the expected numbers' names say what they
are: `se_HC1` is the standard error under that option, `se` the default one, `ess_treated` a diagnostic, and so on.
"""

import csv
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cqox.estimators import Codes, Data, Matrix, Vector
from tests.estimators.designs import row_keys

HERE = Path(__file__).parent
OUTSIDE = Path(os.environ.get("CQOX_REFERENCE_DIR", HERE.parent.parent.parent / "shared" / "reference"))
MISSING = {"", "NA", "NaN", "nan", "."}

ESTIMATORS = {
    r"difference_in_means": "difference_in_means",
    r"ols_adjustment": "ols_adjustment",
    r"lin_interacted": "lin_interacted",
    r"g_computation.*(ATT|att)": "g_computation_att",
    r"g_computation": "g_computation_ate",
    r"psm_att|psm.*\b(ATT|att|ATET|atet)\b": "psm_att",
    r"psm|psmatch": "psm_ate",
    r"(nn_?(match|mahalanobis)|mahalanobis).*(ATT|att|ATET|atet)": "nn_mahalanobis_att",
    r"nn_?(match|mahalanobis)|mahalanobis": "nn_mahalanobis_ate",
    r"(propensity_)?strat": "propensity_strata",
    r"overlap_weights|(ipw_)?ato\b": "overlap_weights",
    r"(entropy_balancing|ebal).*(ATT|att)": "entropy_balancing_att",
    r"entropy_balancing|ebal": "entropy_balancing_ate",
    r"ipw_att": "ipw_att",
    r"ipw_ate|ipw_hajek|ipw\b": "ipw_ate",
    r"aipw": "aipw",
    r"ipwra": "ipwra",
    r"(double_ml|dml)_plr": "dml_plr",
    r"(double_ml|dml)_irm.*(ATT|att)": "dml_irm_att",
    r"(double_ml|dml)_irm": "dml_irm_ate",
    r"(double_ml|dml)_pliv": "dml_pliv",
    r"causal_forest": "causal_forest",
    r"s_?learner": "s_learner",
    r"t_?learner": "t_learner",
    r"x_?learner": "x_learner",
    r"dr_?learner": "dr_learner",
    r"rd_(density|manipulation)": "rd_density_test",
    r"(rd_)?fuzzy|rd_.*fuzzy": "rd_fuzzy",
    r"rd_local_linear|rd_sharp|rdrobust": "rd_local_linear",
    r"mediation": "mediation_acme",
    r"iv_wald": "iv_wald",
    r"(iv_)?liml": "iv_liml",
    r"(iv_)?fuller": "iv_fuller",
    r"iv_2sls": "iv_2sls",
    r"did_2x2_block": "did_2x2_block",
    r"did_2x2": "did_2x2",
    r"twfe": "twfe",
    r"(ope_)?snips": "ope_snips",
    r"(ope_)?ips": "ope_ips",
    r"ope_dm|direct_method": "ope_dm",
    r"ope_dr": "ope_dr",
    r"interrupted_(time_)?series|its\\b|segmented": "interrupted_series",
    r"(synthetic_did|synth(etic)?_?did|sdid)": "synthetic_did",
    r"(ridge_)?aug(mented)?_?(synth|sc)|ascm|synthetic_control.*(ridge|augment)": "synthetic_control_augmented",
    r"synthetic_control|synth\b": "synthetic_control",
    r"(did_)?(callaway|cs\b|att_gt)": "did_callaway_santanna",
    r"(did_)?(imputation|bjs|borusyak)": "did_imputation",
}
"""The catalog entry for a case's estimator, by the first pattern that its beginning matches."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """One reference case."""

    name: str
    path: Path
    mapping: Mapping[str, object]
    estimator: str | None
    described: str
    expected: Mapping[str, object]
    tolerance: Mapping[str, float]


def cases(folder: Path) -> list[Case]:
    """The cases of a folder; none where it is absent."""
    index = folder / "reference.json"
    if not index.is_file():
        return []
    return [
        Case(
            name=item["case"],
            path=folder / item["csv"],
            mapping=item["mapping"],
            estimator=entry_for(item["estimator"]),
            described=item["estimator"],
            expected=item["expected"],
            tolerance=item.get("tolerance", {}),
        )
        for item in json.loads(index.read_text(encoding="utf-8"))
    ]


def entry_for(described: str) -> str | None:
    """The catalog name of an estimator as a case describes it; None where there is no such entry."""
    return next((entry for pattern, entry in ESTIMATORS.items() if re.match(pattern, described)), None)


def settings_for(described: str) -> dict[str, object]:
    """The settings that a case's description names: 1:M matches, a caliper, a number of strata."""
    found: dict[str, object] = {}
    if matches := re.search(r"\b1:(\d+)", described):
        found["matches"] = int(matches[1])
    if caliper := re.search(r"caliper\D{0,3}([\d.]+\d)", described):
        found["caliper"] = float(caliper[1])
    if strata := re.search(r"strat\w*\D{0,3}(\d+)|(\d+) (?:equal )?strata", described):
        found["strata"] = int(strata[1] or strata[2])
    elif "decile" in described:
        found["strata"] = 10
    if "callaway" in described or "imputation" in described:
        found |= _staggered_settings(described)
    return found


def _staggered_settings(described: str) -> dict[str, object]:
    found: dict[str, object] = {}
    if re.search(r"not[-_ ]?yet", described):
        found["control_group"] = "not_yet_treated"
    elif re.search(r"never", described):
        found["control_group"] = "never_treated"
    if method := re.search(r"\b(reg|ipw|dr)\b", described):
        found["did_method"] = method[1]
    if "universal" in described:
        found["base_period"] = "universal"
    return found


class Table:
    """The columns of a CSV file."""

    def __init__(self, path: Path) -> None:
        with path.open(encoding="utf-8", newline="") as stream:
            header, *lines = csv.reader(stream)
        self.columns = {name: [line[place] for line in lines] for place, name in enumerate(header)}
        self.n = len(lines)

    def numbers(self, name: str) -> Vector:
        return np.array([np.nan if cell in MISSING else float(cell) for cell in self.columns[name]])

    def is_text(self, name: str) -> bool:
        try:
            self.numbers(name)
        except ValueError:
            return True
        return False

    def levels(self, name: str) -> list[str]:
        present = {cell for cell in self.columns[name] if cell not in MISSING}
        return sorted(present) if self.is_text(name) else sorted(present, key=float)

    def codes(self, name: str) -> Codes:
        place = {level: code for code, level in enumerate(self.levels(name))}
        return np.array([place.get(cell, -1) for cell in self.columns[name]], dtype=np.int64)

    def matrix(self, names: Iterable[str]) -> tuple[Matrix, tuple[str, ...]]:
        columns: list[NDArray[np.float64]] = []
        labels: list[str] = []
        for name in names:
            if not self.is_text(name):
                columns.append(self.numbers(name))
                labels.append(name)
                continue
            codes = self.codes(name)
            for code, level in list(enumerate(self.levels(name)))[1:]:
                columns.append(np.where(codes < 0, np.nan, codes == code))
                labels.append(f"{name}={level}")
        return (np.column_stack(columns) if columns else np.empty((self.n, 0))), tuple(labels)


def _several(value: object) -> list[str]:
    return [value] if isinstance(value, str) else [str(item) for item in value or ()]


def _cohort(table: Table, mapping: Mapping[str, object]) -> Vector | None:
    """The first treated period; missing for units that are never treated, for whom some write 0."""
    if "cohort" not in mapping:
        return None
    cohort = table.numbers(str(mapping["cohort"]))
    return np.where(cohort > 0, cohort, np.nan)


def staggered_number(diagnostics: Mapping[str, object], quantity: str) -> object:
    """A number of a staggered design by its name: att_2004_2006, event_-1, group_2004, dynamic_overall, dynamic_se."""
    if effect := re.fullmatch(r"(att|se)_(\d+)_(\d+)", quantity):
        rows = diagnostics.get("group_time", [])
        at = {"cohort": float(effect[2]), "period": float(effect[3])}
        found = [row for row in rows if all(row[key] == value for key, value in at.items())]
        return found[0]["estimate" if effect[1] == "att" else "standard_error"] if found else None
    if average := re.fullmatch(r"(event|group|calendar)_(-?\d+)(_se)?", quantity):
        family, key = {"event": ("dynamic", "event"), "group": ("group", "cohort")}.get(
            average[1], ("calendar", "period")
        )
        rows = diagnostics.get(family, {}).get("averages", [])
        found = [row for row in rows if row[key] == float(average[2])]
        return found[0]["standard_error" if average[3] else "estimate"] if found else None
    if overall := re.fullmatch(r"(dynamic|group|calendar)_(overall|se)", quantity):
        return diagnostics[overall[1]]["overall" if overall[2] == "overall" else "overall_standard_error"]
    return None


def build(case: Case) -> Data:
    """The numeric view of a case's table under its mapping."""
    table, mapping = Table(case.path), case.mapping
    outcome = mapping.get("y", mapping.get("reward"))
    y = table.numbers(str(outcome)) if outcome is not None else np.full(table.n, np.nan)
    action = next((name for name in (mapping.get("action"), "action", "item_id") if name in table.columns), None)
    action = action if "reward" in mapping else None
    policy, _ = table.matrix(name for name in _several(mapping.get("target_policy")) if name in table.columns)
    x, labels = table.matrix(_several(mapping.get("covariates")))
    w, w_labels = (x, labels)
    if "propensity_covariates" in mapping:
        w, w_labels = table.matrix(_several(mapping["propensity_covariates"]))
    treatment = table.numbers(str(mapping["treatment"])) if "treatment" in mapping else None
    kind = "none"
    if treatment is not None:
        kind = "binary" if set(np.unique(treatment[~np.isnan(treatment)])) <= {0.0, 1.0} else "continuous"
    z, z_labels = table.matrix(_several(mapping.get("instrument")))
    unit = table.codes(str(mapping["unit_id"])) if "unit_id" in mapping else None
    clusters = tuple(table.codes(name) for name in _several(mapping.get("cluster")))
    content = (y, x, w) if treatment is None else (y, x, w, treatment)
    return Data(
        n=table.n,
        y=y,
        y_kind="real" if outcome is not None else "none",
        treatment=treatment,
        treatment_kind=kind,
        covariates=x,
        propensity_covariates=w,
        pscore=table.numbers(str(mapping["pscore"])) if "pscore" in mapping else None,
        instruments=z,
        unit=unit,
        time=table.codes(str(mapping["time"])) if "time" in mapping else None,
        time_values=np.array([float(level) for level in table.levels(str(mapping["time"]))])
        if "time" in mapping
        else None,
        mediators=table.matrix(_several(mapping.get("mediator")))[0],
        post=table.numbers(str(mapping["post"])) if "post" in mapping else None,
        cohort=_cohort(table, mapping),
        clusters=clusters,
        weights=table.numbers(str(mapping["weights"])) if "weights" in mapping else None,
        fixed_effects=tuple(table.codes(name) for name in _several(mapping.get("fixed_effects"))),
        action=table.codes(str(action)) if action is not None else None,
        action_labels=tuple(table.levels(str(action))) if action is not None else None,
        target_policy=policy,
        running=table.numbers(str(mapping["running"])) if "running" in mapping else None,
        cutoff=float(str(mapping["cutoff"])) if "cutoff" in mapping else None,
        row_key=row_keys(
            clusters[0] if clusters else unit if unit is not None else np.nan_to_num(np.column_stack(content))
        ),
        names={
            "y": (str(mapping.get("y", "")),),
            "treatment": (str(mapping.get("treatment", "")),),
            "covariates": labels,
            "propensity_covariates": w_labels,
            "instrument": z_labels,
            "mediator": tuple(_several(mapping.get("mediator"))),
        },
    )
