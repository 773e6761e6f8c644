"""Entropy balancing weights as expressions: Newton's method on the duals of both arms, by passes over the rows.

A pass sums the rows of both arms, each at multipliers of its own: value, gradient and Hessian of its dual are in one
weighted Gram. The multipliers of a sample start the steps. At multipliers of 0 the sums of the arms are known.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.adjustment.entropy_balancing import IMBALANCE, MET, refuse_imbalance
from cqox.estimators.by_moments.summed import SummedFrame
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.checkpoint import checkpoint
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.numerics.gram import solve
from cqox.estimators.numerics.moments import Constant, Exp, Expr, Is, case, linear, times
from cqox.estimators.sample import ARMS

__all__ = ["Balanced", "Dual"]

_STEPS = 100
"""Newton steps from one start."""
_LENGTHS = 0.5 ** np.arange(1, 41)
_AT_A_TIME = 10
"""Step lengths that one pass tries."""
_ROUNDING = 1e-12
"""Differences of the dual that may be those of sums."""
_STALLED = 0.9
"""Share of its imbalance that a step leaves where sums have no further digits."""
_NO_WEIGHT = -1e30


@dataclass(frozen=True, slots=True, kw_only=True)
class Balanced:
    """One arm under the weights of some multipliers.

    Attributes:
        multipliers: (k,) of the columns after the first.
        value: of the dual, 0 at multipliers of 0.
        mass: sum of the weights.
        moments: (k + 2, k + 2) of the columns, ones first, and the outcome under weights that sum to 1.
    """

    multipliers: Vector
    value: float
    mass: float
    moments: Matrix

    @property
    def mean(self) -> float:
        """The mean of the standardised outcome."""
        return float(self.moments[0, -1])

    @property
    def spread(self) -> Matrix:
        """(k + 1, k + 1) covariances of the columns after the first and the outcome."""
        means = self.moments[0, 1:]
        return np.asarray(self.moments[1:, 1:] - np.outer(means, means))

    def slopes(self) -> Vector:
        """Return (k,) coefficients of the outcome on the columns, by weighted least squares in the arm."""
        spread = self.spread
        return solve(spread[:-1, :-1], spread[:-1, -1:]).coefficients[:, 0]


type _Descent = Generator[Vector, Balanced, Balanced]
"""Iterations of one arm, which ask for it at some multipliers."""


class Dual:
    """The duals of both arms for one target population.

    Attributes:
        target: (k,) means of the columns after the first in the population.
        total: the sum of the population's sampling weights.
    """

    def __init__(self, tables: Tables, frame: SummedFrame, *, treated_only: bool) -> None:
        """Prepare for the columns `x` of a frame.

        Args:
            tables: the request's shared computations.
            frame: the columns, with the outcome `y`.
            treated_only: True if the target population is that of the treated, else that of all rows.
        """
        self._frame, self._t, self._tables = frame, tables.treated(), tables
        self._k = frame.at["x"].stop
        places = np.append(np.arange(self._k), frame.column("y"))
        self._columns = [frame.columns[place] for place in places.tolist()]
        products, self._rows = tables.by_arm(frame)
        self._products = products[:, places][:, :, places]
        of_population = self._products[1] if treated_only else self._products.sum(axis=0)
        self.total = float(of_population[0, 0])
        self.target: Vector = of_population[0, 1 : self._k] / self.total
        self._floors = self._lowest()

    def balanced(self, starts: Sequence[Vector | None], population: Message) -> tuple[Balanced, Balanced]:
        """Return the untreated and the treated under weights that give their columns the target means.

        Args:
            starts: (k,) multipliers of each arm from which the steps start; None for 0.
            population: the target population, for a sentence.

        Raises:
            UnusableData: no weights do.
        """
        done: dict[int, Balanced] = {}
        asked: dict[int, Vector] = {}
        descents = [self._balance(arm, start) for arm, start in enumerate(starts)]

        def advance(arm: int, answer: Balanced | None) -> None:
            try:
                asked[arm] = next(descents[arm]) if answer is None else descents[arm].send(answer)
            except StopIteration as end:
                done[arm] = end.value

        for arm in (0, 1):
            advance(arm, None)
        while asked:
            checkpoint()
            answers = self._at(asked)
            asked.clear()
            for arm, answer in answers.items():
                advance(arm, answer)
        for arm in (0, 1):
            refuse_imbalance(self._frame.labels, self._gradient(done[arm]), (ARMS[arm], population))
        return done[0], done[1]

    def weight(self, untreated: Vector, treated: Vector) -> Expr:
        """Return each row's weight, its sampling weight included, under the multipliers of both arms."""
        return times(self._frame.weight, Exp(case(self._t, self._tilt(0, untreated), self._tilt(1, treated))))

    def _tilt(self, arm: int, multipliers: Vector) -> Expr:
        """Return the log of each row's weight relative to its sampling weight.

        It is bounded where one row takes the dual above 0, which no step accepts, so that no sum overflows.
        """
        line = linear(zip(multipliers.tolist(), self._columns[1:], strict=False), -float(multipliers @ self.target))
        most = 1.0 - float(self._floors[arm])
        return line if isinstance(line, Constant) else case(Is(line, ">", most), line, Constant(most))

    def _lowest(self) -> Vector:
        """Return (2,) the values below which the duals of the arms have no minimum: the log of the smallest weight."""
        weight = self._frame.weight
        if weight is None:
            return np.asarray(-np.log(self._rows) - 1e-6)

        def smallest() -> Vector:
            # A row of weight 0 does not belong to its arm.
            less = case(Is(weight, ">", 0.0), Constant(_NO_WEIGHT), linear([(-1.0, weight)]))
            by_arm = [case(self._t, less, Constant(_NO_WEIGHT)), case(self._t, Constant(_NO_WEIGHT), less)]
            return -self._frame.rows.source.sums([], by_arm).largest

        least = self._tables.once(("smallest weights", self._frame.rows.known), smallest)
        return np.asarray(np.log(least / self._products[:, 0, 0]) - 1e-6)

    def _at(self, wanted: Mapping[int, Vector]) -> dict[int, Balanced]:
        """Return arms at some multipliers, after one pass over their rows."""
        source = self._frame.rows.source
        if len(wanted) == 2:
            products = source.gram(self._columns, [self._t], self.weight(wanted[0], wanted[1])).products
        else:
            ((arm, multipliers),) = wanted.items()
            weight = times(self._frame.weight, Exp(self._tilt(arm, multipliers)))
            products = source.where(Is(self._t, "=", float(arm))).gram(self._columns, [], weight).products
        return {
            arm: self._found(arm, each, own) for (arm, each), own in zip(sorted(wanted.items()), products, strict=True)
        }

    def _found(self, arm: int, multipliers: Vector, products: Matrix) -> Balanced:
        mass = float(products[0, 0])
        value = float(np.log(mass / self._products[arm, 0, 0]))
        return Balanced(multipliers=multipliers, value=value, mass=mass, moments=products / mass)

    def _gradient(self, at: Balanced) -> Vector:
        return np.asarray(at.moments[0, 1 : self._k] - self.target)

    def _imbalance(self, at: Balanced) -> float:
        return float(np.abs(self._gradient(at)).max(initial=0.0))

    def _balance(self, arm: int, start: Vector | None) -> _Descent:
        """Return the arm where its iterations end.

        What is not balanced then is repeated from multipliers of 0, as in memory: without a solution it depends on the
        start which columns are furthest from their targets.
        """
        zero = self._found(arm, np.zeros(self._k - 1), self._products[arm])
        if start is not None and self._imbalance(zero) > IMBALANCE:
            first = yield start
            if first.value < zero.value:
                found = yield from self._descend(arm, first)
                if self._imbalance(found) <= MET:
                    return found
        return (yield from self._descend(arm, zero))

    def _descend(self, arm: int, now: Balanced) -> _Descent:
        before = np.inf
        for _ in range(_STEPS):
            gradient, size = self._gradient(now), self._imbalance(now)
            stalled = size <= MET and size > _STALLED * before
            if size <= IMBALANCE or stalled or now.value < self._floors[arm]:
                break
            before, length = size, 1.0
            step = -solve(now.spread[:-1, :-1], gradient[:, None]).coefficients[:, 0]
            descent = float(gradient @ step)
            after = yield now.multipliers + step
            if after.value > now.value + 1e-4 * descent + _ROUNDING:
                shorter = self._shorter(arm, now, step, descent)
                if shorter is None:
                    break
                length, after = shorter, (yield now.multipliers + shorter * step)
            now = after
            if length * np.abs(step).max() <= 1e-15 * (1.0 + np.abs(now.multipliers).max()):
                break
        return now

    def _shorter(self, arm: int, now: Balanced, step: Vector, descent: float) -> float | None:
        """Return the longest of the halved steps on which the dual falls enough; None without one."""
        source = self._frame.rows.source.where(Is(self._t, "=", float(arm)))
        for first in range(0, len(_LENGTHS), _AT_A_TIME):
            lengths = _LENGTHS[first : first + _AT_A_TIME]
            tilts = [self._tilt(arm, now.multipliers + length * step) for length in lengths.tolist()]
            masses = source.sums([times(self._frame.weight, Exp(each)) for each in tilts]).sums
            values = np.log(masses / self._products[arm, 0, 0])
            enough = np.flatnonzero(values <= now.value + 1e-4 * lengths * descent + _ROUNDING)
            if len(enough):
                return float(lengths[enough[0]])
        return None
