"""Diagnostics of estimates, gates on them, and the decision on the primary estimate. Pure functions."""

from cqox.diagnostics.decision import decide
from cqox.diagnostics.definitions import definitions
from cqox.diagnostics.diagnose import diagnose
from cqox.diagnostics.effect import effect
from cqox.diagnostics.gates import gates
from cqox.diagnostics.headline import headline
from cqox.diagnostics.identification import check_assumes, design_of, identify
from cqox.diagnostics.primary import Primary, choose_primary

__all__ = [
    "Primary",
    "check_assumes",
    "choose_primary",
    "decide",
    "definitions",
    "design_of",
    "diagnose",
    "effect",
    "gates",
    "headline",
    "identify",
]
