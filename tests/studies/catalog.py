"""Every study, by family."""

from tests.studies import (
    broken_trials,
    cutoffs,
    donors,
    instruments,
    observational,
    other_designs,
    panels,
    rollouts,
    series,
    trials,
)
from tests.studies.study import Study

__all__ = ["STUDIES"]

STUDIES: tuple[Study, ...] = (
    *trials.STUDIES, *broken_trials.STUDIES, *observational.STUDIES, *instruments.STUDIES, *cutoffs.STUDIES,
    *panels.STUDIES, *rollouts.STUDIES, *series.STUDIES, *donors.STUDIES, *other_designs.STUDIES,
)  # fmt: skip
