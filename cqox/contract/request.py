"""Models of every request body.

Shape only; whether the named columns exist and can play their roles is for `cqox.analysis`, which has the data.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field, field_validator

from cqox.contract.bounds import MAX_SHOWN_CHARACTERS, MOST_COLUMNS, shortened
from cqox.contract.estimators import ESTIMATORS, near_estimators
from cqox.contract.messages import Message, of
from cqox.contract.roles import ROLES, ROLES_IN_WORDS, canonical_role, near_roles
from cqox.contract.words import unknown_word
from cqox.errors import InvalidRequest

__all__ = ["AnalyzeRequest", "Assignment", "EstimationOptions", "InferRequest", "Mapped", "Options", "RoleMapping"]

type Mapped = str | float | tuple[str, ...]
"""Normalised value of a role: a column, several columns, or a scalar (a number, or a date as ISO text)."""

type RoleMapping = Mapping[str, Mapped]
"""Canonical role names to what plays them."""

_Names = Annotated[list[str], FailFast()]
"""Stops at the first error of a list: ten thousand items that are wrong in the same way give one error."""

_MOST_SHOWN = 5
_LOOSE_DATE = re.compile(r"^(\d{4})(?:[-/.]|年\s*)(\d{1,2})(?:(?:[-/.]|月\s*)(\d{1,2})日?|月)?(?=$|[T\s])")
"""Years, months and days as columns of dates have them; a month without a day is its first day."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="null", allow_inf_nan=False)


class Assignment(_Strict):
    """One role and what plays it, for the list form of a mapping."""

    role: str
    column: str | _Names | float


