"""Models of every answer that the API documents.

Numbers are finite or null; where a number is null, a reason stands next to it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import ConfigDict, Field, JsonValue

from cqox.contract.answer_model import AnswerModel, Sentence
from cqox.contract.data_findings import DataFinding
from cqox.contract.sources import SampledRows

__all__ = [
    "AnalysisListing",
    "AnalysisSummary",
    "Assumption",
    "Catalog",
    "ColumnDescription",
    "DatasetDescription",
    "DatasetListing",
    "DatasetSummary",
    "Decision",
    "Definition",
    "Definitions",
    "Effect",
    "EstimateReport",
    "EstimatorDescription",
    "Gate",
    "Identification",
    "Inference",
    "Problem",
    "Provenance",
    "Report",
    "RoleCandidate",
]


_MESSAGES: Any = Field(
    default_factory=dict,
    description="JSON pointer of each sentence to its code and parameters; `?lang=` chooses the language of the text.",
)


class ColumnDescription(AnswerModel):
    """One column of a data set."""

    name: str
    original_name: str | None = Field(None, description="The name in the file, where it differs.")
    kind: Literal["binary", "count", "real", "category", "date", "text", "id"]
    missing: int = Field(description="How many rows have no value.")
    distinct: int | None = Field(None, description="How many different values; null above the bound that is counted.")
    minimum: float | str | None = None
    maximum: float | str | None = None
    mean: float | None = None
    levels: Sequence[str] | None = None
    notes: Sequence[str] = ()


_FINDINGS: Any = Field((), description="Traps in the data, each with what to send against it.")


class RoleCandidate(AnswerModel):
    """A column that may play a role, and why."""

    column: str
    confidence: float = Field(description="Between 0 and 1; an ordering, not a probability.")
    reasons: Sequence[Sentence] = ()


class Inference(AnswerModel):
    """The answer of `/api/roles/infer`; `mapping` can be sent to analyze as it is."""

    dataset_id: str
    mapping: Mapping[str, str | Sequence[str]]
    candidates: Mapping[str, Sequence[RoleCandidate]]
    missing: Sequence[str] = Field((), description="Roles that an analysis needs and no column seems to play.")
    notes: Sequence[Sentence] = ()
    findings: Sequence[DataFinding] = _FINDINGS
    sample: SampledRows | None = Field(
        None, description="Of a table in place, the rows that were looked at; null where all were."
    )
    messages: Mapping[str, Mapping[str, JsonValue]] = _MESSAGES


class DatasetSummary(AnswerModel):
    """A data set in a listing."""

    dataset_id: str
    name: str
    rows: int
    columns: int
    size_bytes: int
    created_at: str
    sample: bool = Field(False, description="Built in: it cannot be deleted.")
    owner: str | None = Field(None, description="The subject that registered it; null where nobody was known.")


class DatasetDescription(AnswerModel):
    """A data set in full; the answer of an upload."""

    dataset_id: str
    name: str
    rows: int
    columns: Sequence[ColumnDescription]
    format: str
    encoding: str | None = None
    compression: str | None = None
    size_bytes: int
    created_at: str
    notes: Sequence[str] = ()
    preview: Sequence[Mapping[str, JsonValue]] = ()
    roles: Mapping[str, Sequence[RoleCandidate]] = Field(default_factory=dict)
    findings: Sequence[DataFinding] = _FINDINGS
    sample: bool = False
    owner: str | None = None
    messages: Mapping[str, Mapping[str, JsonValue]] = _MESSAGES


class DatasetListing(AnswerModel):
    """The answer of `GET /api/datasets`: samples first, then newest first."""

    datasets: Sequence[DatasetSummary]


class EstimateReport(AnswerModel):
    """One estimator's answer."""

    name: str
    family: str
    estimand: str
    contrast: str | None = Field(None, description="The levels compared, where the treatment has more than two.")
    status: Literal["ok", "warning", "skipped", "failed"]
    reason: str | None = None
    estimate: float | None = None
    standard_error: float | None = None
    ci_lower: float | None = None
    ci_upper: float | None = None
    p_value: float | None = None
    se_method: str | None = None
    n: int | None = None
    n_effective: float | None = None
    diagnostics: Mapping[str, JsonValue] = Field(default_factory=dict)
    warnings: Sequence[str] = ()
    seconds: float | None = Field(
        None,
        description="Time to compute the estimate from rows in memory. Null where passes of an engine over all rows "
        "gave it: they serve several estimates at once, and their time is `provenance.seconds.sums`.",
    )


