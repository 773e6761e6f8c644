"""The servers around CQOx in an experiment, and the links to them that it breaks."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from cqox.chaos.experiments.system import SystemUnusable
from cqox.chaos.proxy import open_proxy
from tests.servers.certificates import authority_in
from tests.servers.durable_object_store import DurableObjectStore
from tests.servers.identity_provider import Client, IdentityProvider
from tests.servers.object_store import KEYS
from tests.servers.openbao import OpenBao
from tests.servers.postgres import Postgres
from tests.servers.redis import Redis
from tests.servers.small_disk import SmallDisk

if TYPE_CHECKING:
    from tests.chaos.system import CqoxSystem

__all__ = ["linked", "start_dependencies"]

_MIB = 2**20
_DISK_BYTES = 64 * _MIB
_HOP_KEY = "a-secret-of-the-two-services-of-these-experiments"
_USER = "analyst"


async def start_dependencies(system: "CqoxSystem", stack: AsyncExitStack) -> dict[str, str]:
    """Start the servers around the services, and return the settings that follow from them."""
    shared: dict[str, str] = {"CQOX_LOG_LEVEL": "info", **system.experiment.needs.settings}
    if system.needs("small-disk"):
        system.disk = await system.call(lambda: SmallDisk(system.folder / "disk", _DISK_BYTES))
        # Originals of uploads make way for everything else, so that the disk would not be full for long.
        shared["CQOX_ORIGINALS_BYTES"] = "0"
    shared["CQOX_DATA_DIR"] = str(system.data)
    if system.needs("postgres"):
        system.postgres = await _started(system, Postgres(), "start")
        port = await linked(system, stack, "engine->postgres", system.postgres.port)
        shared["POSTGRES_URL"] = system.postgres.fresh(port)
    if system.needs("redis"):
        system.redis = await _started(system, Redis(), "start")
        port = await linked(system, stack, "engine->redis", system.redis.port)
        shared["REDIS_URL"] = f"redis://127.0.0.1:{port}/0"
    if system.needs("object-store"):
        system.objects = await _started(system, DurableObjectStore(), "start")
        shared |= await system.call(lambda: _bucket(system.objects, system.folder))
    if system.needs("identity-provider"):
        from tests.e2e.test_tokens import signing_key

        client = Client(id=_USER, claims={"tenant": "default", "roles": [_USER]})
        system.provider = IdentityProvider(clients=[client], keys=[signing_key("first")])
        await _started(system, system.provider, "start")
        shared |= {
            "CQOX_AUTH": "oidc",
            "CQOX_HOP_KEY": _HOP_KEY,
            "CQOX_OIDC_ISSUER": system.provider.issuer,
            "CQOX_OIDC_AUDIENCE": system.provider.audience,
        }
        system.key = await system.call(lambda: system.provider.token(_USER))
    if system.needs("openbao"):
        shared |= await _vault(system, stack)
    if system.needs("keys"):
        shared |= {"CQOX_AUTH": "keys", "CQOX_HOP_KEY": _HOP_KEY}
    if system.needs("tls"):
        parts = ("gateway", "engine", "client")
        system.authority = await system.call(lambda: authority_in(system.folder / "tls", *parts))
        shared["CQOX_TLS_DIR"] = str(system.folder / "tls" / "{service}")
    if "CQOX_AUTH" in shared:
        shared.setdefault("CQOX_KEYS", "none")
    return shared


def _bucket(store: DurableObjectStore | None, folder: Path) -> dict[str, str]:
    """Create a bucket, and return the settings by which engines keep their files in it."""
    assert store is not None
    secret = folder / "object-store-key"
    secret.write_text(KEYS.secret_key)
    return {
        "CQOX_OBJECT_STORE": f"s3://{store.bucket()}/of/cqox",
        "CQOX_OBJECT_STORE_ENDPOINT": store.endpoint,
        "CQOX_OBJECT_STORE_ACCESS_KEY": KEYS.access_key,
        "CQOX_OBJECT_STORE_SECRET_KEY_FILE": str(secret),
    }


async def _started[S](system: "CqoxSystem", server: S, how: str) -> S:
    try:
        await system.call(getattr(server, how))
    except (FileNotFoundError, AssertionError) as error:
        raise SystemUnusable(f"{type(server).__name__} cannot be had here: {error}") from error
    system.owned.add(server._process.pid)
    return server


async def _vault(system: "CqoxSystem", stack: AsyncExitStack) -> dict[str, str]:
    """Start OpenBao with a key ring and a secret of the services."""
    bao = OpenBao()
    system.openbao = bao
    await _started(system, bao, "start")
    file = system.folder / "role.json"

    def prepare() -> None:
        bao.mount("transit")
        bao.mount("kv", "secret", options={"version": "2"})
        bao.write("secret/data/cqox/hop", data={"key": _HOP_KEY})
        bao.allow()
        bao.app_role(file)

    await system.call(prepare)
    port = bao.port
    for link in ("engine->openbao", "gateway->openbao"):
        port = await linked(system, stack, link, port)
    return {
        "CQOX_VAULT_ADDR": f"http://127.0.0.1:{port}",
        "CQOX_VAULT_ROLE_FILE": str(file),
        "CQOX_KEYS": "vault",
        "CQOX_HOP_KEY": "vault:secret/cqox/hop#key",
    }


async def linked(system: "CqoxSystem", stack: AsyncExitStack, link: str, port: int, host: str = "127.0.0.1") -> int:
    """Return the port of a link: that of a proxy where the experiment breaks it."""
    if all(fault.target.name != link for fault in system.experiment.faults):
        return port
    proxy = await stack.enter_async_context(open_proxy(host, port, seed=len(system.proxies)))
    system.proxies.setdefault(link, []).append(proxy)
    return proxy.port
