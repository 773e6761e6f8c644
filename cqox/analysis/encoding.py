"""The roles of a request as expressions of a table's columns: what `prepare` makes arrays of, for an engine to sum."""

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from cqox.analysis.categories import with_categories
from cqox.analysis.designs import source_level
from cqox.analysis.levels import choose_reference
from cqox.analysis.mapping import names_in
from cqox.analysis.roles import Columns, is_category
from cqox.analysis.time_roles import time_column
from cqox.contract import Options, RoleMapping
from cqox.contract.messages import Message
from cqox.estimators.by_moments.encoded import MOST_PERIODS, Encoded, NotByMoments, StoredRows
from cqox.estimators.numerics.moments import Column, Constant, Exp, Expr, Is, Known, Moments, case, linear, times

__all__ = ["encoded"]


def encoded(
    source: Moments,
    frame: pl.DataFrame,
    columns: Columns,
    roles: RoleMapping,
    options: Options,
    *,
    contrast: int,
    amount: bool,
    fold_key: str | None,
    units_repeat: bool | None,
    beyond: Collection[str] = (),
    stored: StoredRows | None = None,
) -> Encoded:
    """Return the roles of one contrast.

    Args:
        source: the rows.
        frame: a sample of them in memory, in which every level of a column occurs.
        columns: description of every column of the table, by name.
        roles: canonical role to mapped columns or value.
        options: the request's options.
        contrast: its number, in the order of `prepare`.
        amount: True if the treatment is an amount.
        fold_key: the column of the source from which folds are made as in memory; None where it has none.
        units_repeat: whether some unit has several rows; None if that is not known.
        beyond: columns with more levels than enter as indicators.
        stored: reads single rows; None where none can be read.

    Raises:
        NotByMoments: a role or an option has no such expression.
    """
    if options.missing == "indicator":
        raise NotByMoments(Message("by_moments.indicators"))
    if not {"y", "reward"} & roles.keys() or ("treatment" not in roles and "dose" in roles):
        raise NotByMoments(Message("by_moments.no-treatment"))
    made = _Encoding(
        frame=frame, columns=with_categories(frame, columns, roles, options.categorical, []), roles=roles, beyond=beyond
    )
    covariates = made.columns_of("covariates")
    treatment, condition = (made.amount(), None) if amount else made.treatment(options, contrast)
    for each in (condition, made.positive_weight()):
        source = source if each is None else source.where(each)
    own = "propensity_covariates" in roles
    return Encoded(
        source=source,
        y=made.outcome(),
        treatment=treatment,
        covariates=covariates,
        propensity_covariates=made.columns_of("propensity_covariates") if own else covariates,
        instruments=made.columns_of("instrument"),
        pscore=made.probability(),
        post=made.post(),
        weights=made.one("weights"),
        clusters=tuple(Column(name) for name in names_in(roles.get("cluster", ()))),
        unit=made.one("unit_id"),
        time=made.period(),
        running=made.one("running"),
        action=made.action(),
        target_policy=tuple(Column(name) for name in names_in(roles.get("target_policy", ()))),
        in_source=made.population(),
        row_key=None if fold_key is None else Column(fold_key),
        units_repeat=units_repeat,
        stored=stored,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Encoding:
    frame: pl.DataFrame
    columns: Columns
    roles: RoleMapping
    beyond: Collection[str]

    def one(self, role: str) -> Column | None:
        """Return the only column of a role."""
        return Column(str(self.roles[role])) if role in self.roles else None

    def outcome(self) -> Expr:
        """Return the outcome: its numbers, or of two words 1 for the one that means yes."""
        name = str(self.roles["y" if "y" in self.roles else "reward"])
        return Column(name) if self.frame[name].dtype.is_numeric() else self._of_two(name)

    def post(self) -> Expr | None:
        """Return 1 in the periods after the intervention, where a column says so."""
        return self._of_two(str(self.roles["post"])) if "post" in self.roles else None

    def population(self) -> Expr | None:
        """Return 1 in the source population and 0 in the target, where a column says so."""
        if "sample" not in self.roles:
            return None
        name = str(self.roles["sample"])
        chosen = source_level(self.frame[name])
        return self._of_two(name) if chosen is None else _indicator(name, chosen)

    def period(self) -> Expr | None:
        """Return the period: its number, or of words the place in their order from 1; 0 for a word that the sample has
        not."""
        if "time" not in self.roles:
            return None
        words = self.frame[str(self.roles["time"])]
        if words.dtype not in (pl.String, pl.Categorical, pl.Enum):
            return Column(words.name)
        read = pl.DataFrame({"word": words.cast(pl.String), "period": time_column(self.frame, self.roles)})
        pairs = read.drop_nulls().unique().with_columns(place=pl.col("period").rank("dense")).sort("place", "word")
        if pairs.height > MOST_PERIODS:
            return None
        return linear((float(place), _indicator(words.name, word)) for word, _, place in pairs.rows())

    def _of_two(self, name: str) -> Expr:
        levels = _levels(self.frame[name])
        reference, _ = choose_reference(levels, None)
        return _indicator(name, next(level for level in levels if level != reference))

    def amount(self) -> Expr:
        """Return the treatment as an amount."""
        return Column(str(self.roles["treatment"]))

    def treatment(self, options: Options, contrast: int) -> tuple[Expr, Expr | None]:
        """Return the treatment of a contrast, and the condition on its rows where it leaves levels out; or 0."""
        if "treatment" not in self.roles:
            return (self.started() if {"time", "cohort"} <= self.roles.keys() else Constant(0.0)), None
        name = str(self.roles["treatment"])
        series = self.frame[name]
        levels = _levels(series)
        reference, _ = choose_reference(levels, options.reference_level)
        others = [level for level in levels if level != reference]
        level = others[contrast]
        if len(others) == 1:
            return _indicator(name, level), None
        both = linear([(1.0, _indicator(name, level)), (1.0, _indicator(name, reference))])
        return _indicator(name, level), Is(both, "=", 1.0)

    def started(self) -> Expr:
        """Return 1 from the period in which a unit's treatment starts, else 0, as `prepare.started` does.

        Raises:
            NotByMoments: periods or starts are not what their columns hold: words, months as numbers, times of a day.
        """
        raw = [self.frame[str(self.roles[role])] for role in ("time", "cohort")]
        time, start = (Column(each.name) for each in raw)
        dated = raw[0].dtype == pl.Date and raw[1].dtype == pl.Date
        numbers = raw[0].dtype.is_numeric() and raw[1].dtype.is_numeric()
        if not dated and (not numbers or time_column(self.frame, self.roles).dtype != raw[0].dtype):
            raise NotByMoments(Message("by_moments.no-treatment"))
        after = Is(linear([(1.0, time), (-1.0, start)]), ">=", 0.0)
        # Numbers from 0 down mean never, and so does a gap; of a row without a period it is not known.
        on = after if dated else times(Is(start, ">", 0.0), after)
        return case(Known((start,)), times(Constant(0.0), time), on)

    def columns_of(self, role: str) -> tuple[Expr, ...]:
        """Return one expression for each column of the role's design matrix."""
        found: list[Expr] = []
        for name in names_in(self.roles.get(role, ())):
            series = self.frame[name]
            amount = series.dtype.is_numeric() or series.dtype == pl.Boolean or series.dtype.is_temporal()
            if amount and not is_category(self.columns, name):
                found.append(Column(name))
            else:
                if name in self.beyond:
                    raise NotByMoments(Message("by_moments.fixed-effects"))
                found += [_indicator(name, level) for level in _levels(series)[1:]]
        return tuple(found)

    def probability(self) -> Expr | None:
        """Return the known probability of treatment."""
        if "log_propensity" in self.roles:
            return Exp(Column(str(self.roles["log_propensity"])))
        return self.one("pscore")

    def action(self) -> Expr | None:
        """Return the logged action by its place in the order of all; None where they are too many."""
        if "action" not in self.roles:
            return None
        name = str(self.roles["action"])
        if name in self.beyond:
            return None
        return linear((float(place), _indicator(name, level)) for place, level in enumerate(_levels(self.frame[name])))

    def positive_weight(self) -> Expr | None:
        """Return the condition that a row counts."""
        weight = self.one("weights")
        return None if weight is None else Is(weight, ">", 0.0)


def _levels(series: pl.Series) -> list[object]:
    return series.drop_nulls().unique().sort().to_list()


def _indicator(name: str, level: object) -> Expr:
    if isinstance(level, bool | int | float):
        return Is(Column(name), "=", float(level))
    if isinstance(level, str):
        return Is(Column(name), "=", level)
    raise NotByMoments(Message("by_moments.dates-as-levels"))
