"""Columns of design-specific roles: scores, actions, neighbours, locations, populations.

Roles that are compared with each other are checked here too.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypedDict

import numpy as np
import polars as pl

from cqox.analysis.levels import floats, folded
from cqox.analysis.roles import Columns, Rows, binary, covariate_matrix, group_codes, numeric
from cqox.analysis.time_roles import cohort_column, time_column, with_months
from cqox.contract import ROLES, RoleMapping
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest, UnusableData
from cqox.estimators.data import Codes, Edges, Matrix, Vector

__all__ = ["DesignRoles", "check_scales", "design_roles", "scalar", "source_level"]

_SOURCE = {"source", "study", "trial", "rct", "experiment", "randomised", "randomized", "試験", "介入試験", "実験"}
_TARGET = {"target", "population", "external", "real world", "対象", "対象集団", "母集団"}

_COMPARED = (("time", "cohort"), ("time", "intervention_time"), ("running", "cutoff"))
"""Pairs of roles whose values must be on one scale."""


class DesignRoles(TypedDict):
    """Fields of `cqox.estimators.data.Data` that only some designs set."""

    intervention_time: float | None
    running: Vector | None
    cutoff: float | None
    mediators: Matrix
    dose: Vector | None
    action: Codes | None
    action_labels: tuple[str, ...] | None
    target_policy: Matrix
    in_source: Vector | None
    neighbor_exposure: Vector | None
    edges: Edges | None
    location: Matrix | None
    proxy_treatment: Matrix
    proxy_outcome: Matrix
    cost: Vector | None


def design_roles(frame: Rows, columns: Columns, roles: RoleMapping, notes: list[Message]) -> DesignRoles:
    """Return the arrays of the design-specific roles.

    Raises:
        InvalidRequest: a column cannot play its role.
        UnusableData: a column that must have two values has fewer.
    """
    return DesignRoles(
        intervention_time=scalar(roles, "intervention_time"),
        running=_number(frame, roles, "running"),
        cutoff=scalar(roles, "cutoff"),
        mediators=_matrix(frame, columns, roles, "mediator", notes),
        dose=_number(frame, roles, "dose"),
        action=group_codes(frame[str(roles["action"])]) if "action" in roles else None,
        action_labels=_labels(frame[str(roles["action"])]) if "action" in roles else None,
        target_policy=_policy(frame, roles),
        in_source=_population(frame[str(roles["sample"])], notes) if "sample" in roles else None,
        neighbor_exposure=_number(frame, roles, "neighbor_exposure"),
        edges=_edges(frame, roles, notes) if "edges" in roles else None,
        location=_location(frame, roles),
        proxy_treatment=_matrix(frame, columns, roles, "proxy_treatment", notes),
        proxy_outcome=_matrix(frame, columns, roles, "proxy_outcome", notes),
        cost=_number(frame, roles, "cost"),
    )


def check_scales(frame: Rows, roles: RoleMapping) -> None:
    """Reject comparisons of dates with numbers.

    Raises:
        InvalidRequest: of two roles that are compared, one contains dates and the other does not, or they cannot be
            parsed.
    """
    roles = with_months(frame, roles)
    for role, other in _COMPARED:
        if role not in roles or other not in roles:
            continue
        held = time_column(frame, roles) if role == "time" else frame[str(roles[role])]
        if ROLES[other].arity == "scalar":
            dated = isinstance(roles[other], str)
            compared = Message("analysis.is-date", role=other) if dated else Message("analysis.is-number", role=other)
        else:
            column = cohort_column(frame, roles)
            if column.null_count() == column.len():
                continue
            dated = column.dtype.is_temporal()
            compared = Message("analysis.holds", column=column.name, values=_holds(column))
        if held.dtype.is_temporal() != dated:
            raise InvalidRequest(
                Message("analysis.scales-differ", column=held.name, values=_holds(held), other=compared),
                field=f"mapping.{other}",
            )


def _holds(series: pl.Series) -> Message:
    if series.dtype.is_temporal():
        return Message("analysis.dates")
    is_number = series.dtype.is_numeric() or series.dtype == pl.Boolean
    return Message("analysis.numbers") if is_number else Message("analysis.words")


def scalar(roles: RoleMapping, role: str) -> float | None:
    """Return the value of a role, a number or the days since 1970 of a date; None if it is not mapped."""
    if role not in roles:
        return None
    given = roles[role]
    if isinstance(given, str):
        return (datetime.fromisoformat(given) - datetime(1970, 1, 1)) / timedelta(days=1)
    return float(given)  # type: ignore[arg-type]


def _number(frame: Rows, roles: RoleMapping, role: str) -> Vector | None:
    return numeric(frame[str(roles[role])], role=role) if role in roles else None


def _names(roles: RoleMapping, role: str) -> Sequence[str]:
    mapped = roles.get(role, ())
    return [str(name) for name in mapped] if isinstance(mapped, tuple) else [str(mapped)]


def _matrix(frame: Rows, columns: Columns, roles: RoleMapping, role: str, notes: list[Message]) -> Matrix:
    made = covariate_matrix(frame, columns, _names(roles, role), role=role, notes=notes)
    if made.absorbed:
        raise InvalidRequest(
            Message("analysis.too-many-levels-for-role", column=made.absorbed[0].name, role=role),
            field=f"mapping.{role}",
        )
    return made.matrix


def _labels(series: pl.Series) -> tuple[str, ...]:
    return tuple(str(level) for level in series.drop_nulls().unique().sort())


def _policy(frame: Rows, roles: RoleMapping) -> Matrix:
    names = _names(roles, "target_policy")
    policy = np.empty((frame.height, len(names)))
    for place, name in enumerate(names):
        policy[:, place] = numeric(frame[name], role="target_policy")
        wrong = int(np.sum((policy[:, place] < 0) | (policy[:, place] > 1)))
        if wrong:
            raise InvalidRequest(
                Message("analysis.action-probability", column=name, values=wrong),
                field="mapping.target_policy",
            )
    return policy


def source_level(series: pl.Series) -> object | None:
    """Return the level that names the source population; None where no known word says which."""
    distinct = series.drop_nulls().unique().sort().to_list()
    if len(distinct) != 2 or series.dtype.is_numeric():
        return None
    words = [folded(level) for level in distinct]
    source = [level for level, word in zip(distinct, words, strict=True) if word in _SOURCE]
    target = [level for level, word in zip(distinct, words, strict=True) if word in _TARGET]
    if len(source) == 1:
        found: object = source[0]
        return found
    return next(level for level in distinct if level != target[0]) if len(target) == 1 else None


def _population(series: pl.Series, notes: list[Message]) -> Vector:
    """Return 1 for rows of the source population and 0 otherwise, by known words or the larger of two numbers."""
    chosen = source_level(series)
    if chosen is not None:
        notes.append(Message("analysis.source-population", column=series.name, level=str(chosen)))
        return floats(series == chosen)
    return binary(series, role="sample", notes=notes)


def _location(frame: Rows, roles: RoleMapping) -> Matrix | None:
    mapped = [role for role in ("latitude", "longitude") if role in roles]
    if not mapped:
        return None
    place = np.column_stack([numeric(frame[str(roles[role])], role=role) for role in mapped])
    for column, (role, most) in enumerate((("latitude", 90.0), ("longitude", 360.0))):
        wrong = int(np.sum(np.abs(place[:, column]) > most))
        if wrong:
            raise InvalidRequest(
                Message("analysis.degrees", column=roles[role], values=wrong, most=most, role=role),
                field=f"mapping.{role}",
            )
    return place


def _edges(frame: Rows, roles: RoleMapping, notes: list[Message]) -> Edges:
    """Return the neighbours of each row, which are identified by their `unit_id`."""
    if "unit_id" not in roles:
        raise InvalidRequest(Message("analysis.edges-need-ids"), field="mapping")
    unit, listed = frame[str(roles["unit_id"])], frame[str(roles["edges"])]
    if unit.drop_nulls().n_unique() < unit.drop_nulls().len():
        raise UnusableData(Message("analysis.ids-repeat", column=unit.name), field="mapping.unit_id")
    ids = pl.DataFrame({"name": unit.cast(pl.String), "to": np.arange(frame.height, dtype=np.int64)}).drop_nulls()
    named = (
        pl.DataFrame({"from": np.arange(frame.height, dtype=np.int64), "name": listed.cast(pl.String)})
        .drop_nulls()
        .with_columns(pl.col("name").str.replace_all(r"[,;\s]+", " ").str.strip_chars(" ").str.split(" "))
        .explode("name")
        .filter(pl.col("name") != "")
        .unique(maintain_order=True)
    )
    found = named.join(ids, on="name", how="left", maintain_order="left")
    unknown = int(found["to"].null_count())
    if unknown == found.height:
        raise UnusableData(
            Message("analysis.no-neighbour-known", neighbours=listed.name, ids=unit.name), field="mapping.edges"
        )
    if unknown:
        notes.append(Message("analysis.neighbours-ignored", neighbours=unknown, column=listed.name))
    pairs = found.drop_nulls().select("from", "to").filter(pl.col("from") != pl.col("to"))
    return pairs.to_numpy().astype(np.int64).reshape(-1, 2)
