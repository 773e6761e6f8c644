"""Results of Monte-Carlo runs, written for the page of validations where `make validate` asks for it."""

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Validated", "half_width", "record"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """One row of the page.

    Attributes:
        design: what was simulated, a short sentence without a full stop.
        estimator: catalog name, with the quantity where it is not the estimate: `did_imputation, event 2`.
        replications: how often.
        rows: of each sample.
        truth: of the quantity.
        bias: mean estimate less truth; None where the mean does not exist.
        sd: standard deviation of the estimates; None where there is no one number.
        se_ratio: mean standard error by that; None where the method claims no standard error.
        coverage: share of the intervals that held the truth; None where none is claimed.
        note: what else was asked of it: a diagnostic that must fire, with how often it did.
    """

    design: str
    estimator: str
    replications: int
    rows: int
    truth: float | None = None
    bias: float | None = None
    sd: float | None = None
    se_ratio: float | None = None
    coverage: float | None = None
    note: str = ""


def record(found: Validated) -> None:
    """Append it to the file that `CQOX_VALIDATION_FILE` names, one JSON object a line; nothing where it names none."""
    name = os.environ.get("CQOX_VALIDATION_FILE")
    if name:
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(found), ensure_ascii=False, allow_nan=False) + "\n")


def half_width(rate: float, replications: int) -> float:
    """Half the 99.9% interval of a rate that was found in so many replications."""
    return 3.29 * math.sqrt(rate * (1 - rate) / replications)
