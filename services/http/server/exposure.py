"""A check that a service without a login listens on loopback addresses, unless its operator says that it is open."""

import ipaddress
import socket
from collections.abc import Iterable

from services.config.configuration import SettingsError
from services.config.settings import Settings

__all__ = ["check_exposure"]


def check_exposure(settings: Settings, sockets: Iterable[socket.socket]) -> None:
    """Check that a service may listen where it does.

    Raises:
        SettingsError: it has no login, and others than programs on this machine can reach it.
    """
    if settings.auth != "local":
        return
    beyond = sorted({str(one.getsockname()[0]) for one in sockets if not _is_loopback(one)})
    if beyond:
        raise SettingsError(
            f"CQOX_HOST={settings.host} listens on {', '.join(beyond)}, where other machines can connect, and nobody "
            "has to log in. Set CQOX_AUTH=keys to require API keys, or CQOX_AUTH=open to serve everybody who reaches "
            "it."
        )


def _is_loopback(one: socket.socket) -> bool:
    if one.family not in (socket.AF_INET, socket.AF_INET6):
        return True
    return ipaddress.ip_address(str(one.getsockname()[0]).partition("%")[0]).is_loopback
