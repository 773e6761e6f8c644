"""One estimator each. Made by `python -m tools.keywords`."""

from typing import Unpack

from cqox.api.keywords import Keywords
from cqox.contract import EstimateReport

__all__ = [
    "aipw",
    "causal_forest",
    "did_2x2",
    "did_2x2_block",
    "did_callaway_santanna",
    "did_imputation",
    "difference_in_means",
    "dml_irm_ate",
    "dml_irm_ate_boosted",
    "dml_irm_att",
    "dml_irm_att_boosted",
    "dml_pliv",
    "dml_plr",
    "dml_plr_boosted",
    "dose_average_derivative",
    "dose_curve",
    "dr_learner",
    "entropy_balancing_ate",
    "entropy_balancing_att",
    "exposure_direct",
    "exposure_spillover",
    "exposure_total",
    "g_computation_ate",
    "g_computation_att",
    "interrupted_series",
    "interrupted_series_forecast",
    "ipw_ate",
    "ipw_att",
    "ipwra",
    "iv_2sls",
    "iv_fuller",
    "iv_liml",
    "iv_wald",
    "lin_interacted",
    "mediation_acme",
    "mediation_ade",
    "mediation_total",
    "nn_mahalanobis_ate",
    "nn_mahalanobis_att",
    "ols_adjustment",
    "ope_dm",
    "ope_dr",
    "ope_ips",
    "ope_snips",
    "overlap_weights",
    "panel_matching",
    "propensity_strata",
    "proximal_2sls",
    "psm_ate",
    "psm_att",
    "rd_density_test",
    "rd_fuzzy",
    "rd_local_linear",
    "s_learner",
    "spatial_ols",
    "synthetic_control",
    "synthetic_control_augmented",
    "synthetic_did",
    "t_learner",
    "transport_dr",
    "transport_g_computation",
    "transport_weighting",
    "twfe",
    "x_learner",
]

