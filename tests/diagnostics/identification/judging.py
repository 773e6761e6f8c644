"""A judgement on few rows, whose estimate and diagnostics are given."""

import numpy as np

from cqox.contract import Options
from cqox.diagnostics.identification.entry import Judged
from cqox.estimators import Data, Estimate, Json, Plan, Settings
from tests.estimators.designs import row_keys

__all__ = ["judged"]


def judged(
    name: str, family: str, *, diagnostics: dict[str, Json] | None = None, of_estimate: dict[str, Json] | None = None,
    estimate: float = 1.0, **options: object,
) -> Judged:  # fmt: skip
    """Return a judgement of an estimate by that name.

    Args:
        name: catalog name of the primary.
        family: its family.
        diagnostics: of the contrast, by name.
        of_estimate: of the primary estimate, by name.
        estimate: its value; the standard error is .1.
        options: of the request.
    """
    y, t = np.arange(8.0), np.tile([0.0, 1.0], 4)
    data = Data(n=8, y=y, treatment=t, treatment_kind="binary", row_key=row_keys(y, t), names={"treatment": ("w",)})
    chosen = Estimate(
        name=name, family=family, estimand="ATE", status="ok", estimate=estimate, standard_error=0.1,
        ci_lower=estimate - 0.2, ci_upper=estimate + 0.2, n=8, diagnostics=of_estimate or {},
    )  # fmt: skip
    return Judged(
        plan=Plan(data, Settings()), chosen=chosen, estimates=(chosen,), diagnostics=diagnostics or {},
        options=Options(**options),  # type: ignore[arg-type]
    )  # fmt: skip
