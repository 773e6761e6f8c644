"""Keyword arguments of an analysis: every role and every option. Made by `python -m tools.keywords`."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

__all__ = ["Keywords", "OptionKeywords", "RoleKeywords"]


class RoleKeywords(TypedDict, total=False):
    """Roles of columns, by name."""

    y: str | None
    """The outcome."""
    treatment: str | None
    """What was done to the unit: two levels, several, or an amount."""
    unit_id: str | None
    """What a row belongs to (person, store, county); the row itself where absent."""
    covariates: str | Sequence[str] | None
    """Variables measured before treatment, to adjust for: numbers as amounts, words (and what options.categorical
    names) by their levels. "auto" takes the columns that are suggested.
    """
    propensity_covariates: str | Sequence[str] | None
    """Covariates of the treatment model, where they differ from `covariates`."""
    pscore: str | None
    """A known probability of treatment, between 0 and 1."""
    log_propensity: str | None
    """The natural logarithm of a known probability of treatment (at most 0)."""
    instrument: str | Sequence[str] | None
    """Moves the treatment and reaches the outcome through it alone."""
    time: str | None
    """When the row was observed."""
    cohort: str | None
    """The first treated period of the unit; empty or 0 where it never is."""
    post: str | None
    """1 in periods after the intervention, 0 before."""
    intervention_time: str | float | datetime.date | None
    """The first period after the intervention, on the scale of `time`."""
    cluster: str | Sequence[str] | None
    """Groups within which errors may be correlated."""
    weights: str | None
    """Sampling weights."""
    fixed_effects: str | Sequence[str] | None
    """Categories absorbed by the regression."""
    running: str | None
    """The score whose crossing of the cutoff assigns treatment."""
    cutoff: str | float | datetime.date | None
    """The threshold of `running`."""
    mediator: str | Sequence[str] | None
    """Lies on the path from the treatment to the outcome."""
    dose: str | None
    """The amount of treatment received."""
    action: str | None
    """The action that the logging policy took."""
    reward: str | None
    """The reward that followed the action."""
    target_policy: str | Sequence[str] | None
    """The probability that the target policy takes the logged action, or one column per action."""
    sample: str | None
    """Whether the row belongs to the source or to the target population."""
    neighbor_exposure: str | None
    """How much of the unit's neighbourhood is treated."""
    edges: str | None
    """The ids of the unit's neighbours, separated by spaces."""
    latitude: str | None
    """Degrees north."""
    longitude: str | None
    """Degrees east."""
    proxy_treatment: str | Sequence[str] | None
    """A negative-control exposure: a proxy of the confounder that does not cause the outcome."""
    proxy_outcome: str | Sequence[str] | None
    """A negative-control outcome: a proxy of the confounder that the treatment does not cause."""
    cost: str | None
    """What treating the unit costs."""


