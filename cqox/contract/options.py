"""Options of an analysis, each with a default that works."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from cqox.contract.bounds import shortened
from cqox.contract.estimators import ESTIMATORS, near_estimators
from cqox.contract.findings import FINDING_CODES, RemedyOptions
from cqox.contract.messages import Message, of
from cqox.contract.repeated import check_repeated
from cqox.contract.strict import Names, Strict
from cqox.contract.words import unknown_word

__all__ = ["EstimationOptions", "Options"]


class EstimationOptions(Strict):
    """Options of the estimators; each has a default that works.

    They are written here only: the settings of estimators, the command line and OpenAPI take them from this model.
    """

    se: Literal["auto", "iid", "HC0", "HC1", "HC2", "HC3", "CRV1", "CRV3"] = Field(
        "auto", description="Standard errors; `auto` follows the documented convention of each estimator."
    )
    cluster_factor: bool = Field(
        True,
        description="Whether the variance CRV1 has the factor G/(G-1) for G clusters; without it, clustered errors of "
        "effects over time are those of did, csdid and drdid.",
    )
    alpha: Annotated[float, Field(ge=1e-10, lt=0.5)] = Field(
        0.05, description="1 - alpha is the confidence level; from 1e-10 on, below which an interval has no end."
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="Keys every random choice, such as folds.")
    folds: Annotated[int, Field(ge=2, le=50)] = Field(5, description="Folds of cross-fitting.")
    folds_version: Literal[1, 2] = Field(
        2,
        description="The hash that assigns rows to folds. Version 2 can be computed by databases too; version 1 gives "
        "the folds, and so the numbers, of releases before 0.3.0.",
    )
    repetitions: Annotated[int, Field(ge=1, le=100_000)] = Field(
        1, description="Sample splits of cross-fitting; the reported estimate is their median."
    )
    strata: Annotated[int, Field(ge=2, le=100)] = Field(5, description="Strata of the propensity score.")
    matches: Annotated[int, Field(ge=1, le=100)] = Field(
        1, description="Rows of the other arm that each row is matched to; more where several are as near."
    )
    caliper: Annotated[float, Field(gt=0.0, le=1.0)] | None = Field(
        None,
        description="The farthest that a match may be in the propensity score, in units of `caliper_unit`.",
    )
    caliper_unit: Literal["probability", "sd"] = Field(
        "probability",
        description="Unit of `caliper`: a difference of probabilities, or standard deviations of the score over all "
        "rows, as in MatchIt.",
    )
    match_replacement: bool = Field(
        True,
        description="Whether a row may be the match of several rows. Without replacement, `psm_att` gives each treated "
        "row the nearest untreated row that is still free, and other matching does not apply.",
    )
    match_order: Literal["largest", "smallest", "data", "random"] = Field(
        "largest",
        description="Which rows choose first without replacement: those of the largest or smallest propensity score, "
        "the first of the data, or by `seed`. Equal scores choose, and are chosen, in the order of the data; with "
        "`random` by `seed` and the values of the row, so that the order of the data does not matter.",
    )
    match_exact: Names | None = Field(
        None,
        description="Covariates in which the rows of a match must be equal, without replacement.",
    )
    bias_correction: bool = Field(
        True,
        description="Whether matching on covariates is corrected by a regression among the matches for their remaining "
        "differences in the covariates.",
    )
    outcome_model: Literal["linear", "logit", "probit"] = Field(
        "linear",
        description="Model of the outcome in g-computation and mediation. With logit or probit, for outcomes of 0 and "
        "1, effects are average differences in predicted probability (marginal effects).",
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
    rd_bandwidth: Annotated[float, Field(gt=0.0)] | Literal["all"] | None = Field(
        None,
        description="How far from the cutoff a discontinuity looks, in units of `running`; MSE-optimal if absent. "
        "`all` fits global polynomials: every row, with equal weights, as any kernel gives in a bandwidth without end.",
    )
    rd_bias_bandwidth: Annotated[float, Field(gt=0.0)] | None = Field(
        None,
        description="Bandwidth of the bias correction of a discontinuity, in units of `running`; if absent that of "
        "the estimate where it is given, and MSE-optimal where it is not.",
    )
    rd_order: Annotated[int, Field(ge=0, le=8)] = Field(
        1, description="Order of the polynomials of a discontinuity; its bias correction has one order more."
    )
    rd_kernel: Literal["triangular", "epanechnikov", "uniform"] = Field(
        "triangular", description="Weights of the rows within the bandwidth of a discontinuity."
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
    season_dummies: bool = Field(
        False,
        description="Adjust an interrupted series for a coefficient of each period of the cycle (month or quarter of "
        "the year, day of the week, or the periods of `season_length`) in place of pairs of sine and cosine; "
        "`season_pairs` is then not used.",
    )
    mediator_model: Literal["linear", "logit", "probit"] = Field(
        "linear", description="Model of the mediator; logit or probit for one of 0 and 1."
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


class Options(RemedyOptions, EstimationOptions):
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
    engine: Literal["auto", "memory", "duckdb"] = Field(
        "auto",
        description="Where sums over the rows are made: in memory, or by DuckDB for tables larger than it, which gives "
        "the same numbers to 1e-8. `auto` takes DuckDB beyond 150 million mapped cells. Diagnostics, figures and "
        "estimates that sums do not give are then of a sample of about 200,000 rows, and say so; synthetic controls, "
        "staggered designs and discontinuities read the rows that they need.",
    )
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

    assignment: Literal["unknown", "randomized", "unconfounded"] = Field(
        "unknown",
        description="How the treatment (of instruments: the instrument; of panels: the start of treatment) was "
        "assigned: at random, or as good as at random given the mapped covariates. While it is unknown, a comparison "
        "of arms is an association and its verdict at most CANARY.",
    )
    assumes: Names | None = Field(
        None,
        description="Assumptions of `identification` that you vouch for, by name. What a test contradicts stays "
        "contradicted.",
    )
    expected_share: float | dict[str, float] | None = Field(
        None,
        description="The planned share of treated rows, or one share for each level of the treatment, for the test of "
        "the sample ratio.",
    )
    post_treatment: Names | None = Field(
        None,
        description="Columns that are measured after treatment: a difference between the arms in them is no doubt of "
        "the assignment.",
    )
    accept: Names | None = Field(
        None, description="Codes of `findings` that you accept: they no longer hold the verdict at CANARY."
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

    @field_validator("expected_share")
    @classmethod
    def _shares(cls, value: float | dict[str, float] | None) -> float | dict[str, float] | None:
        shares = value.values() if isinstance(value, dict) else () if value is None else (value,)
        if any(not 0 < share < 1 for share in shares) or sum(shares) > 1 + 1e-9:
            raise ValueError(Message("request.share-outside"))
        return value

    @field_validator("accept")
    @classmethod
    def _known_findings(cls, value: list[str] | None) -> list[str] | None:
        for code in value or ():
            if code not in FINDING_CODES:
                # No ValueError, for the reason in `_check_estimator`.
                raise unknown_word(Message("request.word-finding"), code, FINDING_CODES, field="options.accept")
        return value or None

    @field_validator("categorical")
    @classmethod
    def _once(cls, value: list[str] | None) -> list[str] | None:
        check_repeated(of("options.categorical"), value or (), field="options.categorical")
        return value or None


def _check_estimator(name: str, *, field: str) -> None:
    # No ValueError: pydantic would take it for its own, and the valid names would be lost.
    if name not in ESTIMATORS:
        word = shortened(name)
        raise unknown_word(Message("request.word-estimator"), word, ESTIMATORS, field=field, near=near_estimators(word))