class Gate(AnswerModel):
    """One check that the decision rests on."""

    status: Literal["pass", "warn", "fail", "not_applicable"]
    value: float | None = None
    threshold: float | None = None
    rule: Sentence = Field(description="The check in words.")
    reason: Sentence | None = None


class Effect(AnswerModel):
    """The primary effect in the units of a decision."""

    outcome: str | None = None
    treatment: str | None = None
    estimate: float
    lower: float | None = None
    upper: float | None = None
    baseline: float | None = Field(
        None, description="Mean outcome without treatment: the mean outcome less what the estimate attributes to it."
    )
    relative: float | None = Field(None, description="The estimate over the baseline: 0.1 is ten percent.")
    relative_lower: float | None = None
    relative_upper: float | None = None
    relative_reason: Sentence | None = Field(None, description="Why the relative effect or its interval is absent.")
    total: float | None = Field(None, description="Of series and panels: the effect on the treated times their rows.")
    total_lower: float | None = None
    total_upper: float | None = None
    total_rows: int | None = None
    total_reason: Sentence | None = Field(None, description="Why the total of a series or a panel is absent.")
    mean_cost: float | None = Field(None, description="Mean of the mapped cost over the treated rows.")
    net_of_cost: float | None = Field(None, description="The estimate less that cost, where both are in one unit.")
    net_lower: float | None = None
    net_upper: float | None = None


class Assumption(AnswerModel):
    """One assumption under which the primary estimate is the effect, and how far it is backed."""

    name: str
    statement: Sentence
    status: Literal["supported", "declared", "untested", "contradicted"] = Field(
        description="`supported`: a test that could have failed, with the power to fail, did not. `declared`: the "
        "request vouches for it. `contradicted`: a test failed, whatever is declared."
    )
    caps: bool = Field(description="Whether it holds the verdict at CANARY while it is untested.")
    evidence: Sequence[Sentence] = ()
    remedy: Sentence | None = Field(None, description="What would settle it.")


class Identification(AnswerModel):
    """Identification of the primary estimate as an effect: its design and assumptions."""

    design: str = Field(description="Name of the design of the primary estimate.")
    statement: Sentence = Field(description="What the estimate is under these assumptions, in one sentence.")
    assumptions: Sequence[Assumption]


class Decision(AnswerModel):
    """The verdict: the weakest of the evidence on the primary estimate, the gates, the ledger and the findings."""

    verdict: Literal["GO", "CANARY", "HOLD"]
    headline: Sentence | None = Field(None, description="The answer in one sentence; absent in older reports.")
    primary: str | None = Field(description="The one estimate used, fixed before any outcome model ran.")
    primary_rule: Sentence
    better: Literal["higher", "lower"]
    minimum_effect: float
    reasons: Sequence[Sentence] = ()
    estimates_computed: int
    note: Sentence


class Provenance(AnswerModel):
    """The origin of the numbers."""

    dataset_digest: str
    rows: int
    rows_used: int
    code_version: str
    seed: int
    folds_version: int | None = Field(None, description="`options.folds_version`; 1 where absent, in older reports.")
    engine: str | None = Field(
        None,
        description="By which sums over the rows were made, with its version: `memory`, or as `duckdb 2.0.1`; `memory` "
        "where absent, in older reports.",
    )
    source: str | None = Field(None, description="The source of a table in place; absent for a data set.")
    table: str | None = Field(None, description="The table in place; absent for a data set.")
    snapshot: str | None = Field(
        None,
        description="What identifies the rows of a table in place: the operator's `as_of`, or a digest of the sizes "
        "and times of files; null where nothing does.",
    )
    seconds: Mapping[str, float]
    cache: Literal["hit", "miss"]
    trace_id: str | None = None
    stored: bool = True


