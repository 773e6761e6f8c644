"""Rules by which an assumption is supported or contradicted and caps the verdict, with the thresholds of the tests."""

from collections.abc import Mapping

from cqox.contract.messages import Message
from cqox.diagnostics.donor_fit import MISFIT, MISFIT_FAILS
from cqox.diagnostics.identification import (
    arms,
    cutoffs,
    donors,
    exposures,
    instruments,
    policy_logs,
    proxies,
    series,
    trends,
)

__all__ = ["RULES"]

RULES: Mapping[str, Message] = {
    "randomized": Message("definitions.randomized-rule", contradicts=arms.BY_CHANCE),
    "unconfounded": Message("definitions.unconfounded-rule", contradicts=arms.DEPARTURE),
    "no_interference": Message("definitions.no-interference-rule", contradicts=arms.DEPARTURE),
    "complete_outcomes": Message(
        "definitions.complete-outcomes-rule", equal=arms.EQUAL_SHARES, departure=arms.DEPARTURE
    ),
    "independent_units": Message("definitions.independent-units-rule"),
    "relevance": Message("definitions.relevance-rule", least=instruments.WEAK_F),
    "exclusion": Message("definitions.exclusion-rule", contradicts=instruments.LEVEL),
    "monotonicity": Message("definitions.monotonicity-rule", contradicts=instruments.LEVEL),
    "no_manipulation": Message(
        "definitions.no-manipulation-rule", supports=cutoffs.SUPPORTS, jump=cutoffs.DETECTABLE,
        contradicts=cutoffs.CONTRADICTS,
    ),
    "continuity": Message(
        "definitions.continuity-rule", supports=cutoffs.SUPPORTS, placebos=cutoffs.FEWEST_PLACEBOS,
        contradicts=cutoffs.CONTRADICTS,
    ),
    "parallel_trends": Message(
        "definitions.parallel-trends-rule", periods=trends.PERIODS_BEFORE, supports=trends.SUPPORTS,
        breakdown=trends.BREAKDOWN, contradicts=trends.CONTRADICTS,
    ),
    "no_anticipation": Message(
        "definitions.no-anticipation-rule", supports=trends.SUPPORTS, contradicts=trends.CONTRADICTS
    ),
    "no_feedback": Message(
        "definitions.no-feedback-rule", supports=trends.SUPPORTS, lagged=trends.LAGGED, contradicts=trends.CONTRADICTS
    ),
    "donor_match": Message(
        "definitions.donor-match-rule", most=MISFIT, donors=donors.FEWEST_DONORS, supports=donors.SUPPORTS,
        fails=MISFIT_FAILS,
    ),
    "no_concurrent_event": Message(
        "definitions.no-concurrent-event-rule", supports=series.SUPPORTS, contradicts=series.EVENT_CONTRADICTS
    ),
    "stable_trend": Message(
        "definitions.stable-trend-rule", supports=series.SUPPORTS, contradicts=series.TREND_CONTRADICTS
    ),
    "logged_propensities": Message(
        "definitions.logged-propensities-rule", supports=policy_logs.SUPPORTS, matters=policy_logs.MATTERS,
        contradicts=policy_logs.CONTRADICTS,
    ),
    "no_unlogged_context": Message("definitions.no-unlogged-context-rule"),
    "transportable": Message("definitions.transportable-rule"),
    "sequential_ignorability": Message("definitions.sequential-ignorability-rule"),
    "proxy_relevance": Message("definitions.proxy-relevance-rule", least=proxies.WEAK_F),
    "proxy_exclusion": Message("definitions.proxy-exclusion-rule", contradicts=proxies.LEVEL),
    "exposure_mapping": Message(
        "definitions.exposure-mapping-rule", supports=exposures.SUPPORTS, contradicts=exposures.CONTRADICTS
    ),
}  # fmt: skip
