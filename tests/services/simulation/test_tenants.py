"""The tenants of a simulated site, in a real store."""

from cqox.chaos.simulation.world import World, simulate
from cqox.security import digest_of, parse_key
from services.simulation.catalog import FILES, OWN_FILES
from services.simulation.recordings import Recordings
from services.simulation.site import Site
from services.simulation.tenants import admit_tenants


def test_two_tenants_have_a_key_each_and_the_first_one_has_a_file_of_its_own() -> None:
    async def main(world: World) -> None:
        site = Site(world, Recordings(), with_keys=True)
        one, other = await admit_tenants(world, site)
        async with site.store() as store:
            for tenant in (one, other):
                key = parse_key(tenant.key)
                assert key is not None
                record = await store.key(key.key_id)
                assert record is not None
                assert (record.tenant_id, record.digest) == (tenant.name, digest_of(key))
        assert set(one.files) - set(other.files) == {list(FILES)[-1]}
        assert one.expected.exclusive & other.expected.exclusive == frozenset()
        assert one.expected.exclusive | other.expected.exclusive == {list(FILES)[-1], *OWN_FILES}

    assert not simulate(1, main).violations


def test_without_keys_there_is_one_for_all() -> None:
    async def main(world: World) -> None:
        (tenant,) = await admit_tenants(world, Site(world, Recordings()))
        assert (tenant.key, tenant.files, tenant.expected.exclusive) == ("", tuple(FILES), frozenset())

    assert not simulate(1, main).violations
