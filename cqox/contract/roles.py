"""The one vocabulary of roles: what a column or a scalar can be, and by which other words people call it.

Names only. Which column plays which role in a given table is guessed in `cqox.datasets`; what a role requires of its
values is checked in `cqox.analysis`.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cqox.contract.words import near_words

__all__ = ["ALIASES", "ROLES", "ROLES_IN_WORDS", "Arity", "Role", "canonical_role", "near_roles"]

type Arity = Literal["column", "columns", "scalar"]
"""Kind of value that a role takes: one column, several, or a plain number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One role of the vocabulary.

    Attributes:
        name: the name that reports use.
        arity: whether the role takes one column, several, or a plain number.
        meaning: one sentence for people, shown in the API's documentation.
        aliases: other words that mean the same, lower case; the role used is reported under `name`.
    """

    name: str
    arity: Arity
    meaning: str
    aliases: tuple[str, ...] = ()


_ALL = (
    Role(name="y", arity="column", meaning="The outcome.", aliases=("outcome", "target", "response", "dependent")),
    Role(
        name="treatment",
        arity="column",
        meaning="What was done to the unit: two levels, several, or an amount.",
        aliases=("w", "t", "d", "treat", "treated", "exposure", "intervention"),
    ),
    Role(
        name="unit_id",
        arity="column",
        meaning="What a row belongs to (person, store, county); the row itself where absent.",
        aliases=("id", "unit", "entity", "subject", "panel_id"),
    ),
    Role(
        name="covariates",
        arity="columns",
        meaning="Variables measured before treatment, to adjust for: numbers as amounts, words (and what "
        "options.categorical names) by their levels.",
        aliases=("x", "covariate", "controls", "confounders", "features"),
    ),
    Role(
        name="propensity_covariates",
        arity="columns",
        meaning="Covariates of the treatment model, where they differ from `covariates`.",
        aliases=("treatment_covariates",),
    ),
    Role(
        name="pscore",
        arity="column",
        meaning="A known probability of treatment, between 0 and 1.",
        aliases=("propensity", "propensity_score"),
    ),
    Role(
        name="log_propensity",
        arity="column",
        meaning="The natural logarithm of a known probability of treatment (at most 0).",
        aliases=("logp", "log_pscore"),
    ),
    Role(
        name="instrument",
        arity="columns",
        meaning="Moves the treatment and reaches the outcome through it alone.",
        aliases=("z", "iv", "instruments"),
    ),
    Role(name="time", arity="column", meaning="When the row was observed.", aliases=("period", "date", "year")),
    Role(
        name="cohort",
        arity="column",
        meaning="The first treated period of the unit; empty or 0 where it never is.",
        aliases=("first_treat", "first_treated", "gvar"),
    ),
    Role(
        name="post",
        arity="column",
        meaning="1 in periods after the intervention, 0 before.",
        aliases=("after",),
    ),
    Role(
        name="intervention_time",
        arity="scalar",
        meaning="The first period after the intervention, on the scale of `time`.",
        aliases=("treatment_time",),
    ),
    Role(
        name="cluster",
        arity="columns",
        meaning="Groups within which errors may be correlated.",
        aliases=("clusters", "cluster_id"),
    ),
    Role(
        name="weights",
        arity="column",
        meaning="Sampling weights.",
        aliases=("weight", "sample_weight", "sampling_weight"),
    ),
    Role(
        name="fixed_effects",
        arity="columns",
        meaning="Categories absorbed by the regression.",
        aliases=("fe", "fixed_effect", "absorb"),
    ),
    Role(
        name="running",
        arity="column",
        meaning="The score whose crossing of the cutoff assigns treatment.",
        aliases=("running_variable", "score", "forcing"),
    ),
    Role(name="cutoff", arity="scalar", meaning="The threshold of `running`.", aliases=("threshold",)),
    Role(
        name="mediator",
        arity="columns",
        meaning="Lies on the path from the treatment to the outcome.",
        aliases=("m", "mediators"),
    ),
    Role(name="dose", arity="column", meaning="The amount of treatment received.", aliases=("intensity",)),
    Role(name="action", arity="column", meaning="The action that the logging policy took.", aliases=()),
    Role(name="reward", arity="column", meaning="The reward that followed the action.", aliases=()),
    Role(
        name="target_policy",
        arity="columns",
        meaning="The probability that the target policy takes the logged action, or one column per action.",
        aliases=("evaluation_policy",),
    ),
    Role(
        name="sample",
        arity="column",
        meaning="Whether the row belongs to the source or to the target population.",
        aliases=("population",),
    ),
    Role(
        name="neighbor_exposure",
        arity="column",
        meaning="How much of the unit's neighbourhood is treated.",
        aliases=("exposure_share", "spillover"),
    ),
    Role(name="edges", arity="column", meaning="The ids of the unit's neighbours, separated by spaces.", aliases=()),
    Role(name="latitude", arity="column", meaning="Degrees north.", aliases=("lat",)),
    Role(name="longitude", arity="column", meaning="Degrees east.", aliases=("lon", "lng")),
    Role(
        name="proxy_treatment",
        arity="columns",
        meaning="A negative-control exposure: a proxy of the confounder that does not cause the outcome.",
        aliases=("nce",),
    ),
    Role(
        name="proxy_outcome",
        arity="columns",
        meaning="A negative-control outcome: a proxy of the confounder that the treatment does not cause.",
        aliases=("nco",),
    ),
    Role(name="cost", arity="column", meaning="What treating the unit costs.", aliases=()),
)

ROLES: Mapping[str, Role] = {role.name: role for role in _ALL}
"""Every role by its name."""

_TAKES: Mapping[Arity, str] = {"column": "a column", "columns": "one column or several", "scalar": "a number or a date"}

ROLES_IN_WORDS = "\n".join(
    f"- {', '.join(f'`{name}`' for name in (role.name, *role.aliases))} ({_TAKES[role.arity]}): {role.meaning}"
    for role in _ALL
)
"""Every role as a list in Markdown, with the other words for it and what it is mapped to."""

_LONGEST = 100
"""Characters beyond which a word means no role; to fold a long one can take a time that grows as its square."""

ALIASES: Mapping[str, str] = {alias: role.name for role in _ALL for alias in role.aliases}
"""Every other word, in lower case, with the role that it means."""


def canonical_role(word: str) -> str | None:
    """The role that a word means, whatever its case or width; None where there is none."""
    if len(word) > _LONGEST:
        return None
    folded = unicodedata.normalize("NFKC", word).strip().lower().replace("-", "_").replace(" ", "_")
    return folded if folded in ROLES else ALIASES.get(folded)


def near_roles(word: str) -> list[str]:
    """The few roles that somebody who wrote `word` may have meant, by their names and the other words for them."""
    found = near_words(word, [*ROLES, *ALIASES])
    return list(dict.fromkeys(ALIASES.get(name, name) for name in found))