class OptionKeywords(TypedDict, total=False):
    """Options of an analysis; each has a default that works."""

    se: Literal["auto", "iid", "HC0", "HC1", "HC2", "HC3", "CRV1", "CRV3"] | None
    """Standard errors; `auto` follows the documented convention of each estimator. Default: `auto`."""
    cluster_factor: bool | None
    """Whether the variance CRV1 has the factor G/(G-1) for G clusters; without it, clustered errors of effects over
    time are those of did, csdid and drdid. Default: `True`.
    """
    alpha: float | None
    """1 - alpha is the confidence level; from 1e-10 on, below which an interval has no end. Default: `0.05`."""
    seed: int | None
    """Keys every random choice, such as folds. Default: `0`."""
    folds: int | None
    """Folds of cross-fitting. Default: `5`."""
    folds_version: Literal[1, 2] | None
    """The hash that assigns rows to folds. Version 2 can be computed by databases too; version 1 gives the folds,
    and so the numbers, of releases before 0.3.0. Default: `2`.
    """
    repetitions: int | None
    """Sample splits of cross-fitting; the reported estimate is their median. Default: `1`."""
    strata: int | None
    """Strata of the propensity score. Default: `5`."""
    matches: int | None
    """Rows of the other arm that each row is matched to; more where several are as near. Default: `1`."""
    caliper: float | None
    """The farthest that a match may be in the propensity score, in units of `caliper_unit`. Default: none."""
    caliper_unit: Literal["probability", "sd"] | None
    """Unit of `caliper`: a difference of probabilities, or standard deviations of the score over all rows, as in
    MatchIt. Default: `probability`.
    """
    match_replacement: bool | None
    """Whether a row may be the match of several rows. Without replacement, `psm_att` gives each treated row the
    nearest untreated row that is still free, and other matching does not apply. Default: `True`.
    """
    match_order: Literal["largest", "smallest", "data", "random"] | None
    """Which rows choose first without replacement: those of the largest or smallest propensity score, the first of
    the data, or by `seed`. Equal scores choose, and are chosen, in the order of the data; with `random` by `seed`
    and the values of the row, so that the order of the data does not matter. Default: `largest`.
    """
    match_exact: Sequence[str] | None
    """Covariates in which the rows of a match must be equal, without replacement. Default: none."""
    bias_correction: bool | None
    """Whether matching on covariates is corrected by a regression among the matches for their remaining differences
    in the covariates. Default: `True`.
    """
    outcome_model: Literal["linear", "logit", "probit"] | None
    """Model of the outcome in g-computation and mediation. With logit or probit, for outcomes of 0 and 1, effects
    are average differences in predicted probability (marginal effects). Default: `linear`.
    """
    outcome_range: Sequence[float] | None
    """The smallest and largest value that y can have, for bounds where outcomes are missing; the observed range if
    absent. Default: none.
    """
    control_group: Literal["never_treated", "not_yet_treated"] | None
    """Whom units treated at different times are compared with: the never treated (where there are any, if absent),
    or also those treated later. Default: none.
    """
    did_method: Literal["dr", "reg", "ipw"] | None
    """How that comparison adjusts for covariates: doubly robust, by outcome regression, or by inverse probability.
    Default: `dr`.
    """
    base_period: Literal["varying", "universal"] | None
    """What effects before treatment are changes from: each time the period before, or the last one before
    treatment. Default: `varying`.
    """
    anticipation: int | None
    """Periods before treatment in which units may already react to it. Default: `0`."""
    event_window: int | None
    """Periods from the start of treatment that an event study reaches; all if absent. Default: none."""
    rd_bandwidth: float | Literal["all"] | None
    """How far from the cutoff a discontinuity looks, in units of `running`; MSE-optimal if absent. `all` fits
    global polynomials: every row, with equal weights, as any kernel gives in a bandwidth without end. Default:
    none.
    """
    rd_bias_bandwidth: float | None
    """Bandwidth of the bias correction of a discontinuity, in units of `running`; if absent that of the estimate
    where it is given, and MSE-optimal where it is not. Default: none.
    """
    rd_order: int | None
    """Order of the polynomials of a discontinuity; its bias correction has one order more. Default: `1`."""
    rd_kernel: Literal["triangular", "epanechnikov", "uniform"] | None
    """Weights of the rows within the bandwidth of a discontinuity. Default: `triangular`."""
    season_length: float | None
    """Units of time after which the seasons of an interrupted series begin again, as 12 for months. A series is
    adjusted for seasons where this or `season_pairs` is given; one that follows seasons without it is warned of.
    Default: none.
    """
    season_pairs: int | None
    """Pairs of sine and cosine that stand for the seasons of an interrupted series, usually two, 0 for none.
    Without `season_length` the calendar of dates gives the cycle: a year of quarters, months or weeks, a week of
    days, each of which two must be whole before the intervention, with three periods for each coefficient. Default:
    none.
    """
    season_dummies: bool | None
    """Adjust an interrupted series for a coefficient of each period of the cycle (month or quarter of the year, day
    of the week, or the periods of `season_length`) in place of pairs of sine and cosine; `season_pairs` is then not
    used. Default: `False`.
    """
    mediator_model: Literal["linear", "logit", "probit"] | None
    """Model of the mediator; logit or probit for one of 0 and 1. Default: `linear`."""
    mediation_interaction: bool | None
    """Whether a mediator may move the outcome differently in each of two arms. Default: `False`."""
    match_lags: int | None
    """Periods before over which panel matching wants the same treatment; four if absent, or as many as three
    quarters of the starts have before them. Default: none.
    """
    match_leads: int | None
    """Periods after the first treated one over which panel matching averages the effect of a start. Default: `0`.
    """
    match_refinement: Literal["none", "mahalanobis", "propensity"] | None
    """How panel matching narrows sets of the same history by the covariates of the period before: not at all, to
    the nearest, or by weights. Default: `none`.
    """
    exposure_threshold: float | None
    """The share of treated neighbours (or the value of neighbor_exposure) from which on a row counts as exposed; if
    absent any treated neighbour does (or a value above 0, or the median where few have 0). Default: none.
    """
    conley_bandwidth: float | None
    """Kilometres within which errors are correlated in space; if absent, the distance within which the median row
    has 2 n^(1/3) others, at most 50. Default: none.
    """
    target_action: str | None
    """The action that the policy to be evaluated always takes, where no target_policy is mapped; uniform over the
    logged actions if absent. Default: none.
    """
    drop_rows: Sequence[Mapping[str, object]] | None
    """Rows to leave out of the analysis, such as totals: `{"column": "shop", "values": ["Total"]}`, `{"rows":
    [61]}` or `{"duplicates": true}`, or a list of these. Default: none.
    """
    period_formats: (
        Mapping[
            str,
            Literal[
                "number",
                "year",
                "quarter",
                "month",
                "month-name",
                "week",
                "month-day",
                "day-month",
                "date",
                "date-day-first",
                "date-month-first",
            ],
        ]
        | None
    )
    """Columns of text that are periods, each with its format: `number` (W1, Week 1, 第1週), `year` (令和7年), `quarter`
    (Q1 2025), `month` (Apr 2025, Apr-25, 令和7年4月), `month-name` (Apr), `week` (2025-W03), `month-day` or `day-month`
    (4/7), `date`, `date-day-first` or `date-month-first` (days in several styles). A format that can be read in one
    way only is found unasked in the columns of `time` and `cohort`. Default: none.
    """
    yes_no: Sequence[str] | None
    """Columns in which a mark such as ○ means yes (1) and an empty cell means no (0). Default: none."""
    estimators: Sequence[str] | None
    """Run only these, by catalog name; all that apply if absent. What is named may take longer than what runs
    unasked, as matching on many covariates does. Default: none.
    """
    primary: str | None
    """The estimate that the decision uses, fixed before any outcome model. Default: none."""
    better: Literal["higher", "lower"] | None
    """Which direction of the effect is good. Default: `higher`."""
    engine: Literal["auto", "memory", "duckdb"] | None
    """Where sums over the rows are made: in memory, or by DuckDB for tables larger than it, which gives the same
    numbers to 1e-8. `auto` takes DuckDB beyond 150 million mapped cells. Diagnostics, figures and estimates that
    sums do not give are then of a sample of about 200,000 rows, and say so; synthetic controls, staggered designs
    and discontinuities read the rows that they need. Default: `auto`.
    """
    minimum_effect: float | None
    """The smallest effect that matters, in units of y. Default: `0.0`."""
    categorical: Sequence[str] | None
    """Columns whose numbers or dates are codes of categories (a region 1 to 8, a code of a disease): each level
    enters as its own, as the levels of words always do, and not as an amount. In any role that takes words; of a
    treatment the levels are compared. The notes of a report name covariates that look like codes. Default: none.
    """
    missing: Literal["listwise", "indicator"] | None
    """Rows without a covariate are left out, or kept with the gap filled and marked by a 0/1 column. Default:
    `listwise`.
    """
    refute: int | None
    """Times that each refutation of the primary estimate is tried (placebo treatment, dummy outcome, random common
    cause, subset); each takes as long as the estimate. The gate `refutation` says whether it stands; every refuter
    can contradict it from 39 on. Default: `0`.
    """
    reference_level: str | float | bool | None
    """The level of the treatment to compare with; chosen by rule and reported if absent. Default: none."""
    assignment: Literal["unknown", "randomized", "unconfounded"] | None
    """How the treatment (of instruments: the instrument; of panels: the start of treatment) was assigned: at
    random, or as good as at random given the mapped covariates. While it is unknown, a comparison of arms is an
    association and its verdict at most CANARY. Default: `unknown`.
    """
    assumes: Sequence[str] | None
    """Assumptions of `identification` that you vouch for, by name. What a test contradicts stays contradicted.
    Default: none.
    """
    expected_share: float | Mapping[str, float] | None
    """The planned share of treated rows, or one share for each level of the treatment, for the test of the sample
    ratio. Default: none.
    """
    post_treatment: Sequence[str] | None
    """Columns that are measured after treatment: a difference between the arms in them is no doubt of the
    assignment. Default: none.
    """
    accept: Sequence[str] | None
    """Codes of `findings` that you accept: they no longer hold the verdict at CANARY. Default: none."""


class Keywords(RoleKeywords, OptionKeywords, total=False):
    """Roles and options."""
