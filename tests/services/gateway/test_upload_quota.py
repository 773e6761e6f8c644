"""The bytes that a tenant may upload in a day."""

from collections.abc import AsyncGenerator

import pytest

from cqox.errors import QuotaExceeded
from cqox.resilience.limits.keyed_budget import KeyedBudget
from cqox.resilience.testing import FakeClock
from services.gateway.upload_quota import UploadQuota, upload_budget
from tests.services.http.security.test_quota import scope_of

pytestmark = pytest.mark.anyio


class Content:
    """Pieces of an upload; knows whether they were asked for, and whether they were closed."""

    def __init__(self, *sizes: int) -> None:
        self.sizes = sizes
        self.sent = 0
        self.closed = False

    async def pieces(self) -> AsyncGenerator[bytes]:
        try:
            for size in self.sizes:
                self.sent += size
                yield bytes(size)
        finally:
            self.closed = True


async def upload(quota: UploadQuota, content: Content, declared: int | None, tenant: str = "acme") -> int:
    return sum([len(piece) async for piece in quota.counted(scope_of(tenant), content.pieces(), declared)])


async def test_uploads_are_counted_by_tenant_and_one_that_is_too_large_is_refused_before_its_first_byte() -> None:
    clock = FakeClock()
    quota = UploadQuota(KeyedBudget(100, 100.0, clock=clock))
    assert await upload(quota, Content(30, 30), 60) == 60
    second = Content(30, 30)
    with pytest.raises(QuotaExceeded) as caught:
        await upload(quota, second, 60)
    assert second.sent == 0
    assert caught.value.retry_after == 20
    assert "100 bytes of a day" in str(caught.value)
    assert await upload(quota, Content(60), 60, "other") == 60
    clock.advance(20.0)
    assert await upload(quota, Content(60), 60) == 60


async def test_an_upload_without_a_declared_size_ends_where_the_quota_does() -> None:
    quota, content = UploadQuota(KeyedBudget(100, 100.0, clock=FakeClock())), Content(40, 40, 40)
    with pytest.raises(QuotaExceeded):
        await upload(quota, content, None)
    assert content.sent == 120
    assert content.closed
    # What had arrived counts.
    with pytest.raises(QuotaExceeded):
        await upload(quota, Content(30), 30)
    assert await upload(quota, Content(20), 20) == 20


async def test_a_file_above_the_whole_quota_never_fits() -> None:
    quota = UploadQuota(KeyedBudget(100, 100.0, clock=FakeClock()))
    with pytest.raises(QuotaExceeded) as caught:
        await upload(quota, Content(101), 101)
    assert caught.value.retry_after == 100


async def test_without_a_quota_or_a_principal_nothing_is_refused() -> None:
    assert upload_budget(0) is None
    assert await upload(UploadQuota(None), Content(10**6), None) == 10**6
    quota = UploadQuota(upload_budget(1))
    pieces = [piece async for piece in quota.counted({"type": "http"}, Content(50).pieces(), 50)]
    assert len(pieces) == 1
