"""The generator that draws for every part that was given none; a forked process draws numbers of its own."""

import os
from random import Random
from typing import Final

__all__ = ["shared_rng"]

shared_rng: Final = Random()
"""The generator of this process."""

if hasattr(os, "register_at_fork"):
    # Workers that fork from one parent would else retry in step.
    os.register_at_fork(after_in_child=shared_rng.seed)
