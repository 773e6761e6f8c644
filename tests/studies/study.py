"""One kind of study: its data, its request, and the verdict that it deserves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl

__all__ = ["Kind", "Study"]

type Kind = Literal["good", "no effect", "harmful"]
"""A good study has a clear effect and true declarations; the others must not be answered GO."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A simulated study.

    Attributes:
        name: unique, a short phrase.
        family: the design that the request maps.
        kind: the kind of its truth, from which the demand on GO follows.
        shows: the trap, or the merit, in one phrase.
        generate: rows of one repetition from a generator.
        mapping: as in a request.
        options: as in a request; only what is true is declared, but in studies that show a false declaration.
        truth: what the primary estimates, in units of y: an effect, or the value of a policy; None where it varies.
    """

    name: str
    family: str
    kind: Kind
    shows: str
    generate: Callable[[np.random.Generator], pl.DataFrame]
    mapping: Mapping[str, object]
    options: Mapping[str, object] = field(default_factory=dict)
    truth: float | None = 0.0
