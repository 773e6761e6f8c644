"""Target policies and importance weights: what is said of them, wherever the rows of the log are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.sample import listed

__all__ = [
    "CLIPS",
    "Policy",
    "check_columns",
    "column_order",
    "same_everywhere",
    "unlogged_warning",
    "weight_warnings",
]

CLIPS = (5.0, 10.0, 100.0)
"""Weights at which inverse propensity scores are clipped for comparison."""
_FEW = 0.2
_FAR_FROM_ONE = 4.0
"""Tolerance of the mean weight, in standard errors."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The target policy on the rows of a sample.

    Attributes:
        taken: (n,) its probability of the logged action.
        all: (n, actions) of every action; (actions,) where it is the same in every row; None if only that of the
            logged action is known.
        note: the source of the policy, a sentence.
    """

    taken: Vector
    all: Matrix | Vector | None
    note: Message


def same_everywhere(labels: Sequence[str], asked: str | None) -> tuple[Vector, Message]:
    """Return (actions,) the probabilities of a policy that is the same in every row, and a note on it.

    Args:
        labels: of the actions.
        asked: the action that it always takes; uniform where None.

    Raises:
        UnusableData: the requested action is not logged.
    """
    if asked is None:
        return np.full(len(labels), 1.0 / len(labels)), Message("off_policy.uniform-policy", actions=len(labels))
    if asked not in labels:
        raise UnusableData(
            Message("off_policy.target-action-not-logged", action=asked, logged=listed(labels)),
            field="options.target_action",
            choices=list(labels),
        )
    constant = np.asarray([float(label == asked) for label in labels])
    return constant, Message("off_policy.constant-policy", action=asked)


def column_order(columns: int, names: Sequence[str], labels: Sequence[str]) -> list[int]:
    """Return the place of each action's column: by name if every action ends one column's name, else as they are.

    Args:
        columns: their number.
        names: of the columns.
        labels: of the actions.

    Raises:
        UnusableData: not one column for each action.
    """
    if columns != len(labels):
        raise UnusableData(
            Message(
                "off_policy.wrong-number-of-columns",
                columns=columns,
                actions=len(labels),
                action_names=listed(labels),
            ),
            field="mapping.target_policy",
        )
    ends = [[at for at, name in enumerate(names) if name == label or name.endswith(f"_{label}")] for label in labels]
    return [each[0] for each in ends] if all(len(each) == 1 for each in ends) else list(range(columns))


def check_columns(off: float) -> None:
    """Refuse probabilities of actions that do not sum to 1; `off` is the largest difference.

    Raises:
        UnusableData: they do not.
    """
    if off > 1e-6:
        raise UnusableData(
            Message("off_policy.do-not-sum-to-1", difference=off),
            field="mapping.target_policy",
        )


def weight_warnings(effective: float, rows: int, mean: float, error: float | None) -> list[Message]:
    """Return warnings about importance weights.

    Args:
        effective: effective rows.
        rows: their number.
        mean: of the weights.
        error: its standard error.
    """
    warnings = []
    if effective < _FEW * rows:
        warnings.append(Message("off_policy.few-effective-rows", effective_rows=effective, rows=rows))
    if error is not None and abs(mean - 1.0) > max(_FAR_FROM_ONE * error, _ROUNDING):
        warnings.append(Message("off_policy.mean-weight-not-1", mean_weight=mean))
    return warnings


def unlogged_warning(actions: Sequence[str], *, modelled: bool) -> list[Message]:
    """Return a warning about actions of the target policy that the log has not, if there are any."""
    if not actions:
        return []
    if modelled:
        return [Message("off_policy.unlogged-count-as-mean", actions=listed(actions))]
    return [Message("off_policy.unlogged-count-as-zero", actions=listed(actions))]
