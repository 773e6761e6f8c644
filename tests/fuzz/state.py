"""Compare what both processes hold before and after a campaign."""

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.e2e.stack import Service, Stack

__all__ = ["differences", "look"]

_SETTLE_SECONDS = 75.0
_SLACK_DESCRIPTORS = 12
# Places for analyses, for light work and spares, and their template: a fresh engine has yet to start some of them.
_POOL_OF_WORKERS = 5
_BAD_LINE = re.compile(r"Traceback|connections failed|unexpected error|the application failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Resources that one process holds.

    Attributes:
        descriptors: open files and sockets.
        children: its worker processes.
        connections: open connections, as it counts them.
    """

    descriptors: int
    children: int
    connections: float


def look(stack: Stack) -> dict[str, Held]:
    """Return what each process holds now."""
    return {service.name: _held(service) for service in (stack.gateway, stack.engine)}


def differences(stack: Stack, before: dict[str, Held]) -> list[str]:
    """Wait until both processes hold what they held before; what they still hold too much then, and bad log lines."""
    end = time.monotonic() + _SETTLE_SECONDS
    while (found := _differences(stack, before)) and time.monotonic() < end:
        time.sleep(0.5)
    for service in (stack.gateway, stack.engine):
        found += [f"{service.name}: {line[:300]}" for line in service.log.splitlines() if _BAD_LINE.search(line)][:5]
    return found


def _differences(stack: Stack, before: dict[str, Held]) -> list[str]:
    found: list[str] = []
    for service in (stack.gateway, stack.engine):
        now, was = _held(service), before[service.name]
        if now.descriptors > was.descriptors + _SLACK_DESCRIPTORS:
            found.append(f"{service.name}: {was.descriptors} descriptors before, {now.descriptors} after")
        if now.children > max(was.children, _POOL_OF_WORKERS):
            found.append(f"{service.name}: {was.children} workers before, {now.children} after")
        if now.connections > was.connections + 1:
            found.append(f"{service.name}: {was.connections:g} connections before, {now.connections:g} after")
        health = httpx.get(f"{service.url}/health/ready", trust_env=False).json()
        if health["in_flight"]:
            found.append(f"{service.name}: {health['in_flight']} requests in flight")
    return found


def _held(service: Service) -> Held:
    process = Path(f"/proc/{service.process.pid}")
    text = httpx.get(f"{service.url}/metrics", trust_env=False).text
    connections = re.search(r"^cqox_connections(?:\{[^}]*\})? ([0-9.]+)$", text, re.MULTILINE)
    return Held(
        descriptors=len(os.listdir(process / "fd")),
        children=len((process / "task" / str(service.process.pid) / "children").read_text().split()),
        connections=float(connections[1]) if connections else 0.0,
    )
