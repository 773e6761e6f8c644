"""The default random generator of all parts; it is reseeded in a forked process."""

import os
from random import Random
from typing import Final

__all__ = ["shared_rng"]

shared_rng: Final = Random()
"""The generator of this process."""

if hasattr(os, "register_at_fork"):
    # Otherwise workers forked from one parent would retry in lockstep.
    os.register_at_fork(after_in_child=shared_rng.seed)
