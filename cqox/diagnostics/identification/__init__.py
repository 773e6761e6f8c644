"""Ledger of the assumptions under which the primary estimate is the effect, and how far each is backed."""

from cqox.diagnostics.identification.designs import check_assumes, design_of
from cqox.diagnostics.identification.ledger import identify

__all__ = ["check_assumes", "design_of", "identify"]
