"""The bytes that each tenant may upload in a day, counted as they arrive.

Bytes count whether the upload succeeds or not: they have been received. Each gateway counts for itself.
"""

import math
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from cqox.contract.messages import Message
from cqox.errors import QuotaExceeded
from cqox.resilience.limits.keyed_budget import KeyedBudget
from cqox.telemetry import metric_definitions, metrics
from services.http.security.requester import principal_of

__all__ = ["UploadQuota", "upload_budget"]

_NAME = "uploaded-bytes"
_DAY_SECONDS = 86_400.0


def upload_budget(bytes_per_day: int) -> KeyedBudget | None:
    """Return the budget of uploaded bytes of each tenant in a day; None where there is no bound."""
    return KeyedBudget(bytes_per_day, _DAY_SECONDS, name=_NAME) if bytes_per_day else None


class UploadQuota:
    """Counts uploaded bytes by tenant.

    Args:
        budget: bytes of all tenants; None where there is no bound.
    """

    def __init__(self, budget: KeyedBudget | None) -> None:
        self._budget = budget

    async def counted(
        self, scope: Mapping[str, Any], content: AsyncGenerator[bytes], declared: int | None
    ) -> AsyncGenerator[bytes]:
        """Yield the pieces of an upload as they arrive, and count them.

        Args:
            scope: the ASGI scope of the request.
            content: the pieces; closed at the end.
            declared: their declared size in bytes; None where it is unknown.

        Raises:
            QuotaExceeded: the declared size exceeds what the tenant has left; or it has nothing left, before the first
                piece or after a later one.
        """
        principal = principal_of(scope)
        tenant = None if principal is None else principal.tenant
        async with aclosing(content):
            self._check(tenant, float(declared or 0))
            async for piece in content:
                metrics.count(metric_definitions.UPLOADED_BYTES, by=len(piece))
                if self._budget is not None and tenant is not None:
                    if declared is None:
                        self._check(tenant, float(len(piece)))
                    self._budget.spend(tenant, len(piece))
                yield piece

    def _check(self, tenant: str | None, wanted: float) -> None:
        if self._budget is None or tenant is None:
            return
        allowance = self._budget.check(tenant, wanted)
        if allowance.admitted:
            return
        metrics.count(metric_definitions.REJECTIONS, {"policy": _NAME, "reason": "Quota"})
        # Waiting does not help a file that is larger than the whole quota; the sentence says what does.
        seconds = max(1, math.ceil(min(allowance.retry_after, self._budget.seconds)))
        raise QuotaExceeded(
            _NAME,
            detail=Message("security.quota-of-uploaded-bytes", amount=self._budget.amount, seconds=seconds),
            retry_after=seconds,
        )