class Report(AnswerModel):
    """The answer of `POST /api/analyze/comprehensive`."""

    analysis_id: str
    dataset_id: str
    mapping: Mapping[str, JsonValue]
    options: Mapping[str, JsonValue] = Field(description="As used, defaults included.")
    status: Literal["ok", "warning", "failed"]
    estimates: Sequence[EstimateReport]
    results: Sequence[Mapping[str, JsonValue]] = Field(description="The estimates under their older names.")
    gates: Mapping[str, Gate]
    decision: Decision
    effect: Effect | None = Field(None, description="Absent where no effect was estimated, and in older reports.")
    identification: Identification | None = Field(
        None, description="Absent where no effect was estimated, and in older reports."
    )
    findings: Sequence[DataFinding] = _FINDINGS
    diagnostics: Mapping[str, JsonValue]
    figures: Mapping[str, str] = Field(description="Figure name to its address; replace .svg by .png or .json.")
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    errors: Sequence[str] = ()
    messages: Mapping[str, Mapping[str, JsonValue]] = _MESSAGES
    provenance: Provenance


class AnalysisSummary(AnswerModel):
    """A stored analysis in a listing."""

    analysis_id: str
    dataset_id: str
    created_at: str
    status: str
    verdict: str | None = None
    primary: str | None = None
    estimate: float | None = None
    outcome: str | None = Field(None, description="Column of the outcome; null in reports of earlier versions.")
    treatment: str | None = Field(
        None,
        description="Column of the treatment; null where the design defines it, and in reports of earlier versions.",
    )
    headline: Sentence | None = Field(
        None, description="The answer in one sentence; null in reports of earlier versions."
    )
    dataset_name: str | None = Field(None, description="Name of the data set; null where it is deleted.")
    title: str | None = Field(None, description="As people have titled it.")
    notes: str | None = Field(None, description="The first 200 characters of what people have noted.")


class AnalysisListing(AnswerModel):
    """The answer of `GET /api/analyses`: one page, newest first."""

    analyses: Sequence[AnalysisSummary]
    next: str | None = Field(None, description="Give it as `before` for the following page; null on the last.")
    messages: Mapping[str, Mapping[str, JsonValue]] = _MESSAGES


class EstimatorDescription(AnswerModel):
    """One entry of the catalog."""

    name: str
    label: Sentence = Field("", description="What people call it; estimators of several estimands share a label.")
    family: str
    estimand: str
    summary: str
    requires: Sequence[str]
    optional: Sequence[str] = ()
    standard_error: str
    paper: str
    doi: str | None = None
    checked_against: str
    on_request: bool = Field(
        False, description="It takes so long that it runs only where `options.estimators` names it."
    )


class Catalog(AnswerModel):
    """The answer of `GET /api/estimators`."""

    estimators: Sequence[EstimatorDescription]
    messages: Mapping[str, Mapping[str, JsonValue]] = _MESSAGES


class Definition(AnswerModel):
    """The meaning of a verdict, a gate, an assumption or the status of one, or a data finding."""

    kind: Literal["verdict", "gate", "assumption", "status", "finding"]
    name: str
    meaning: Sentence = Field(description="What it says; of a gate its rule, with the thresholds.")
    rule: Sentence | None = Field(
        None, description="Of an assumption: when it is supported, when contradicted, and whether it caps."
    )
    designs: Sequence[str] = Field((), description="Of an assumption: designs in which it may be declared.")
    source: str | None = None


class Definitions(AnswerModel):
    """The answer of `GET /api/definitions`."""

    definitions: Sequence[Definition]
    messages: Mapping[str, Mapping[str, JsonValue]] = _MESSAGES


class Problem(AnswerModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str
    title: str
    status: int
    detail: str
    messages: Mapping[str, Mapping[str, JsonValue]] = _MESSAGES
    instance: str | None = None
    choices: Sequence[str] | None = None
    field: str | None = None
    request_id: str | None = None
    trace_id: str | None = None