class EstimationOptions(_Strict):
    """Options of the estimators; each has a default that works.

    They are written here only: the settings of estimators, the command line and OpenAPI take them from this model.
    """

    se: Literal["auto", "iid", "HC0", "HC1", "HC2", "HC3", "CRV1", "CRV3"] = Field(
        "auto", description="Standard errors; `auto` follows the documented convention of each estimator."
    )
    alpha: Annotated[float, Field(ge=1e-10, lt=0.5)] = Field(
        0.05, description="1 - alpha is the confidence level; from 1e-10 on, below which an interval has no end."
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="Keys every random choice, such as folds.")
    folds: Annotated[int, Field(ge=2, le=50)] = Field(5, description="Folds of cross-fitting.")
    repetitions: Annotated[int, Field(ge=1, le=100_000)] = Field(
        1, description="Sample splits of cross-fitting; the reported estimate is their median."
    )
    strata: Annotated[int, Field(ge=2, le=100)] = Field(5, description="Strata of the propensity score.")
    matches: Annotated[int, Field(ge=1, le=100)] = Field(
        1, description="Rows of the other arm that each row is matched to; more where several are as near."
    )
    caliper: Annotated[float, Field(gt=0.0, le=1.0)] | None = Field(
        None, description="The farthest that a match may be in the propensity score, as a difference of probabilities."
    )
    outcome_range: tuple[float, float] | None = Field(
        None,
        description="The smallest and largest value that y can have, for bounds where outcomes are missing; the "
        "observed range if absent.",
    )
    control_group: Literal["never_treated", "not_yet_treated"] | None = Field(
        None,
        description="Whom units treated at different times are compared with: the never treated (where there are any, "
        "if absent), or also those treated later.",
    )
    did_method: Literal["dr", "reg", "ipw"] = Field(
        "dr",
        description="How that comparison adjusts for covariates: doubly robust, by outcome regression, or by inverse "
        "probability.",
    )
    base_period: Literal["varying", "universal"] = Field(
        "varying",
        description="What effects before treatment are changes from: each time the period before, or the last one "
        "before treatment.",
    )
    anticipation: Annotated[int, Field(ge=0, le=1000)] = Field(
        0, description="Periods before treatment in which units may already react to it."
    )
    event_window: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        None, description="Periods from the start of treatment that an event study reaches; all if absent."
    )
    rd_bandwidth: Annotated[float, Field(gt=0.0)] | None = Field(
        None,
        description="How far from the cutoff a discontinuity looks, in units of `running`; MSE-optimal if absent.",
    )
    season_length: Annotated[float, Field(gt=0.0)] | None = Field(
        None,
        description="Units of time after which the seasons of an interrupted series begin again, as 12 for months. A "
        "series is adjusted for seasons where this or `season_pairs` is given; one that follows seasons without it is "
        "warned of.",
    )
    season_pairs: Annotated[int, Field(ge=0, le=12)] | None = Field(
        None,
        description="Pairs of sine and cosine that stand for the seasons of an interrupted series, usually two, 0 for "
        "none. Without `season_length` the calendar of dates gives the cycle: a year of quarters, months or weeks, a "
        "week of days, each of which two must be whole before the intervention, with three periods for each "
        "coefficient.",
    )
    mediation_interaction: bool = Field(
        False, description="Whether a mediator may move the outcome differently in each of two arms."
    )
    match_lags: Annotated[int, Field(ge=1, le=50)] | None = Field(
        None,
        description="Periods before over which panel matching wants the same treatment; four if absent, or as many as "
        "three quarters of the starts have before them.",
    )
    match_leads: Annotated[int, Field(ge=0, le=1000)] = Field(
        0, description="Periods after the first treated one over which panel matching averages the effect of a start."
    )
    match_refinement: Literal["none", "mahalanobis", "propensity"] = Field(
        "none",
        description="How panel matching narrows sets of the same history by the covariates of the period before: not "
        "at all, to the nearest, or by weights.",
    )
    exposure_threshold: Annotated[float, Field(gt=0.0)] | None = Field(
        None,
        description="The share of treated neighbours (or the value of neighbor_exposure) from which on a row counts as "
        "exposed; if absent any treated neighbour does (or a value above 0, or the median where few have 0).",
    )
    conley_bandwidth: Annotated[float, Field(gt=0.0, le=20_100.0)] | None = Field(
        None,
        description="Kilometres within which errors are correlated in space; if absent, the distance within which the "
        "median row has 2 n^(1/3) others, at most 50.",
    )
    target_action: str | None = Field(
        None,
        description="The action that the policy to be evaluated always takes, where no target_policy is mapped; "
        "uniform over the logged actions if absent.",
    )

    @field_validator("outcome_range")
    @classmethod
    def _ascending(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not value[0] < value[1]:
            raise ValueError(Message("request.range-not-ascending"))
        return value


class Options(EstimationOptions):
    """Options of an analysis; each has a default that works."""

    estimators: list[str] | None = Field(
        None,
        description="Run only these, by catalog name; all that apply if absent. What is named may take longer than "
        "what runs unasked, as matching on many covariates does.",
    )
    primary: str | None = Field(
        None, description="The estimate that the decision uses, fixed before any outcome model."
    )
    better: Literal["higher", "lower"] = Field("higher", description="Which direction of the effect is good.")
    minimum_effect: float = Field(0.0, description="The smallest effect that matters, in units of y.")
    covariates: Literal["mapped", "auto"] = Field(
        "mapped",
        description="`auto` also adjusts for the columns that /api/roles/infer would suggest, where none are mapped. "
        "The notes name those that are left out for their values: constant, constant within every unit of a panel, or "
        "the outcome or treatment once more.",
    )
    categorical: list[str] | None = Field(
        None,
        description="Columns whose numbers or dates are codes of categories (a region 1 to 8, a code of a disease): "
        "each level enters as its own, as the levels of words always do, and not as an amount. In any role that takes "
        "words; of a treatment the levels are compared. The notes of a report name covariates that look like codes.",
    )
    missing: Literal["listwise", "indicator"] = Field(
        "listwise",
        description="Rows without a covariate are left out, or kept with the gap filled and marked by a 0/1 column.",
    )
    refute: Annotated[int, Field(ge=0, le=10_000)] = Field(
        0,
        description="Times that each refutation of the primary estimate is tried (placebo treatment, dummy outcome, "
        "random common cause, subset); each takes as long as the estimate. The gate `refutation` says whether it "
        "stands; every refuter can contradict it from 39 on.",
    )
    reference_level: str | float | bool | None = Field(
        None, description="The level of the treatment to compare with; chosen by rule and reported if absent."
    )

    @field_validator("estimators")
    @classmethod
    def _known(cls, value: list[str] | None) -> list[str] | None:
        if value == []:
            raise ValueError(Message("request.names-no-estimator"))
        for name in value or ():
            _check_estimator(name, field="options.estimators")
        return value

    @field_validator("primary")
    @classmethod
    def _known_primary(cls, value: str | None) -> str | None:
        if value:
            _check_estimator(value, field="options.primary")
        return value

    @field_validator("categorical")
    @classmethod
    def _once(cls, value: list[str] | None) -> list[str] | None:
        _check_repeated(of("options.categorical"), value or (), field="options.categorical")
        return value or None


class AnalyzeRequest(_Strict):
    """The body of `POST /api/analyze/comprehensive`."""

    dataset_id: Annotated[str, Field(min_length=1, max_length=200)]
    mapping: dict[str, str | float | _Names] | Annotated[list[Assignment], FailFast()] = Field(
        description="Which column plays which role, as `{role: column | [columns] | number}` or `[{role, column}]`. Of "
        f"several words for a role, reports use the first.\n\n{ROLES_IN_WORDS}"
    )
    options: Options = Options()  # type: ignore[call-arg]

    def roles(self) -> tuple[RoleMapping, Mapping[str, str]]:
        """The mapping under canonical names, and the aliases that were translated on the way (word to role).

        Raises:
            InvalidRequest: an unknown role, a role given twice, or a role given the wrong kind of value or too many.
        """
        given: list[tuple[str, str | float | list[str]]]
        if isinstance(self.mapping, dict):
            given = list(self.mapping.items())
        else:
            given = [(item.role, item.column) for item in self.mapping]
        several: dict[str, list[str]] = {}
        single: dict[str, str | float] = {}
        aliases: dict[str, str] = {}
        for word, value in given:
            name = canonical_role(word)
            if name is None:
                raise unknown_word(
                    Message("request.word-role"), word, sorted(ROLES), field="mapping", near=near_roles(word)
                )
            if name != word:
                aliases[word] = name
            if ROLES[name].arity == "columns":
                several.setdefault(name, []).extend(_columns(name, value))
            elif name in single:
                raise InvalidRequest(Message("request.role-mapped-twice", role=name), field=f"mapping.{name}")
            else:
                single[name] = _one(name, value)
        for name, columns in several.items():
            _check_columns(name, columns)
        merged: dict[str, Mapped] = {**single, **{name: tuple(columns) for name, columns in several.items() if columns}}
        return {name: merged[name] for name in ROLES if name in merged}, aliases


class InferRequest(_Strict):
    """The body of `POST /api/roles/infer`."""

    dataset_id: Annotated[str, Field(min_length=1, max_length=200)]


def _check_columns(name: str, columns: Sequence[str]) -> None:
    if len(columns) > MOST_COLUMNS:
        raise InvalidRequest(
            Message("request.too-many-columns", columns=len(columns), most=MOST_COLUMNS, role=name),
            field=f"mapping.{name}",
        )
    _check_repeated(Message("request.the-role", role=name), columns, field=f"mapping.{name}")


def _check_repeated(what: Message, columns: Sequence[str], *, field: str) -> None:
    repeated = sorted(column for column, count in Counter(columns).items() if count > 1)
    if repeated:
        shown = [shortened(column) for column in repeated[:_MOST_SHOWN]]
        more = len(repeated) - len(shown)
        detail = (
            Message("request.repeated-columns-and-others", columns=shown, others=more, what=what)
            if more
            else Message("request.repeated-columns", columns=shown, what=what)
        )
        raise InvalidRequest(detail, field=field)


def _columns(name: str, value: str | float | list[str]) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return value
    raise InvalidRequest(Message("request.number-for-columns", number=value, role=name), field=f"mapping.{name}")


def _one(name: str, value: str | float | list[str]) -> str | float:
    arity = ROLES[name].arity
    if isinstance(value, list):
        if len(value) != 1:
            detail = (
                Message("request.takes-one-number", given=len(value), role=name)
                if arity == "scalar"
                else Message("request.takes-one-column", given=len(value), role=name)
            )
            raise InvalidRequest(detail, field=f"mapping.{name}")
        value = value[0]
    if arity == "scalar":
        scalar = _scalar(value)
        if scalar is None:
            given = shortened(value) if isinstance(value, str) else value
            raise InvalidRequest(Message("request.no-scalar", given=given, role=name), field=f"mapping.{name}")
        return scalar
    if not isinstance(value, str):
        raise InvalidRequest(Message("request.number-for-a-column", number=value, role=name), field=f"mapping.{name}")
    return value


def _scalar(value: str | float) -> str | float | None:
    """The number, or a date as ISO text in UTC without its zone; None where it is neither."""
    if isinstance(value, str) and len(value) > MAX_SHOWN_CHARACTERS:
        return None
    try:
        number = float(value)
    except ValueError:
        return _date(str(value))
    return number if math.isfinite(number) else None


def _date(text: str) -> str | None:
    narrow = unicodedata.normalize("NFKC", text).strip()
    found = _LOOSE_DATE.match(narrow)
    if found:
        year, month, day = found[1], found[2], found[3] or "1"
        narrow = f"{year}-{month:0>2}-{day:0>2}{narrow[found.end() :]}"
    try:
        moment = datetime.fromisoformat(narrow)
        moment = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return None
    return moment.date().isoformat() if moment.time() == time() else moment.isoformat(sep=" ")


def _check_estimator(name: str, *, field: str) -> None:
    # No ValueError: pydantic would take it for its own, and the valid names would be lost.
    if name not in ESTIMATORS:
        word = shortened(name)
        raise unknown_word(Message("request.word-estimator"), word, ESTIMATORS, field=field, near=near_estimators(word))
