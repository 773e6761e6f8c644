"""The tenants of a simulated site: their keys, and what was acknowledged to each."""

from dataclasses import dataclass

from cqox import clock
from cqox.chaos.simulation.world import World
from cqox.security import Role, digest_of, new_key
from cqox.storage import TenantRecord
from services.engine.key_records import new_record
from services.simulation.catalog import FILES, OWN_FILES
from services.simulation.expectations import Expectations
from services.simulation.site import Site

__all__ = ["Tenant", "admit_tenants"]

_NAMES = ("north", "south")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A tenant.

    Attributes:
        name: its id; empty where nobody needs a key.
        key: its API key; empty where nobody needs one.
        files: names of the files that it uploads.
        expected: what was acknowledged to its clients.
    """

    name: str
    key: str
    files: tuple[str, ...]
    expected: Expectations


async def admit_tenants(world: World, site: Site) -> list[Tenant]:
    """Return the tenants of the site: two with a key each, or one without where nobody needs a key.

    The first one alone has the last of the files, so that nothing of it may be seen by the other.
    """
    names, draw, found = tuple(FILES), world.draw("keys"), list[Tenant]()
    if not site.with_keys:
        return [Tenant(name="", key="", files=names, expected=Expectations(world))]
    async with site.store() as store:
        for number, name in enumerate(_NAMES):
            key = new_key(f"{draw.getrandbits(64):016x}")
            at = clock.timestamp()
            await store.put_tenant(TenantRecord(tenant_id=name, name=name, created_at=at, erased_at=None))
            made = new_record(
                key.key_id,
                digest_of(key),
                tenant_id=name,
                name=name,
                roles=[Role.STEWARD],
                scopes=None,
                days=None,
                now=clock.now(),
            )
            assert await store.put_key(made)
            alone = frozenset([*names[-1:], *list(OWN_FILES)[:2]] if number == 0 else list(OWN_FILES)[2:])
            expected = Expectations(world, alone)
            found.append(Tenant(name=name, key=key.text, files=names[: len(names) - number], expected=expected))
    return found