def difference_in_means(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Mean outcome of the treated less that of the untreated; causal where treatment was randomised."""

def ols_adjustment(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Coefficient of the treatment in a linear regression on the covariates; treatment is as good as random given
    the covariates, one effect.
    """

def lin_interacted(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Regression on treatment, centred covariates and their products; treatment is as good as random given the
    covariates, outcomes linear by arm.
    """

def g_computation_ate(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Mean difference of two regressions' predictions over all rows, linear unless outcome_model says otherwise;
    treatment is as good as random given the covariates.
    """

def g_computation_att(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Mean difference of two regressions' predictions over the treated, linear unless outcome_model says otherwise;
    treatment is as good as random given the covariates.
    """

def propensity_strata(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Average of the differences of means within strata of the propensity score, fifths by default; treatment is as
    good as random given the covariates, and as good as random within a stratum.
    """

def ipw_ate(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Difference of means weighted to the covariates of all rows by a logit; treatment is as good as random given
    the covariates.
    """

def ipw_att(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Difference of means weighted to the covariates of the treated by a logit; treatment is as good as random
    given the covariates.
    """

def overlap_weights(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Difference of means weighted by the probability of the other arm, which targets the population in which the
    arms overlap; treatment is as good as random given the covariates.
    """

def entropy_balancing_ate(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Difference of means under the maximum entropy weights that give both arms the covariate means of all rows
    exactly; treatment is as good as random given the covariates, and outcomes are linear in them or the inverse
    probability of each arm is log-linear in them.
    """

def entropy_balancing_att(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Difference of means under the maximum entropy weights that give both arms the covariate means of the treated
    exactly; treatment is as good as random given the covariates, and outcomes are linear in them or the treatment
    follows a logit in them.
    """

def psm_ate(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Mean difference between every row and the rows of the other arm with the nearest propensity score; treatment
    is as good as random given the covariates.
    """

def psm_att(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Mean difference between every treated row and the rows of the other arm with the nearest propensity score;
    treatment is as good as random given the covariates.
    """

def nn_mahalanobis_ate(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Mean difference between every row and the rows of the other arm with the nearest covariates, corrected by a
    regression among the matches (bias_correction); treatment is as good as random given the covariates.
    """

def nn_mahalanobis_att(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Mean difference between every treated row and the rows of the other arm with the nearest covariates,
    corrected by a regression among the matches (bias_correction); treatment is as good as random given the
    covariates.
    """

def aipw(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Outcome regressions by arm, corrected by inverse-probability-weighted residuals; treatment is as good as
    random given the covariates, and the outcome or the treatment model is correctly specified.
    """

def ipwra(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Outcome regressions by arm, each weighted by the inverse probability of its treatment; treatment is as good
    as random given the covariates, and one of the two models is correctly specified.
    """

def dml_plr(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Regression of outcome residuals on treatment residuals of linear fits, cross-fitted; treatment is as good as
    random given the covariates, with one effect.
    """

def dml_irm_ate(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Mean doubly robust score over all rows, cross-fitted; treatment is as good as random given the covariates."""

def dml_irm_att(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Mean doubly robust score over the treated, cross-fitted; treatment is as good as random given the covariates."""

def dml_pliv(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Two-stage least squares on residuals of outcome, treatment and instruments of linear fits, cross-fitted; the
    instrument is as good as random given the covariates and affects the outcome through the treatment alone, which
    has one effect.
    """

def s_learner(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Average effect by one linear model of covariates and treatment, which gives the same effect to all; treatment
    is as good as random given the covariates.
    """

def t_learner(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Average of effects that are the difference of a linear model in each arm, cross-fitted, with an evaluation of
    their heterogeneity; treatment is as good as random given the covariates.
    """

def x_learner(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Average of effects that are linear in the other arm's imputations, weighted by the propensity score, cross-
    fitted, with an evaluation of their heterogeneity; treatment is as good as random given the covariates.
    """

def dr_learner(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Average of doubly robust scores, with their best linear predictor by the covariates and a judgement of how
    far effects vary; treatment is as good as random given the covariates.
    """

def iv_2sls(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Two-stage least squares: the effect on the compliers; the instrument is as good as random given the
    covariates and affects the outcome through the treatment alone.
    """

def iv_liml(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Limited-information maximum likelihood, less biased than 2SLS with many or weak instruments: the effect on
    the compliers; the instrument is as good as random given the covariates and affects the outcome through the
    treatment alone.
    """

def iv_fuller(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """LIML with Fuller's constant of 1, nearly unbiased and less variable with weak instruments: the effect on the
    compliers; the instrument is as good as random given the covariates and affects the outcome through the
    treatment alone.
    """

def iv_wald(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """The instrument's effect on the outcome over its effect on the treatment; it is as good as random and affects
    the outcome through the treatment alone.
    """

def did_2x2(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Change of the treated group less change of the untreated group; without treatment both would have moved in
    parallel.
    """

def did_2x2_block(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """The same for a panel that shows the start of treatment: all treated units start together and stay treated;
    parallel trends without treatment.
    """

def twfe(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Coefficient of the treatment with unit and period effects; parallel trends, and one effect for all."""

def did_callaway_santanna(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Average over cohorts and periods of the change since before treatment, less the same change of units not yet
    treated; parallel trends without treatment (given the covariates, where mapped). Where no unit is observed twice
    the means of repeated cross-sections are compared, sampled from one population.
    """

def did_imputation(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Mean over treated rows of the outcome less its prediction by unit and period effects of the untreated rows;
    untreated outcomes follow these effects (and time-varying covariates).
    """

def rd_local_linear(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Jump of a local linear regression of the outcome at the cutoff (or of another order and kernel by `rd_order`
    and `rd_kernel`, or global), MSE-optimal bandwidth, robust bias-corrected interval; continuity: units just below
    and just above the cutoff differ in the treatment only.
    """

def rd_fuzzy(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Jump of the outcome over the jump of the treatment at the cutoff, for the compliers; monotonicity and
    exclusion: crossing the cutoff moves no unit out of treatment and affects outcomes only through it.
    """

def rd_density_test(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Jump of the score's density at the cutoff, a test of manipulation of the score; it needs no outcome and
    estimates no effect.
    """

def synthetic_control(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Gap between the treated units' mean and the weighted mean of untreated ones with the best pre-treatment fit;
    without treatment the fit would have continued.
    """

def synthetic_control_augmented(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """The same with the remaining pre-treatment imbalance corrected by ridge regression, which allows negative
    weights; the ridge is chosen by cross-validation over periods.
    """

def synthetic_did(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Difference in differences with weights on untreated units, so that their trend is parallel to the treated
    ones', and on the pre-treatment periods that predict the later ones.
    """

def interrupted_series(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Average distance, over the periods after an intervention, between a series and its pre-intervention trend;
    the trend (and seasons, if requested) would have continued, and no other event coincides.
    """

def interrupted_series_forecast(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Average distance, over the periods after an intervention, between a series and its forecast from the periods
    before alone; the trend (with seasons and covariates, if any) would have continued, the covariates are not
    affected, and no other event coincides.
    """

def ope_ips(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Mean reward of the log weighted by the target's over the logging policy's probability of the logged action."""

def ope_snips(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """The same, divided by the mean weight: small bias, less variance, and no value outside the range of rewards."""

def ope_dm(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Prediction of a linear reward model under the target policy; needs a correctly specified model."""

def ope_dr(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """The direct method with cross-fitted predictions, corrected by weighted residuals of the log."""

def transport_dr(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Predictions of arm-wise regressions in the target, corrected by residuals of the source weighted by their
    odds of the target.
    """

def transport_weighting(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Difference of the source's means, each row weighted by its odds of the target over its arm's probability."""

def transport_g_computation(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Difference of the source's arm-wise regressions, averaged over the target."""

def proximal_2sls(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Regression on the treatment and on the prediction of the outcome's proxies by the treatment's; together the
    proxies capture every confounder not in the covariates.
    """

def mediation_acme(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """The indirect effect: of treatment on the outcome through the mediator; treatment is as good as random given
    the covariates, and the mediator given both.
    """

def mediation_ade(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """The direct effect: of treatment on the outcome with the mediator held at its own value; treatment is as good
    as random given the covariates, and the mediator given both.
    """

def mediation_total(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """The total effect of treatment, indirect and direct, by the same equations; treatment is as good as random
    given the covariates, and the mediator given both.
    """

def dose_average_derivative(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Average derivative of the mean outcome by dose: slopes of an outcome model, corrected by residuals times the
    score of the dose's density; the dose is as good as random given the covariates.
    """

def dose_curve(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """The doubly robust curve of mean outcomes by dose, with a uniform band; the estimate is its mean slope between
    the quartiles of the dose, which is as good as random given the covariates.
    """

def panel_matching(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Difference in differences within sets of the same treatment history; treatment may start and end. Parallel
    trends given the history.
    """

def exposure_total(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Treated and exposed against neither: Hajek means of the exposure classes. Exposure captures all of how
    others' treatments matter.
    """

def exposure_direct(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Treated against untreated without exposure: Hajek means of the exposure classes."""

def exposure_spillover(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Exposed against not exposed among the untreated: Hajek means of the exposure classes."""

def spatial_ols(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Regression on treatment and covariates with Conley standard errors for spatial correlation."""

def dml_plr_boosted(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Regression of outcome residuals on treatment residuals of boosted trees, cross-fitted; treatment is as good
    as random given the covariates, with one effect. It runs where options.estimators names it and cqox[boost] is
    installed.
    """

def dml_irm_ate_boosted(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Mean doubly robust score over all rows with boosted trees for every nuisance function, cross-fitted;
    treatment is as good as random given the covariates. It runs where options.estimators names it and cqox[boost]
    is installed.
    """

def dml_irm_att_boosted(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Mean doubly robust score over the treated with boosted trees for every nuisance function, cross-fitted;
    treatment is as good as random given the covariates. It runs where options.estimators names it and cqox[boost]
    is installed.
    """

def causal_forest(data: object, **keywords: Unpack[Keywords]) -> EstimateReport:
    """Average of doubly robust scores around the nonparametric effects of an honest forest, with an evaluation of
    their heterogeneity; treatment is as good as random given the covariates. It runs where options.estimators names
    it and cqox[forest] is installed.
    """
