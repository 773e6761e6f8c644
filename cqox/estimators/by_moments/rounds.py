"""One pass over the rows for what several estimates need next.

An estimate is a generator: it asks for sums, is resumed with them, and returns its result. All of them advance in
rounds, so that the number of passes does not grow with their number.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.summed import Clustering, Complete
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.checkpoint import checkpoint
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.estimate import Estimate
from cqox.estimators.numerics.moments import Expr, times

__all__ = ["Answer", "Ask", "Cells", "ScoreSums", "Steps", "run_rounds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """The sums that an estimate needs of its rows.

    Attributes:
        rows: the rows.
        sums: values to sum.
        largest: values whose largest is wanted.
        scores: contributions of the rows to an estimate, for its standard error.
        weight: of the rows, for clusters that differ in it.
    """

    rows: Complete
    sums: tuple[Expr, ...] = ()
    largest: tuple[Expr, ...] = ()
    scores: tuple[Expr, ...] = ()
    weight: Expr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The rows of few clusters by arm.

    Attributes:
        contributions: (2, clusters) sums of the contributions of untreated and treated rows; of all rows in the first
            line where there are no arms.
        mass: (2, clusters) sums of their weights.
        noise: (2, clusters) sums of their squared weights.
    """

    contributions: Matrix
    mass: Matrix
    noise: Matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSums:
    """The sums of one kind of contribution.

    Attributes:
        squares: Σψ².
        clustered: the sums over clusters of their squared sums, with the sign of inclusion and exclusion.
        cells: the sums by cluster and arm, where there is one dimension of few clusters.
    """

    squares: float
    clustered: tuple[tuple[float, float], ...] = ()
    cells: Cells | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to `Ask`, in its order."""

    sums: Vector
    largest: Vector
    scores: tuple[ScoreSums, ...]


type Steps = Generator[Ask, Answer, Estimate]
"""An estimate that asks for sums."""


def run_rounds(tables: Tables, wanted: Mapping[str, Callable[[], Steps]]) -> dict[str, Estimate | Exception]:
    """Return the estimates, or why there is none: `UnusableData`, or `NotByMoments` where a sample must do."""
    results: dict[str, Estimate | Exception] = {}
    open_: dict[str, tuple[Steps, Ask]] = {}

    def advance(name: str, steps: Steps, answer: Answer | None) -> None:
        try:
            open_[name] = steps, next(steps) if answer is None else steps.send(answer)
        except StopIteration as end:
            results[name] = end.value
        except (UnusableData, NotByMoments) as error:
            results[name] = error
        except MemoryError:
            results[name] = NotByMoments(Message("by_moments.memory"))

    for name, start in wanted.items():
        advance(name, start(), None)
    while open_:
        checkpoint()
        asked, open_ = open_, {}
        for name, answer in _round(tables, {name: ask for name, (_, ask) in asked.items()}).items():
            if answer is None:
                results[name] = NotByMoments(Message("by_moments.memory"))
            else:
                advance(name, asked[name][0], answer)
    return results


def _round(tables: Tables, asks: Mapping[str, Ask]) -> dict[str, Answer | None]:
    """Answer what is asked of the same rows together; None where the engine has too little memory for it alone."""
    by_rows: dict[frozenset[Expr], list[str]] = {}
    for name, ask in asks.items():
        by_rows.setdefault(ask.rows.known, []).append(name)
    answer: dict[str, Answer | None] = {}
    for names in by_rows.values():
        try:
            answer.update(_answers(tables, {name: asks[name] for name in names}))
        except MemoryError:
            answer.update(_one_by_one(tables, {name: asks[name] for name in names}))
    return answer


def _one_by_one(tables: Tables, asks: Mapping[str, Ask]) -> dict[str, Answer | None]:
    found: dict[str, Answer | None] = {}
    for name, ask in asks.items():
        try:
            found.update(_answers(tables, {name: ask}))
        except MemoryError:
            found[name] = None
    return found


def _answers(tables: Tables, asks: Mapping[str, Ask]) -> dict[str, Answer]:
    rows = next(iter(asks.values())).rows
    scores = list(dict.fromkeys(score for ask in asks.values() for score in ask.scores))
    squared = {score: times(score, score) for score in scores}
    sums = list(dict.fromkeys([*(each for ask in asks.values() for each in ask.sums), *squared.values()]))
    largest = list(dict.fromkeys(each for ask in asks.values() for each in ask.largest))
    totals = rows.source.sums(sums, largest)
    by_sum = dict(zip(sums, totals.sums.tolist(), strict=True))
    by_largest = dict(zip(largest, totals.largest.tolist(), strict=True))
    clustered: dict[Expr, list[tuple[float, float]]] = {score: [] for score in scores}
    cells: dict[Expr, Cells] = {}
    clustering = tables.clustering(rows) if scores else Clustering()
    for sign, within in clustering.within if scores else ():
        found, _ = rows.source.squares(scores, within)
        for score, value in zip(scores, found.tolist(), strict=True):
            clustered[score].append((sign, value))
    if scores and clustering.needs_cells:
        weight = next((ask.weight for ask in asks.values() if ask.weight is not None), None)
        cells = _cells(tables, rows, scores, weight, clustering)
    return {
        name: Answer(
            sums=np.asarray([by_sum[each] for each in ask.sums]),
            largest=np.asarray([by_largest[each] for each in ask.largest]),
            scores=tuple(
                ScoreSums(squares=by_sum[squared[each]], clustered=tuple(clustered[each]), cells=cells.get(each))
                for each in ask.scores
            ),
        )
        for name, ask in asks.items()
    }


def _cells(
    tables: Tables, rows: Complete, scores: Sequence[Expr], weight: Expr | None, clustering: Clustering
) -> dict[Expr, Cells]:
    (column,) = tables.clusters()
    by: list[Expr] = [column, tables.treated()] if tables.binary else [column]
    values = [*scores, *([weight, times(weight, weight)] if weight is not None else [])]
    found = rows.source.grouped(values, by)
    clusters = np.unique(found[:, 0], return_inverse=True)[1]
    arms = found[:, 1].astype(np.intp) if tables.binary else np.zeros(len(found), dtype=np.intp)
    counts, sums = found[:, len(by)], found[:, len(by) + 1 :]

    def spread(values: NDArray[np.float64]) -> Matrix:
        result = np.zeros((2, clustering.counts[0]))
        result[arms, clusters] = values
        return result

    mass = spread(counts if weight is None else sums[:, len(scores)])
    noise = mass if weight is None else spread(sums[:, len(scores) + 1])
    return {
        score: Cells(contributions=spread(sums[:, number]), mass=mass, noise=noise)
        for number, score in enumerate(scores)
    }
