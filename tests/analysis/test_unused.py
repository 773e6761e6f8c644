from dataclasses import replace

import pytest

from cqox.analysis.unused import unused_assignment, unused_roles
from cqox.estimators import Estimate, entries
from tests.figures.drawn import one

KNOWN = {entry.name: entry for entry in entries()}


def gave(name: str, reason: str | None = None) -> Estimate:
    if reason is None:
        return one(name, 1.0)
    return replace(one(name, None, None, status="skipped"), reason=reason)


def notes_on_unused(roles: dict[str, object], *estimates: Estimate) -> list[str]:
    return unused_roles(roles, [KNOWN[estimate.name] for estimate in estimates], estimates)


def test_a_role_without_a_use_is_reported_by_an_estimator_of_the_design_in_use() -> None:
    roles = {"action": "a", "reward": "r", "pscore": "p", "covariates": ("x",)}
    lacking = gave("lin_interacted", "It needs the role 'treatment'.")
    (note,) = notes_on_unused(roles, lacking, gave("ope_ips"), gave("ope_dr", "It needs one column for each action."))
    assert note == (
        "No estimate uses the design of 'covariates'. ope_dr was not computed. It needs one column for each action."
    )


def test_the_estimator_that_needs_most_of_them_and_lacks_least_says_why() -> None:
    roles = {"y": "y", "running": "x", "cutoff": 99.0}
    estimates = (gave("rd_fuzzy", "It needs a treatment."), gave("rd_local_linear", "No row is above 99."))
    notes = notes_on_unused(roles, *estimates)
    assert notes == [
        "No estimate uses the design of 'y', 'running' and 'cutoff'. "
        "rd_local_linear was not computed. No row is above 99."
    ]


def test_nothing_is_said_of_roles_that_were_used_or_that_nobody_was_asked_about() -> None:
    roles = {"y": "y", "treatment": "w", "covariates": ("x",), "cluster": ("g",), "unit_id": "id", "instrument": ("z",)}
    assert (
        notes_on_unused(
            roles, gave("difference_in_means"), gave("ols_adjustment"), gave("psm_ate", "No."), gave("twfe", "No.")
        )
        == []
    )


def test_that_rows_are_compared_by_a_start_is_no_use_of_its_design() -> None:
    roles = {"y": "y", "time": "t", "cohort": "g"}
    (note,) = notes_on_unused(roles, gave("difference_in_means"), gave("did_callaway_santanna", "It needs 'unit_id'."))
    assert "'time' and 'cohort'" in note


def test_a_role_that_is_only_optional_is_reported_where_nothing_uses_it() -> None:
    (note,) = notes_on_unused({"reward": "r", "action": "a"}, gave("ope_ips", "It needs the role 'pscore'."))
    assert note.endswith("'action'. ope_ips was not computed. It needs the role 'pscore'.")


def test_one_kind_of_proxy_is_a_control_that_checks_read_and_two_are_a_design() -> None:
    lacking = gave("proximal_2sls", "It needs a treatment.")
    roles = {"y": "y", "time": "t", "treatment": "w", "proxy_outcome": ("z",)}
    assert notes_on_unused(roles, gave("interrupted_series"), lacking) == []
    (note,) = notes_on_unused({**roles, "proxy_treatment": ("v",)}, gave("interrupted_series"), lacking)
    assert "'proxy_outcome' and 'proxy_treatment'" in note


def test_a_random_start_that_a_synthetic_control_does_not_use_is_reported() -> None:
    of_donors = replace(gave("synthetic_did"), family="synthetic_control")
    trends = replace(gave("did_2x2_block"), family="did")
    assert unused_assignment("randomized", "synthetic_did", [of_donors, trends]) == [
        "options.assignment = 'randomized' speaks of the start of treatment. synthetic_did rests on donors that match "
        "and does not use it. Estimators that do, for options.primary: did_2x2_block."
    ]
    (alone,) = unused_assignment("randomized", "synthetic_did", [of_donors])
    assert alone.endswith("does not use it.")
    assert unused_assignment("unknown", "synthetic_did", [of_donors, trends]) == []
    assert unused_assignment("randomized", "did_2x2_block", [of_donors, trends]) == []


@pytest.mark.parametrize("assignment", ["randomized", "unconfounded"])
def test_an_assignment_that_a_series_or_proxies_do_not_use_is_reported(assignment: str) -> None:
    series = replace(gave("interrupted_series"), family=KNOWN["interrupted_series"].family)
    (note,) = unused_assignment(assignment, series.name, [series])
    assert note.startswith(f"options.assignment = '{assignment}' speaks of how the treatment was assigned.")
    assert note.endswith("with its own past and does not use it.")
    proximal, arms = (replace(gave(name), family=KNOWN[name].family) for name in ("proximal_2sls", "aipw"))
    (note,) = unused_assignment(assignment, proximal.name, [proximal, arms])
    assert note.endswith("and does not use it. Estimators that do, for options.primary: aipw.")
    assert unused_assignment("unknown", proximal.name, [proximal, arms]) == []
    assert unused_assignment(assignment, arms.name, [proximal, arms]) == []
