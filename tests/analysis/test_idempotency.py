import anyio
import pytest

from cqox.analysis.idempotency import IdempotencyKeys, job_id
from cqox.analysis.key import digest
from cqox.errors import InvalidRequest, KeyReused
from cqox.storage import DEFAULT_TENANT, MemoryCache
from tests.storage.bound import a_cache
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


async def test_a_key_goes_with_one_body_and_another_is_refused_by_name() -> None:
    keys = IdempotencyKeys(a_cache())
    for _ in range(2):
        await keys.bind("mine", "body")
    with pytest.raises(KeyReused, match="'mine' was sent before with another body"):
        await keys.bind("mine", "another")
    await keys.bind("mine", "body")
    await keys.bind("yours", "another")


async def test_engines_that_share_a_cache_share_their_keys() -> None:
    cache = a_cache()
    one, other = IdempotencyKeys(cache), IdempotencyKeys(cache)
    await one.bind("mine", "body")
    with pytest.raises(KeyReused):
        await other.bind("mine", "another")
    assert len(other) == 0
    await other.bind("mine", "body")


class Taken(MemoryCache):
    """A cache where another engine has every key; it answers when two have asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.answer = anyio.Event()

    async def claim(self, analysis_id: str, *, token: str, seconds: float) -> bool:
        self.asked += 1
        if self.asked == 2:
            self.answer.set()
        await self.answer.wait()
        return False


async def test_two_that_come_at_once_with_a_key_of_another_body_are_both_refused() -> None:
    keys, refused = IdempotencyKeys(Taken()), list[str]()

    async def bind() -> None:
        with pytest.raises(KeyReused) as caught:
            await keys.bind("mine", "body")
        refused.append(caught.value.field)

    with anyio.fail_after(PATIENCE_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(bind)
            group.start_soon(bind)
    assert refused == 2 * ["Idempotency-Key"]
    assert len(keys) == 0


async def test_only_so_many_keys_are_kept_and_the_one_used_longest_ago_goes_first() -> None:
    cache = a_cache()
    keys = IdempotencyKeys(cache, remembered=2)
    for key in ("a", "b", "a", "c"):
        await keys.bind(key, "body")
    assert len(keys) == 2
    assert len(cache._shared.claims) == 2
    with pytest.raises(KeyReused):
        await keys.bind("c", "another")
    await keys.bind("b", "another")


async def test_a_key_is_free_again_when_its_time_is_over() -> None:
    clock, cache = Clock(), a_cache()
    keys = IdempotencyKeys(cache, seconds=10, now=clock)
    await keys.bind("mine", "body")
    clock.time = 9.0
    await keys.bind("mine", "body")
    clock.time = 18.0
    with pytest.raises(KeyReused):
        await keys.bind("mine", "another")
    clock.time = 20.0
    await keys.bind("mine", "another")
    assert len(cache._shared.claims) == 1


@pytest.mark.parametrize("key", ["", "a" * 256, "鍵", "a\nb"])
async def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidRequest, match="1 to 255"):
        await IdempotencyKeys(a_cache()).bind(key, "body")


def test_a_job_has_one_id_for_each_key_and_body() -> None:
    assert job_id("k", "b", DEFAULT_TENANT) == job_id("k", "b", DEFAULT_TENANT)
    ids = {job_id(key, body, tenant) for tenant in (DEFAULT_TENANT, "acme") for key in "kl" for body in "bc"}
    assert len(ids) == 8


def test_jobs_of_the_first_tenant_have_the_ids_that_earlier_releases_gave() -> None:
    assert job_id("k", "b", DEFAULT_TENANT) == digest(b"k\nb")


@pytest.mark.parametrize("settings", [{"remembered": 0}, {"seconds": 0.0}])
def test_bounds_that_make_no_sense_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="not 0"):
        IdempotencyKeys(a_cache(), **settings)  # type: ignore[arg-type]


async def test_the_keys_of_a_data_set_are_forgotten_with_it_here_and_in_the_shared_cache() -> None:
    cache = a_cache()
    one, other = IdempotencyKeys(cache), IdempotencyKeys(cache)
    for key, dataset_id in (("a", "d"), ("b", "d"), ("c", "other")):
        await one.bind(key, "body")
        one.attach(key, dataset_id)
    one.attach("never bound", "d")
    assert len(await one.forget_of("d")) == 2
    assert list(await one.forget_of("d")) == []
    assert len(one) == 1
    await other.bind("a", "another body")
    with pytest.raises(KeyReused):
        await other.bind("c", "another body")


async def test_an_evicted_key_belongs_to_no_data_set_any_more() -> None:
    keys = IdempotencyKeys(a_cache(), remembered=1)
    await keys.bind("a", "body")
    keys.attach("a", "d")
    await keys.bind("b", "body")
    assert list(await keys.forget_of("d")) == []
