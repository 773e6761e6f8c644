"""Standard errors of matching without replacement, which Abadie's and Imbens's formulas do not cover.

Rows of a matched set have similar covariates, so that their outcomes are correlated; sets are independent. The error is
therefore clustered by set (Abadie and Spiess 2022, doi:10.1080/01621459.2020.1840383, theorem 1): with d the difference
within each of G sets, it is that of the mean of d. The score counts as known, and matches as near enough for the
remaining differences not to matter.
"""

import math

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.data import Settings
from cqox.estimators.inference.standard_errors import Uncertainty
from cqox.estimators.matching.abadie_imbens import BOTH, Matched, Pair

__all__ = ["matched_set_error"]


def matched_set_error(settings: Settings, match: Matched, effects: Pair, value: float, scale: float) -> Uncertainty:
    """Return the error of the mean difference within disjoint matched sets, clustered by set.

    It equals CRV1 of the regression of the outcome on the treatment in the matched rows, those of a set's other arm
    weighted to a sum of 1, with the factors G/(G-1), unless `cluster_factor` is false, and (N-1)/(N-2).

    Args:
        settings: which standard error was asked for.
        match: the matched sets.
        effects: of each row that chose, the difference within its set, standardised.
        value: their mean.
        scale: of an effect.
    """
    sets, rows = match.n, match.n + sum(np.count_nonzero(match.used[arm]) for arm in BOTH)
    squares = sum(float(np.square(effects[arm][match.kept[arm]] - value).sum()) for arm in BOTH)
    factor = (sets / (sets - 1) if settings.cluster_factor else 1.0) * (rows - 1) / (rows - 2)
    error = math.sqrt(squares * factor) / sets * scale
    asked = settings.se
    notes = () if asked in ("auto", "CRV1") else (Message("matching.error-without-meaning-for-sets", asked=asked),)
    return Uncertainty(
        standard_error=error or None,
        method="Abadie-Spiess 2022",
        degrees=sets - 1,
        alternates={"AS2022": error},
        notes=notes,
    )
