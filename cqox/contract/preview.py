"""Models of a preview: what a request would analyse, and what that could find, before anything is estimated."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, JsonValue

from cqox.contract.answer_model import AnswerModel, Sentence
from cqox.contract.data_findings import DataFinding
from cqox.contract.sources import SampledRows

__all__ = [
    "DroppedRows",
    "PlannedEstimator",
    "Preview",
    "PreviewedAmount",
    "PreviewedArm",
    "PreviewedContrast",
    "PreviewedPower",
    "PreviewedRows",
]

_MESSAGES: Any = Field(
    default_factory=dict,
    description="JSON pointer of each sentence to its code and parameters; `?lang=` chooses the language of the text.",
)


class DroppedRows(AnswerModel):
    """A reason why rows are left out. A row may have several reasons and counts in each."""

    code: Literal["dropped_by_options", "other_levels", "zero_weight", "missing_value", "layout"] = Field(
        description="`other_levels`: of another contrast; `layout`: what the design cannot use, such as units with "
        "gaps or treated from the first period on."
    )
    role: str | None = Field(default=None, description="The role that has no value there.")
    columns: Sequence[str] = ()
    rows: int = Field(description="Rows with this reason.")
    alone: int | None = Field(
        description="Those of them without another reason, which would be kept without this one; null where the row "
        "is left out before its values are looked at."
    )
    message: Sentence


class PreviewedRows(AnswerModel):
    """Rows of the table that the primary estimate of a contrast would use."""

    read: int = Field(description="Rows of the data set, or of the sample of a table in place.")
    kept: int = Field(description="The `n` of the primary estimate; its kernel or matching may weigh some with 0.")
    dropped: int
    reasons: Sequence[DroppedRows] = ()


class PreviewedArm(AnswerModel):
    """An arm of a contrast, or a logged action."""

    level: Sentence
    treated: bool | None = Field(default=None, description="Null for an action of a log.")
    rows: int
    share: float = Field(description="Of the rows kept.")
    units: int | None = Field(
        default=None, description="Units with rows in this arm; over time, an ever treated unit counts as treated."
    )
    clusters: int | None = Field(
        default=None, description="Clusters with rows in this arm, of the first mapped dimension."
    )


class PreviewedAmount(AnswerModel):
    """A treatment that is an amount."""

    minimum: float
    median: float
    maximum: float


class PlannedEstimator(AnswerModel):
    """An estimator of the request."""

    name: str
    family: str
    estimand: str
    runs: bool = Field(description="It applies to the data; its computation may still find that they do not suffice.")
    reason: Sentence | None = Field(default=None, description="Why it is skipped, as the report says it.")


class PreviewedPower(AnswerModel):
    """The smallest effect that the data would detect, of the design and size of the primary estimate."""

    effect: float | None = Field(default=None, description="In units of the outcome; negative where lower is better.")
    relative: float | None = Field(
        default=None, description="The effect over the mean without treatment: 0.1 is ten percent."
    )
    baseline: float | None = Field(default=None, description="Mean, or rate, without treatment.")
    power: float
    alpha: float
    headline: Sentence | None = None
    method: Sentence | None = None
    assumptions: Sequence[Sentence] = ()
    reason: Sentence | None = Field(default=None, description="Why it is not known.")
    minimum_effect: float | None = Field(default=None, description="The request's, in the direction that is better.")
    minimum_power: float | None = Field(default=None, description="Probability of finding an effect of that size.")
    minimum_detectable: bool | None = Field(default=None, description="Whether that is at least `power`.")
    minimum_message: Sentence | None = None


class PreviewedContrast(AnswerModel):
    """One comparison of the request."""

    contrast: str | None = Field(
        default=None, description="The levels compared, where the treatment has more than two."
    )
    rows: PreviewedRows
    arms: Sequence[PreviewedArm] = ()
    amount: PreviewedAmount | None = None
    units: int | None = None
    periods: int | None = None
    clusters: int | None = None
    design: str | None = Field(description="Name of the design of the primary estimate; null without one.")
    statement: Sentence = Field(description="The design in words, made from roles and data.")
    primary: str | None
    primary_rule: Sentence
    estimators: Sequence[PlannedEstimator]
    power: PreviewedPower


class Preview(AnswerModel):
    """The answer of `POST /api/analyze/preview`."""

    dataset_id: str
    mapping: Mapping[str, JsonValue] = Field(description="As used, under canonical roles.")
    options: Mapping[str, JsonValue] = Field(description="As used, defaults included.")
    contrasts: Sequence[PreviewedContrast]
    main: int = Field(description="Index of the contrast that the report's decision would be about.")
    findings: Sequence[DataFinding] = Field(default=(), description="Those of the report.")
    notes: Sequence[Sentence] = Field(default=(), description="Those of the report that are known before it estimates.")
    sample: SampledRows | None = Field(
        default=None,
        description="Of a table in place, the rows that the preview is of: all counts but those of the power are of "
        "them. Null where it is of all rows.",
    )
    messages: Mapping[str, Mapping[str, JsonValue]] = _MESSAGES
