"""Checks of `cqox doctor` that need the services: their settings, ports and stores."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

import httpx
import trio
from pydantic import JsonValue

from cqox.analysis.stores import RESULTS_FILE, StoreAddresses, check_addresses, open_cache, open_store
from cqox.cli.doctor.check import Check, Found
from cqox.contract.messages import Message
from cqox.errors import CqoxError
from cqox.storage.sqlite_file import check_sqlite
from cqox.telemetry.secrets import masked
from services.cli.local_tls import LocalTls, verification_of
from services.config.configuration import SettingsError, load
from services.config.settings import Settings
from services.engine.addresses import store_addresses
from services.engine.database_user import database_user
from services.http.server.sockets import AddressUnusable, listen

__all__ = ["check_ports", "check_settings", "check_stores", "checks", "holder_of"]

_LOOPBACK = "127.0.0.1"
_ASK_SECONDS = 2.0
_SOCKET = re.compile(r"^socket:\[(\d+)\]$")
_LISTENING = "0A"


def checks(environ: Mapping[str, str]) -> Sequence[Check]:
    """Return the checks; with invalid settings only the one that says so."""
    settings = Check(name="settings", run=lambda: check_settings(environ))
    try:
        loaded = load(environ).settings
    except SettingsError:
        return [settings]
    return [
        settings,
        Check(name="ports", run=lambda: check_ports(loaded)),
        Check(name="stores", run=lambda: check_stores(loaded)),
    ]


def check_settings(environ: Mapping[str, str]) -> Iterator[Found]:
    """Report whether the settings of the services are valid, and what was ignored."""
    try:
        loaded = load(environ)
        check_addresses(store_addresses(loaded.settings))
        LocalTls.of(loaded.settings)
    except (SettingsError, ValueError) as error:
        text = Message("doctor.settings-invalid", reason=masked(str(error)))
        yield Found(status="fail", text=text, remedy=Message("doctor.correct-setting"))
        return
    for note in loaded.notes:
        yield Found(status="warn", text=Message("doctor.settings-note", note=note))
    yield Found(status="ok", text=Message("doctor.settings", folder=str(loaded.settings.data_dir)))


def check_ports(settings: Settings) -> Iterator[Found]:
    """Report for the port of each service whether it is free, has a service of CQOx, or belongs to another process."""
    yield _port(settings, "gateway", settings.host, settings.gateway_port)
    yield _port(settings, "engine", _LOOPBACK, settings.engine_port)


def check_stores(settings: Settings) -> Iterator[Found]:
    """Report whether the result store and the cache that are configured answer."""
    addresses = store_addresses(settings)
    if settings.postgres_url:
        yield _asked("PostgreSQL", "POSTGRES_URL", lambda: _ask_postgres(settings))
    else:
        path = settings.data_dir / RESULTS_FILE
        yield _asked(f"SQLite {path}", "CQOX_DATA_DIR", lambda: check_sqlite(path, damaged=False))
    if settings.redis_url:
        yield _asked("Redis", "REDIS_URL", lambda: trio.run(_ping_cache, addresses))


def holder_of(port: int, proc: Path = Path("/proc")) -> str:
    """Return name and id of the process that listens on a TCP port; empty where it is not known."""
    listening = (line for line in _connections(proc) if line[3] == _LISTENING)
    inodes = {line[9] for line in listening if int(line[1].rpartition(":")[2], 16) == port}
    for process in proc.glob("[0-9]*") if inodes else ():
        if inodes & set(_sockets(process)):
            with suppress(OSError):
                name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
                return f"{name} ({process.name})"
    return ""


def _port(settings: Settings, service: str, host: str, port: int) -> Found:
    data: dict[str, JsonValue] = {"service": service, "host": host, "port": port}
    if port == 0:
        return Found(status="ok", text=Message("doctor.port-any", service=service), data=data)
    try:
        for one in listen(host, port):
            one.close()
    except AddressUnusable as error:
        setting = f"CQOX_{service.upper()}_PORT"
        if not error.in_use:
            remedy = Message("doctor.correct-host")
            return Found(
                status="fail", text=Message("doctor.port-unusable", reason=str(error)), remedy=remedy, data=data
            )
        url = _url(host, port, scheme="http" if settings.tls_dir == Path() else "https")
        running = _service_at(url, settings, service)
        if running == service:
            return Found(status="ok", text=Message("doctor.port-serves", service=service, url=url), data=data)
        text = Message("doctor.port-taken", service=service, port=port, holder=running or holder_of(port) or "?")
        return Found(status="fail", text=text, remedy=Message("doctor.another-port", setting=setting), data=data)
    return Found(status="ok", text=Message("doctor.port-free", service=service, port=port), data=data)


def _service_at(url: str, settings: Settings, service: str) -> str:
    """Return the name of the service of CQOx that answers there; empty where none does."""
    try:
        verify = verification_of(settings, service) or True
        answer = httpx.get(f"{url}/api/health", timeout=_ASK_SECONDS, trust_env=False, verify=verify).json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, SettingsError):
        return ""
    return str(answer.get("service", "")) if isinstance(answer, dict) else ""


def _url(host: str, port: int, *, scheme: str) -> str:
    reachable = {"0.0.0.0": _LOOPBACK, "::": "::1"}.get(host, host)
    return f"{scheme}://[{reachable}]:{port}" if ":" in reachable else f"{scheme}://{reachable}:{port}"


def _asked(store: str, setting: str, ask: Callable[[], None]) -> Found:
    began = monotonic()
    try:
        ask()
    except (CqoxError, ValueError, OSError) as error:
        text = Message("doctor.store-silent", store=store, reason=masked(str(error)))
        remedy = Message("doctor.check-store", setting=setting)
        return Found(status="fail", text=text, remedy=remedy, data={"store": store})
    seconds = monotonic() - began
    data: dict[str, JsonValue] = {"store": store, "seconds": seconds}
    return Found(status="ok", text=Message("doctor.store", store=store, seconds=seconds), data=data)


def _ask_postgres(settings: Settings) -> None:
    with database_user(settings) as complete:
        trio.run(_ping_store, complete.data_dir, store_addresses(complete))


async def _ping_store(data_dir: Path, addresses: StoreAddresses) -> None:
    async with open_store(data_dir, addresses) as store:
        await store.ping()


async def _ping_cache(addresses: StoreAddresses) -> None:
    async with open_cache(addresses) as cache:
        await cache.ping()


def _connections(proc: Path) -> Iterator[list[str]]:
    for name in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / name).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        yield from (line.split() for line in lines)


def _sockets(process: Path) -> Iterator[str]:
    """Yield the inodes of a process's sockets; none of a process of another user."""
    with suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                match = _SOCKET.match(os.readlink(descriptor))
                if match is not None:
                    yield match[1]
