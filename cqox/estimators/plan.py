"""Computations shared by the estimators of one request: complete cases, Gram blocks, propensities, outcome fits, folds.

Everything is computed at first use and cached. The same data and settings give the same bytes; row order, column names,
block size and number of threads change results by at most 1e-10.
"""

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Data, Matrix, Settings, Vector
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.nuisance.arm_regressions import ArmFits, fit_arms
from cqox.estimators.nuisance.propensity import Propensity, fitted_propensity
from cqox.estimators.numerics.absorb import compress
from cqox.estimators.numerics.folds import fold_codes
from cqox.estimators.numerics.frame import Frame, build_frame
from cqox.estimators.numerics.gram import grouped_gram
from cqox.estimators.numerics.logit import Logit, cross_fit_logit, fit_logit, fit_logits
from cqox.estimators.numerics.logit_without import cross_fit_without
from cqox.estimators.numerics.portable_folds import hash_keys, portable_folds
from cqox.estimators.sample import Sample, complete_rows, is_mapped, role_arrays

__all__ = ["Plan"]

_GROUPS = {"x": "covariates", "w": "propensity_covariates", "z": "instrument", "t": "treatment", "y": "y"}
"""Short names of the column groups of a frame, and their roles."""


class Plan:
    """The shared computations of one contrast of one analysis; not thread-safe."""

    def __init__(self, data: Data, settings: Settings) -> None:
        self.data = data
        self.settings = settings
        self._kept: dict[object, tuple[tuple[object, ...], object]] = {}

    def _once[Result](self, key: object, make: Callable[[], Result], *of: object) -> Result:
        """Return the cached result of `make` for a key and these very objects, computed at first use."""
        place = (key, *map(id, of))
        if place not in self._kept:
            # The objects are kept too: once one is gone, another may get its id.
            self._kept[place] = of, make()
        return cast("Result", self._kept[place][1])

    def share[Result](self, key: object, make: Callable[[], Result], *of: object) -> Result:
        """Return the cached result of `make`, computed at first use; for what one family's estimators share.

        Args:
            key: what it is.
            make: computes it.
            of: the objects that it is computed from, other than data and settings: compared by identity, and kept as
                long as the plan.
        """
        return self._once(("shared", key), make, *of)

    def has(self, role: str) -> bool:
        """Return whether the mapping names this role."""
        return is_mapped(self.data, role)

    def label(self, role: str) -> str:
        """Return the column names of a role, quoted for a sentence."""
        return ", ".join(self.data.names.get(role, ())) or role

    def labels(self, role: str) -> tuple[str, ...]:
        """Return one label for each column of a role's matrix."""
        (matrix,) = role_arrays(self.data, role) or (np.empty((0, 0)),)
        width = matrix.shape[1] if matrix.ndim == 2 else 1
        given = self.data.names.get(role, ())
        if not given and role == "propensity_covariates" and matrix is self.data.covariates:
            given = self.data.names.get("covariates", ())
        return given if len(given) == width else tuple(f"{role}[{column}]" for column in range(width))

    @property
    def units_repeat(self) -> bool:
        """True if some unit has several rows."""
        unit = self.data.unit
        if unit is None:
            return False
        return self._once("repeated units", lambda: bool((np.bincount(unit[unit >= 0]) > 1).any()))

    @property
    def clusters_are_units(self) -> bool:
        """True if the units serve as clusters: no cluster is mapped and units have several rows each."""
        return self.units_repeat and not self.data.clusters

    def sample(self, *roles: str) -> Sample:
        """Return the complete cases of these roles; roles that are not mapped are ignored.

        Weights and clusters are always included.
        """
        always = ("weights", "cluster", *(("unit_id",) if self.clusters_are_units else ()))
        arrays = {id(array): array for role in (*roles, *always) for array in role_arrays(self.data, role)}
        masks = {key: mask for key, array in arrays.items() if (mask := self._complete(array)) is not None}
        return self._once(("sample", frozenset(masks)), lambda: _sample(list(masks.values()), self.data.n))

    def _complete(self, array: NDArray[np.generic]) -> NDArray[np.bool_] | None:
        return self._once("complete", lambda: complete_rows([array], self.data.n), array)

    def clusters(self, sample: Sample) -> Clusters:
        """Return the clusters: groups within which the errors of a sample's rows may be correlated."""
        return self._once("clusters", lambda: self._clusters(sample), sample)

    def _clusters(self, sample: Sample) -> Clusters:
        codes: Sequence[Codes] = self.data.clusters
        if self.clusters_are_units and self.data.unit is not None:
            codes = (self.data.unit,)
        pairs = [compress(sample.take(code)) for code in codes]
        if len(pairs) == 1 and pairs[0][1] == sample.n and self.clusters_are_units:
            return Clusters()
        return Clusters(
            codes=tuple(code for code, _ in pairs),
            counts=tuple(count for _, count in pairs),
            mapped=bool(self.data.clusters),
            weights=self.weights(sample) if pairs else None,
            adjust=self.settings.cluster_factor,
        )

    def weights(self, sample: Sample) -> Vector | None:
        """Return the (n,) sampling weights of a sample's rows, scaled to mean 1."""
        if self.data.weights is None:
            return None
        taken = sample.take(self.data.weights)
        return np.asarray(taken / taken.mean())

    def treated(self, sample: Sample) -> Vector:
        """Return the (n,) treatment of a sample's rows."""
        return self._once("treated", lambda: sample.take(_present(self.data.treatment)), sample)

    def arm_rows(self, sample: Sample) -> tuple[int, int]:
        """Return the numbers of untreated and treated rows of a sample."""
        treated = int(np.count_nonzero(self.treated(sample)))
        return sample.n - treated, treated

    def frame(self, groups: str, sample: Sample, effects: Sequence[Codes] = (), *, folded: bool = False) -> Frame:
        """Return the standardised columns of some groups (letters of x, w, z, t, y), with fixed effects absorbed if
        given.

        When the frame is built and is `folded`, its cross-products by fold and arm are computed too, for `blocks`.
        """
        return self._once(
            ("frame", groups), lambda: self._frame(groups, sample, effects, folded=folded), sample, *effects
        )

    def _frame(self, groups: str, sample: Sample, effects: Sequence[Codes], *, folded: bool) -> Frame:
        columns: dict[str, tuple[Matrix, Sequence[str]]] = {}
        for group in groups:
            for array in role_arrays(self.data, _GROUPS[group]):
                matrix = np.asarray(array, dtype=np.float64)
                columns[group] = (matrix[:, None] if matrix.ndim == 1 else matrix), self.labels(_GROUPS[group])
        if "w" in columns:
            columns = {"x": columns.pop("w"), **columns}
        return build_frame(
            sample, columns, weights=self.data.weights, block=self.settings.chunk_rows,
            threads=self.settings.threads, effects=effects, within=self._folds_and_arms(sample, 0) if folded else None,
        )  # fmt: skip

    def folds(self, split: int = 0) -> NDArray[np.uint8]:
        """Return the (n,) fold of each row in one split, derived from seed, split and key, never from position."""
        return self._once(("folds", split), lambda: self._folds(split))

    def _folds(self, split: int) -> NDArray[np.uint8]:
        seed, folds, row_key = self.settings.seed, self.settings.folds, self.data.row_key
        if self.settings.folds_version == 1:
            return fold_codes(row_key, seed=seed, split=split, folds=folds)
        keys = hash_keys(row_key) if self.data.fold_key is None else self.data.fold_key
        return portable_folds(keys, seed=seed, split=split, folds=folds)

    def blocks(self, frame: Frame, split: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (folds, 2, m, m) cross-products of a frame's columns by fold and arm, and (folds, 2) row counts.

        A treatment that is not binary has one arm.
        """
        return self._once(("blocks", split), lambda: self._blocks(frame, split), frame)

    def _blocks(self, frame: Frame, split: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        found = frame.grouped if split == 0 else None
        if found is None:
            codes, count = self._folds_and_arms(frame.sample, split)
            found = grouped_gram(frame.rows, frame.matrix, frame.weights, codes, count)
        products, counts = found
        folds, width = self.settings.folds, len(frame.matrix)
        return products.reshape(folds, -1, width, width), counts.reshape(folds, -1)

    def _folds_and_arms(self, sample: Sample, split: int) -> tuple[NDArray[np.uint8], int]:
        """Return the (n,) fold of each row, crossed with its arm if there are two, and the number of groups."""
        codes, folds = sample.take(self.folds(split)), self.settings.folds
        if self.data.treatment_kind != "binary":
            return codes, folds
        return codes * np.uint8(2) + self.treated(sample).astype(np.uint8), 2 * folds

    def outcome_sample(self) -> Sample:
        """Return the rows that outcome regressions use."""
        return self.sample("y", "treatment", "covariates")

    def adjustment_sample(self) -> Sample:
        """Return the rows that the adjusted regression uses."""
        return self.sample("y", "treatment", "covariates", "fixed_effects")

    def propensity_sample(self) -> Sample:
        """Return the rows that weighting uses."""
        return self.sample("y", "treatment", "pscore" if self.has("pscore") else "propensity_covariates")

    def doubly_robust_sample(self) -> Sample:
        """Return the rows that estimators with both an outcome and a treatment model use."""
        return self.sample("y", "treatment", "covariates", "pscore" if self.has("pscore") else "propensity_covariates")

    def propensity(self, sample: Sample | None = None, *, folded: bool = False) -> Propensity:
        """Return each row's propensity score: the given one, else that of a logit fitted on the sample.

        When the logit is fitted and is `folded`, those without each fold are fitted in the same passes over the rows,
        for `out_of_fold`.

        Raises:
            UnusableData: the treatment is not binary, no covariate is mapped, or the covariates separate the arms.
        """
        rows = sample or self.propensity_sample()
        return self._once("propensity", lambda: self._propensity(rows, folded=folded), rows)

    def _propensity(self, sample: Sample, *, folded: bool) -> Propensity:
        data = self.data
        if data.treatment_kind != "binary":
            raise UnusableData(Message("estimators.no-probability-without-two-levels"))
        if data.pscore is not None:
            e = sample.scatter(sample.take(data.pscore), np.nan)
            return Propensity(e=e, known=True, sample=sample, coefficients={})
        if not self.has("propensity_covariates"):
            raise UnusableData(Message("estimators.needs-covariates-of-treatment"))
        same = data.propensity_covariates is data.covariates
        frame = self.frame("xty" if same else "wt", sample, folded=folded)
        if not folded:
            return fitted_propensity(fit_logit(frame, self.treated(sample)))
        logit, without = fit_logits(frame, self.treated(sample), *self._left_out(frame, 0))
        if without is not None:
            self._once(("out of fold", 0), lambda: without, logit)
        return fitted_propensity(logit)

    def out_of_fold(self, logit: Logit, split: int) -> Vector:
        """Return each row's (n,) propensity score by the logit fitted without its fold."""
        return self._once(("out of fold", split), lambda: self._out_of_fold(logit, split), logit)

    def _out_of_fold(self, logit: Logit, split: int) -> Vector:
        return cross_fit_logit(logit, self.treated(logit.frame.sample), *self._left_out(logit.frame, split))

    def out_of_fold_without(self, logit: Logit, split: int, omitted: Sequence[int]) -> Matrix:
        """Return `out_of_fold` by (omitted, n) logits without each of some variables of the frame of a logit."""
        return cross_fit_without(logit, self.treated(logit.frame.sample), *self._left_out(logit.frame, split), omitted)

    def _left_out(self, frame: Frame, split: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Return the (n,) fold of each row, and (folds, k, k) cross-products of the covariates within each."""
        k = frame.at["x"].stop
        return frame.sample.take(self.folds(split)), self.blocks(frame, split)[0].sum(axis=1)[:, :k, :k]

    def outcome(self, sample: Sample | None = None) -> ArmFits:
        """Return the linear outcome regression of each arm on the covariates.

        Raises:
            UnusableData: the treatment is not binary, or an arm has fewer rows than the regression has coefficients.
        """
        rows = sample or self.outcome_sample()
        return self._once("outcome", lambda: self._outcome(rows), rows)

    def _outcome(self, sample: Sample) -> ArmFits:
        if self.data.treatment_kind != "binary":
            raise UnusableData(Message("estimators.no-arms-without-two-levels"))
        frame = self.frame("xty", sample)
        products, _ = self.blocks(frame)
        return fit_arms(frame, products.sum(axis=0), self.arm_rows(sample))


def _sample(masks: Sequence[NDArray[np.bool_]], n: int) -> Sample:
    if not masks:
        return Sample(total=n, n=n, index=None)
    index = np.flatnonzero(np.logical_and.reduce(masks))
    return Sample(total=n, n=len(index), index=index)


def _present(array: Vector | None) -> Vector:
    if array is None:
        raise UnusableData(Message("estimators.missing-role", role="treatment"))
    return array
