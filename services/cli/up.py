"""`cqox up`: gateway and engine on this machine, with an optional demonstration."""

import os
import secrets
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from typing import Literal

import httpx
import trio
import trio.to_thread
from rich.console import Console
from rich.text import Text

from cqox.analysis.stores import check_addresses
from services.cli.demo import Demonstration, show
from services.cli.local_tls import LocalTls
from services.cli.relay import Relay
from services.cli.supervisor import Program, supervise
from services.config.configuration import SettingsError, load
from services.config.settings import Settings, shared_socket_path
from services.config.table import table
from services.config.vault import VaultAway
from services.engine.addresses import store_addresses
from services.http.server.exposure import check_exposure
from services.http.server.sockets import AddressUnusable, listen, url_of
from services.http.server.startup import become_private
from services.http.server.vault import ServiceVault

__all__ = ["Output", "up"]

_WIDE = 120
_LOOPBACK = "127.0.0.1"
_READY_SECONDS = 60.0
_POLL_SECONDS = 0.1
_STOP_EXTRA_SECONDS = 10.0
_LAST_WORDS_SECONDS = 1.0
_USAGE = 2


class Output(Console):
    """The terminal output, which never fails: services keep running with a closed pipe or a full disk."""

    def on_broken_pipe(self) -> None:
        """Discard all further output, where rich would exit the process and stop the services."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        # Data left in the buffer would raise an error at interpreter exit.
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)

    def write_line(self, text: Text) -> None:
        """Print a line, or drop it where it cannot be written."""
        try:
            self.print(text, soft_wrap=True)
        except OSError:
            self.quiet = True
            self.print()  # clears the buffer
            self.quiet = False


def up(*, demo: bool, overrides: Mapping[str, str]) -> int:
    """Run gateway and engine until Ctrl-C.

    Args:
        demo: whether to run the demonstration.
        overrides: settings from flags, by environment name.

    Returns:
        The exit status: 0 after a clean drain, 1 after a failure, 2 for an invalid setting.
    """
    become_private()
    console = Output(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    try:
        loaded = load(os.environ, overrides)
        _check_stores(loaded.settings)
        if demo and loaded.settings.authenticates:
            raise SettingsError(
                f"--demo asks without an API key, which CQOX_AUTH={loaded.settings.auth} requires; leave one of them "
                "out."
            )
        _certify(loaded.settings)
        tls = LocalTls.of(loaded.settings)
        engine_url = _free(_LOOPBACK, loaded.settings.engine_port, "--engine-port", tls)
        gateway_url = _free(
            loaded.settings.host, loaded.settings.gateway_port, "--gateway-port", tls, settings=loaded.settings
        )
    except SettingsError as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return 1 if isinstance(error, VaultAway) else _USAGE
    except _PortTaken as error:
        console.print(f"[red]{error}[/red]")
        return 1
    for note in loaded.notes:
        console.print(f"[yellow]{note}[/yellow]")
    session = _Session(console, loaded.settings, tls, gateway_url=gateway_url, engine_url=engine_url, demo=demo)
    programs = session.programs(overrides)
    try:
        return trio.run(_supervised, session, programs, strict_exception_groups=True)
    finally:
        session.flush()


def _check_stores(settings: Settings) -> None:
    try:
        check_addresses(store_addresses(settings))
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _certify(settings: Settings) -> None:
    """Have the first certificates issued where a vault does that: both services verify each other by them."""
    if not settings.vault_pki_role:
        return
    services: tuple[Literal["gateway", "engine"], ...] = ("gateway", "engine")
    for service in services:
        vault = ServiceVault.of(settings, service)
        if vault is not None:
            vault.close()


async def _supervised(session: "_Session", programs: tuple[Program, ...]) -> int:
    return await supervise(programs, attend=session.attend, say=session.say, write=session.write)


class _PortTaken(Exception):
    pass


def _free(host: str, port: int, flag: str, tls: LocalTls, *, settings: Settings | None = None) -> str:
    """Check that a service can listen there, before anything starts; return its URL."""
    try:
        sockets = listen(host, port)
    except AddressUnusable as error:
        advice = f" Stop that process, or choose another port with {flag}." if error.in_use else ""
        raise _PortTaken(f"{error}{advice}") from None
    try:
        if settings is not None:
            check_exposure(settings, sockets)
        return url_of(sockets[0], scheme=tls.scheme)
    finally:
        for one in sockets:
            one.close()


def _without_files_of(overrides: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the `…_FILE` variables of settings that are given as flags."""
    files = {setting.file_variable for setting in table() if setting.variable in overrides}
    return {variable: text for variable, text in os.environ.items() if variable not in files}


