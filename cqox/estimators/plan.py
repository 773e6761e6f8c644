"""What the estimators of one request share: complete cases, Gram blocks, propensities, outcome fits, folds.

Everything is computed at its first use and kept. The same data and settings give the same bytes; another order of the
rows, another chunk size or another number of threads gives the same numbers within 1e-10.
"""

from cqox.estimators._arms import ArmFits
from cqox.estimators._logit import Propensity
from cqox.estimators._sample import Sample
from cqox.estimators.data import Codes, Data, Settings

__all__ = ["Plan"]


class Plan:
    """The shared work of one contrast of one analysis; not for use by several threads at once."""

    def __init__(self, data: Data, settings: Settings) -> None:
        self.data = data
        self.settings = settings

    def has(self, role: str) -> bool:
        """Whether the mapping names this role."""
        raise NotImplementedError

    def label(self, role: str) -> str:
        """The column names behind a role, for a sentence."""
        raise NotImplementedError

    def sample(self, *roles: str) -> Sample:
        """The rows without a missing value in any of these roles (those that are not mapped do not count)."""
        raise NotImplementedError

    def folds(self, split: int = 0) -> Codes:
        """(n,) the fold of each row in one split, keyed by seed, split and `row_key`, never by position."""
        raise NotImplementedError

    def propensity(self, sample: Sample | None = None) -> Propensity:
        """Each row's probability of treatment: the known one, else a logit fitted on the sample.

        Raises:
            UnusableData: the treatment is not binary, nothing is mapped to fit it by, or the fit separates the arms.
        """
        raise NotImplementedError

    def outcome(self, sample: Sample | None = None) -> ArmFits:
        """The linear outcome regression of each arm on the covariates.

        Raises:
            UnusableData: an arm has fewer rows than the regression has coefficients.
        """
        raise NotImplementedError
