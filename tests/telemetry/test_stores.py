import pytest

from cqox.errors import StoreUnavailable
from cqox.storage import StoredReport
from cqox.storage.server_address import ServerAddress
from cqox.telemetry import metric_definitions
from cqox.telemetry.stores import CACHE_OPERATIONS, STORE_OPERATIONS, observed
from tests.measured import Measured
from tests.recorded import Kept
from tests.storage.bound import a_cache

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


REPORT = StoredReport(
    analysis_id="a",
    dataset_id="d",
    created_at="2026-01-01T00:00:00+00:00",
    status="ok",
    verdict=None,
    primary=None,
    estimate=None,
    report=b"{}",
    provenance=b"{}",
    figures=b"{}",
    digest="",
)


class PostgresStore:
    """A store whose server is away."""

    waiting = 3
    server = ServerAddress(host="db", port=5433, namespace="cqox")

    def __getattr__(self, name: str):
        async def away(*args: object) -> None:
            raise StoreUnavailable("away")

        return away


async def test_a_look_up_is_a_client_span_that_says_whether_it_hit(kept: Kept, measured: Measured) -> None:
    cache = observed(a_cache(), CACHE_OPERATIONS)
    assert await cache.get("a") is None
    await cache.put(REPORT)
    assert await cache.get("a") is REPORT
    assert [span.name for span in kept.spans] == ["GET", "SET", "GET"]
    assert [span.attributes.get("cqox.cache.outcome") for span in kept.spans] == ["miss", None, "hit"]
    assert {span.attributes["db.system.name"] for span in kept.spans} == {"memory"}
    assert measured.of(metric_definitions.CACHE_REQUESTS) == [
        {"cache": "memory", "outcome": "miss"},
        {"cache": "memory", "outcome": "hit"},
    ]
    assert len(measured.of(metric_definitions.STORE_DURATION)) == 3


async def test_a_store_that_is_away_is_an_error_of_the_span_and_of_the_measure(kept: Kept, measured: Measured) -> None:
    store = observed(PostgresStore(), STORE_OPERATIONS)
    with pytest.raises(StoreUnavailable):
        await store.save(REPORT)
    span = kept.named("INSERT reports")
    assert span.attributes["db.system.name"] == "postgresql"
    assert span.attributes["db.collection.name"] == "reports"
    assert span.attributes["db.query.summary"] == "INSERT reports"
    where = {name: span.attributes[name] for name in ("server.address", "server.port", "db.namespace")}
    assert where == {"server.address": "db", "server.port": 5433, "db.namespace": "cqox"}
    assert span.attributes["error.type"] == "StoreUnavailable"
    assert not span.status.is_ok
    assert measured.of(metric_definitions.STORE_DURATION) == [
        {"db.system.name": "postgresql", "db.operation.name": "INSERT", "error.type": "StoreUnavailable"}
    ]


async def test_what_is_no_operation_reaches_the_store_unseen(kept: Kept) -> None:
    assert observed(PostgresStore(), STORE_OPERATIONS).waiting == 3
    assert observed(a_cache(), CACHE_OPERATIONS).size_bytes == 0
    assert kept.spans == ()
