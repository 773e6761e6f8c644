"""The computations that estimates by moments share: complete cases, cross-products, clusters, folds.

Each is made at first use, by one pass of the engine, and kept.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import combinations
from typing import cast

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.by_moments.encoded import Encoded, NotByMoments
from cqox.estimators.by_moments.summed import ONE, Clustering, Complete, SummedFrame
from cqox.estimators.data import Settings, Vector
from cqox.estimators.inference.cluster_arms import ClustersByArm
from cqox.estimators.numerics.moments import Column, Constant, Expr, Fold, Is, Known, Product, linear, times
from cqox.estimators.plan import Plan

__all__ = ["Tables"]

_GROUPS = {"x": "covariates", "w": "propensity_covariates", "z": "instrument", "t": "treatment", "y": "y"}
_COVARIATES = ("covariates", "propensity_covariates", "instrument")
_STRIDE_ROWS = 4_096


class Tables:
    """The shared computations of one contrast of a table."""

    def __init__(self, encoded: Encoded, pilot: Plan) -> None:
        """Prepare for the estimates of one contrast.

        Args:
            encoded: its roles.
            pilot: the plan of a sample of its rows.
        """
        self.encoded, self.pilot = encoded, pilot
        self.settings: Settings = pilot.settings
        self._kept: dict[object, object] = {}

    def once[Result](self, key: object, make: Callable[[], Result]) -> Result:
        """Return the cached result of `make`, computed at first use."""
        if key not in self._kept:
            self._kept[key] = make()
        return cast("Result", self._kept[key])

    @property
    def binary(self) -> bool:
        """True if two arms are compared."""
        return self.pilot.data.treatment_kind == "binary"

    @cached_property
    def units_repeat(self) -> bool:
        """True if some unit has several rows."""
        unit = self.encoded.unit
        if unit is None:
            return False
        if self.encoded.units_repeat is not None:
            return self.encoded.units_repeat
        known = self.encoded.source.where(Known((unit,)))
        (rows,), units = known.squares([ONE], [unit])
        return bool(rows > units)

    def clusters(self) -> tuple[Column, ...]:
        """Return the columns of the clusters: the mapped ones, else the units where they repeat."""
        if self.encoded.clusters:
            return self.encoded.clusters
        return (self.encoded.unit,) if self.encoded.unit is not None and self.units_repeat else ()

    def complete(self, *roles: str) -> Complete:
        """Return the complete cases of some roles, weights and clusters."""
        asked = tuple(role for role in roles if self.encoded.of(role))
        needed = [*(each for role in (*asked, "weights") for each in self.encoded.of(role)), *self.clusters()]
        gaps = tuple(dict.fromkeys(each for each in needed if each in self._with_gaps))

        def make() -> Complete:
            source = self.encoded.source
            known = frozenset(gaps)
            return Complete(
                known=known, source=source.where(Known(gaps)) if gaps else source, pilot=self.pilot.sample(*asked)
            )

        return self.once(("complete", frozenset(gaps)), make)

    @cached_property
    def _with_gaps(self) -> frozenset[Expr]:
        """The expressions of roles, and the clusters, that are missing in some row."""
        roles = ("y", "treatment", *_COVARIATES, "pscore", "post", "time", "running", "action", "target_policy",
                 "sample", "weights", "cluster", "unit_id")  # fmt: skip
        every = list(dict.fromkeys(each for role in roles for each in self.encoded.of(role)))
        counts = self.encoded.source.sums([ONE, *(Known((each,)) for each in every)]).sums
        return frozenset(each for each, count in zip(every, counts[1:].tolist(), strict=True) if count < counts[0])

    def frame(self, groups: str, rows: Complete) -> SummedFrame:
        """Return the standardised columns of some groups (letters of x, w, z, t, y).

        Their cross-products are known by fold and arm, where folds can be made, else by arm.
        """
        return self.once(("frame", groups, rows.known), lambda: self._frame(groups, rows))

    def _frame(self, groups: str, rows: Complete) -> SummedFrame:
        whole = self.once(("whole", rows.known), lambda: self._whole(rows))
        named = {("x" if group == "w" else group): group for group in groups}
        places, at, start = [0], {"x": slice(0, 1)}, 1
        for name, group in named.items():
            own = range(max(whole.at[group].start, 1), whole.at[group].stop)
            places += own
            at[name] = slice(0 if name == "x" else start, start + len(own))
            start += len(own)
        assert whole.grouped is not None
        chosen = np.asarray(places, dtype=np.intp)
        blocks = whole.grouped[0][:, chosen][:, :, chosen]
        stay, frame = replace(
            whole,
            at=at,
            centre=whole.centre[chosen],
            scale=whole.scale[chosen],
            products=whole.products[np.ix_(chosen, chosen)],
            labels=tuple(whole.labels[place] for place in places),
            grouped=(blocks, whole.grouped[1]),
            columns=tuple(whole.columns[place] for place in places),
        ).without_dependent(at)
        return replace(frame, columns=tuple(frame.columns[place] for place in stay))

    def _whole(self, rows: Complete) -> SummedFrame:
        """Return all columns of roles that have no gap in some rows, after one pass over these."""
        columns: dict[str, tuple[Expr, ...]] = {}
        for group, role in _GROUPS.items():
            those: tuple[Expr, ...] = self.encoded.of(role)
            if all(each in rows.known or each not in self._with_gaps for each in those):
                columns[group] = those
        labels = {group: self.pilot.labels(_GROUPS[group]) for group in columns}
        return self._summed(columns, labels, rows, self._groups())

    def frame_of(
        self, columns: Mapping[str, tuple[Expr, ...]], labels: Mapping[str, Sequence[str]], rows: Complete
    ) -> SummedFrame:
        """Return the standardised columns of groups that are made of roles, `x` first, after one pass over the rows.

        Args:
            columns: of each group: roles, or products of them.
            labels: of the columns.
            rows: the rows.
        """
        whole = self._summed(columns, labels, rows, [])
        stay, frame = whole.without_dependent(whole.at)
        return replace(frame, columns=tuple(frame.columns[place] for place in stay))

    def _summed(
        self,
        columns: Mapping[str, tuple[Expr, ...]],
        labels: Mapping[str, Sequence[str]],
        rows: Complete,
        by: Sequence[Expr],
    ) -> SummedFrame:
        distinct = list(dict.fromkeys(each for group in columns.values() for each in group))
        centre, scale, standard = self.standardised(distinct, rows)
        found = rows.source.gram([ONE, *standard], by, self.encoded.weights)
        blocks, counts = (
            self._filled(found.keys, found.products, found.counts) if by else (found.products, found.counts)
        )
        n = int(counts.sum())
        if not n:
            raise NotByMoments(Message("by_moments.no-rows"))
        mean_weight = float(blocks.sum(axis=0)[0, 0]) / n
        weight = None if self.encoded.weights is None else linear([(1.0 / mean_weight, self.encoded.weights)])
        blocks = blocks if weight is None else blocks / mean_weight
        # A column of two groups, as covariates of both models are, was summed once.
        places, at, names = [0], dict[str, slice](), ["(intercept)"]
        for group, those in columns.items():
            at[group] = slice(0 if group == "x" else len(places), len(places) + len(those))
            places += [1 + distinct.index(each) for each in those]
            names += labels[group]
        chosen = np.asarray(places, dtype=np.intp)
        blocks = blocks[:, chosen][:, :, chosen]
        return SummedFrame(
            n=n,
            at=at,
            centre=np.append(0.0, centre)[chosen],
            scale=np.append(1.0, scale)[chosen],
            products=blocks.sum(axis=0),
            labels=tuple(names),
            grouped=(blocks, counts),
            rows=rows,
            columns=tuple([ONE, *standard][place] for place in places),
            weight=weight,
        )

    def standardised(self, exprs: Sequence[Expr], rows: Complete) -> tuple[Vector, Vector, list[Expr]]:
        """Return (m,) centres and scales of some expressions of roles, and the standardised expressions."""
        centre, scale = self._standard(exprs, rows)
        # Centred first, which is exact where the centre is far larger than the scale.
        return (
            centre,
            scale,
            [
                linear([(1.0 / s, linear([(1.0, each)], -c))]) if s > 0 else Constant(0.0)
                for each, c, s in zip(exprs, centre.tolist(), scale.tolist(), strict=True)
            ],
        )

    def _standard(self, exprs: Sequence[Expr], rows: Complete) -> tuple[Vector, Vector]:
        """Return (m,) centres and scales: those of a stride of the sample, or for what is constant there, by the
        extremes of all rows; scale 0 marks a constant."""
        if not exprs:
            return np.empty(0), np.empty(0)
        values = self._of_sample(exprs, rows)
        centre, scale = values.mean(axis=1), values.std(axis=1)
        doubtful = np.flatnonzero(scale <= 1e-13 * np.abs(centre))
        if len(doubtful):
            both = [each for place in doubtful.tolist() for each in (exprs[place], linear([(-1.0, exprs[place])]))]
            largest = rows.source.sums([], both).largest
            high, low = largest[::2], -largest[1::2]
            constant = high - low <= 1e-13 * np.maximum(np.abs(high), np.abs(low))
            centre[doubtful] = np.where(constant, high, (high + low) / 2)
            scale[doubtful] = np.where(constant, 0.0, (high - low) / 4)
        return centre, scale

    def _of_sample(self, exprs: Sequence[Expr], rows: Complete) -> NDArray[np.float64]:
        step = max(1, rows.pilot.n // _STRIDE_ROWS)
        index = np.arange(rows.pilot.total) if rows.pilot.index is None else rows.pilot.index
        strided = index[::step]
        return np.stack([self._of(each)[strided] for each in exprs])

    def _of(self, node: Expr) -> Vector:
        """Return the sample's values of a role's expression, or of a product of them."""
        arrays = self._arrays()
        if node not in arrays and isinstance(node, Product):
            return self._of(node.left) * self._of(node.right)
        return arrays[node]

    def _arrays(self) -> dict[Expr, Vector]:
        """Return the sample's array of each expression of a role."""

        def make() -> dict[Expr, Vector]:
            data = self.pilot.data
            found: dict[Expr, Vector] = {}
            for role, matrix in (
                ("covariates", data.covariates),
                ("propensity_covariates", data.propensity_covariates),
                ("instrument", data.instruments),
            ):
                found.update(zip(self.encoded.of(role), matrix.T, strict=True))
            for role, column in (
                ("y", data.y),
                ("treatment", data.treatment),
                ("post", data.post),
                ("sample", data.in_source),
            ):
                if column is not None:
                    found.update((each, column) for each in self.encoded.of(role))
            return found

        return self.once("arrays", make)

    def _groups(self) -> list[Expr]:
        by: list[Expr] = [self.fold()] if self.encoded.row_key is not None else []
        return [*by, self.encoded.treatment] if self.binary else by

    def _filled(
        self, keys: NDArray[np.float64], products: NDArray[np.float64], counts: Vector
    ) -> tuple[NDArray[np.float64], Vector]:
        """Return the cross-products by fold and arm in order, with zeros where a group has no rows."""
        folds = self.settings.folds if self.encoded.row_key is not None else 1
        arms = 2 if self.binary else 1
        place = np.zeros(len(keys), dtype=np.intp)
        for column, size in zip(keys.T, ([folds] if self.encoded.row_key is not None else []) + [arms], strict=False):
            place = place * size + column.astype(np.intp)
        blocks = np.zeros((folds * arms, *products.shape[1:]))
        rows = np.zeros(folds * arms)
        blocks[place], rows[place] = products, counts
        return blocks, rows

    def fold(self, split: int = 0) -> Fold:
        """Return the fold of each row.

        Raises:
            NotByMoments: rows have no key to make folds by.
        """
        key = self.encoded.row_key
        if key is None:
            raise NotByMoments(Message("by_moments.no-row-key"))
        return Fold(key, self.settings.seed, split, self.settings.folds)

    def blocks(self, frame: SummedFrame, split: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (folds, arms, m, m) cross-products by fold and arm, and (folds, arms) row counts."""
        self.fold()
        width, folds = len(frame.labels), self.settings.folds
        if split == 0:
            assert frame.grouped is not None
            blocks, counts = frame.grouped
        else:
            key = ("blocks", frame.columns, frame.rows.known, split)
            blocks, counts = self.once(key, lambda: self._blocks(frame, split))
        return blocks.reshape(folds, -1, width, width), counts.reshape(folds, -1)

    def _blocks(self, frame: SummedFrame, split: int) -> tuple[NDArray[np.float64], Vector]:
        by: list[Expr] = [self.fold(split), *([self.encoded.treatment] if self.binary else [])]
        found = frame.rows.source.gram(frame.columns, by, frame.weight)
        return self._filled(found.keys, found.products, found.counts)

    def by_arm(self, frame: SummedFrame) -> tuple[NDArray[np.float64], tuple[int, int]]:
        """Return (2, m, m) cross-products of the arms, and their rows."""
        assert frame.grouped is not None
        blocks, counts = frame.grouped
        width = len(frame.labels)
        rows = counts.reshape(-1, 2).sum(axis=0)
        return blocks.reshape(-1, 2, width, width).sum(axis=0), (int(rows[0]), int(rows[1]))

    def treated(self) -> Expr:
        """Return the treatment."""
        return self.encoded.treatment

    def clustering(self, rows: Complete) -> Clustering:
        """Return the clusters of some rows."""
        return self.once(("clusters", rows.known), lambda: self._clustering(rows))

    def _clustering(self, rows: Complete) -> Clustering:
        columns = self.clusters()
        if not columns:
            return Clustering()
        counts = tuple(rows.source.squares([ONE], [column])[1] for column in columns)
        within = tuple(
            ((-1.0) ** (size + 1), chosen)
            for size in range(1, len(columns) + 1)
            for chosen in combinations(columns, size)
        )
        by_arm = None
        if self.binary:
            compared = rows.source if rows.compared is None else rows.compared
            inside = [compared.where(Is(self.encoded.treatment, "=", float(arm))) for arm in (0, 1)]
            pairs = [[each.squares([ONE], [column])[1] for each in inside] for column in columns]
            counted = [ClustersByArm(untreated=pair[0], treated=pair[1]) for pair in pairs]
            by_arm = min(counted, key=lambda each: each.fewer)
        return Clustering(
            within=within,
            counts=counts,
            mapped=bool(self.encoded.clusters),
            by_arm=by_arm,
            whole_arms=rows.compared is None,
        )

    def effective(self, frame: SummedFrame) -> float:
        """Return Kish's effective number of rows under the sampling weights."""
        weight = frame.weight
        if weight is None:
            return float(frame.n)

        def make() -> float:
            total, squares = frame.rows.source.sums([weight, times(weight, weight)]).sums
            return float(total**2 / squares)

        return self.once(("effective", frame.rows.known), make)