class _Session:
    def __init__(
        self, console: Output, settings: Settings, tls: LocalTls, *, gateway_url: str, engine_url: str, demo: bool
    ) -> None:
        self._console = console
        self._tls = tls
        self._relay = Relay(console.write_line)
        self._settings = settings
        self._gateway_url = gateway_url
        self._engine_url = engine_url
        self._demo = demo

    def programs(self, overrides: Mapping[str, str]) -> tuple[Program, ...]:
        """Return the engine and the gateway, in start order, with the settings of this command."""
        environment = {
            **_without_files_of(overrides),
            **overrides,
            "CQOX_GATEWAY_PORT": str(httpx.URL(self._gateway_url).port),
            "CQOX_ENGINE_PORT": str(httpx.URL(self._engine_url).port),
            "ENGINE_URL": self._engine_url,
        }
        if self._settings.authenticates and not self._settings.hop_keys:
            # Both run here and end together, so that no file has to hold what they share.
            environment["CQOX_HOP_KEY"] = secrets.token_hex()
        if self._console.is_terminal:
            environment.setdefault("CQOX_LOG_FORMAT", "console")
        stop = self._settings.drain_delay + self._settings.drain_seconds + _STOP_EXTRA_SECONDS
        hosts = {"engine": _LOOPBACK, "gateway": self._settings.host}
        return tuple(
            Program(
                name=name,
                command=(sys.executable, "-m", f"services.{name}"),
                environment=environment
                | self._tls.settings.get(name, {})
                | {"CQOX_HOST": host, "CQOX_ADMIN_SOCKET": str(shared_socket_path(self._settings, name))},
                stop_seconds=stop,
            )
            for name, host in hosts.items()
        )

    def say(self, message: str) -> None:
        """Print a message of the supervisor."""
        self._relay.put(Text(message, style="bold"))

    def write(self, line: str) -> None:
        """Print a line of a service."""
        self._relay.put(Text(line, style="dim" if self._console.is_terminal else ""))

    def flush(self) -> None:
        """Wait briefly until all messages are printed; the output may not be read."""
        self._relay.flush(_LAST_WORDS_SECONDS)

    async def attend(self) -> bool:
        """Wait until both are ready, run the demonstration if requested, and print the URLs, last that of the page."""
        async with httpx.AsyncClient(
            trust_env=False, verify=self._tls.verify, timeout=self._settings.analysis_seconds + 5
        ) as client:
            for name, url in (("engine", self._engine_url), ("gateway", self._gateway_url)):
                with self._progress(f"Waiting until the {name} is ready ..."):
                    if not await _until_ready(client, url):
                        self.say(f"The {name} is not ready after {_READY_SECONDS:g} s.")
                        return False
            if self._demo:
                with self._progress("Running an analysis of the built-in data set 'test' ..."):
                    demonstration = await Demonstration.run(client, self._gateway_url)
                if not await trio.to_thread.run_sync(self._show, demonstration, abandon_on_cancel=True):
                    return False
        self.say(f"Serving at {self._gateway_url}; the API is described at {self._gateway_url}/docs. Ctrl-C ends it.")
        self.say(f"To go from a file to an answer in a browser, open {self._gateway_url}/")
        return True

    def _show(self, demonstration: Demonstration) -> bool:
        self.flush()
        return show(self._console, demonstration)

    def _progress(self, what: str) -> AbstractContextManager[object]:
        return self._console.status(what) if self._console.is_terminal else nullcontext()


async def _until_ready(client: httpx.AsyncClient, url: str) -> bool:
    with trio.move_on_after(_READY_SECONDS):
        while True:
            try:
                if (await client.get(f"{url}/health/ready")).status_code == HTTPStatus.OK:
                    return True
            except httpx.TransportError:
                pass
            await trio.sleep(_POLL_SECONDS)
    return False
