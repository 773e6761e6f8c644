"""Weights and probabilities of a table that an engine sums: values that no row may have, in whichever row they are."""

from collections.abc import Mapping

from cqox.analysis.mapping import names_in
from cqox.contract import RoleMapping
from cqox.contract.messages import Message
from cqox.datasets import Column as Described
from cqox.errors import InvalidRequest
from cqox.estimators.numerics.moments import Column, Is, Moments

__all__ = ["refuse_out_of_range"]


def refuse_out_of_range(columns: Mapping[str, Described], roles: RoleMapping, source: Moments) -> None:
    """Refuse what `prepare` refuses in memory, which here sees a sample only.

    Args:
        columns: description of every column of the table, by name.
        roles: canonical role to mapped columns or value.
        source: all rows; read only where something is refused.

    Raises:
        InvalidRequest: a negative weight, or a probability out of its range.
    """

    def rows(name: str, *outside: tuple[str, float]) -> int:
        low, high = columns[name].minimum, columns[name].maximum
        if not isinstance(low, int | float) or not isinstance(high, int | float):
            return 0
        wrong = [
            (op, value)
            for op, value in outside
            if {"<": low < value, "<=": low <= value, ">": high > value, ">=": high >= value}[op]
        ]
        return sum(source.where(Is(Column(name), op, value)).count() for op, value in wrong)

    for name in names_in(roles.get("weights", ())):
        if wrong := rows(name, ("<", 0.0)):
            raise InvalidRequest(
                Message("analysis.negative-weights", rows=wrong, weights=name), field="mapping.weights"
            )
    for name in names_in(roles.get("log_propensity", ())):
        if wrong := rows(name, (">", 0.0)):
            raise InvalidRequest(
                Message("analysis.log-above-zero", column=name, values=wrong), field="mapping.log_propensity"
            )
    if "log_propensity" in roles:
        return
    logged = "action" in roles
    for name in names_in(roles.get("pscore", ())):
        if wrong := rows(name, ("<=", 0.0), (">" if logged else ">=", 1.0)):
            outside = Message("analysis.treatment-probability", column=name, values=wrong)
            if logged:
                outside = Message("analysis.logged-probability", column=name, values=wrong)
            raise InvalidRequest(outside, field="mapping.pscore")
