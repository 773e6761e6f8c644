"""Raw connections to a service under test."""

import socket

import httpx

from tests.services.conftest import Service
from tests.waiting import PATIENCE_SECONDS

__all__ = ["connected", "in_flight", "read_all"]


def connected(service: Service) -> socket.socket:
    parsed = httpx.URL(service.url)
    return socket.create_connection((parsed.host, parsed.port or 80), timeout=PATIENCE_SECONDS)


def read_all(connection: socket.socket) -> bytes:
    data = b""
    while more := connection.recv(65536):
        data += more
    return data


def in_flight(service: Service) -> int:
    """Return the number of requests in flight."""
    health = httpx.get(f"{service.url}/api/health", timeout=PATIENCE_SECONDS, trust_env=False).json()
    return int(health["in_flight"])
