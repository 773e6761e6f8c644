"""Secrets of the services: read from the files that `…_FILE` variables name, and rejected on the command line.

Messages name the variable and the file, never its content.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl

from cqox.errors import CqoxError

__all__ = ["SecretUnusable", "holds_password", "read_secret", "telemetry_secrets"]

_MOST_BYTES = 64 * 2**10
_MARK = "\ufeff"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SECRET_NAME = re.compile(r"password|passwd|secret|token|api_?key", re.IGNORECASE)
# Keywords of a libpq connection string, where spaces around the equals sign are allowed.
_PAIR = re.compile(r"(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|\S+)", re.DOTALL)
_TELEMETRY = (
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
)


class SecretUnusable(CqoxError):
    """The file of a secret cannot be used, or the secret is given twice."""


def read_secret(variable: str, file: str) -> str:
    """Read the secret in the file that a variable names.

    Args:
        variable: the variable, such as `POSTGRES_URL_FILE`.
        file: its value, a path.

    Raises:
        SecretUnusable: the file cannot be read, or holds no single line of UTF-8 text.
    """
    path = Path(file).expanduser()
    try:
        with path.open("rb") as opened:
            data = opened.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SecretUnusable(f"{variable}={path} cannot be read: {reason}.") from None
    if len(data) > _MOST_BYTES:
        raise SecretUnusable(f"{variable}={path} holds more than the {_MOST_BYTES:,} bytes that a secret may have.")
    try:
        text = data.decode().removeprefix(_MARK).strip()
    except UnicodeDecodeError:
        # Without the cause, which would quote the bytes.
        raise SecretUnusable(f"{variable}={path} is not UTF-8 text.") from None
    if not text:
        raise SecretUnusable(f"{variable}={path} is empty; write the secret into the file, or unset the variable.")
    if _CONTROL.search(text):
        raise SecretUnusable(f"{variable}={path} holds more than one line, or a control character.")
    return text


def holds_password(address: str) -> bool:
    """Return whether a URL, or a libpq connection string of key=value pairs, holds a password."""
    scheme, sign, rest = address.partition("://")
    if not sign or "=" in scheme:
        return any(_SECRET_NAME.search(name) for name, _ in _PAIR.findall(address))
    head, _, query = rest.partition("?")
    if "/" not in head and "@" not in head and scheme.startswith("postgres"):
        # libpq parses user and password first, and allows a question mark in them.
        head = rest
    # The last '@', because a password may contain an unescaped one.
    if head.rpartition("@")[0].partition(":")[2]:
        return True
    return any(_SECRET_NAME.search(name) for name, _ in parse_qsl(query, keep_blank_values=False))


def telemetry_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Read the OpenTelemetry exporter headers that are given as files, by OpenTelemetry's own variable names.

    Raises:
        SecretUnusable: a file cannot be used, or a variable is set both ways.
    """
    found: dict[str, str] = {}
    for variable in _TELEMETRY:
        file = environ.get(f"{variable}_FILE", "").strip()
        if file:
            if environ.get(variable, "").strip():
                raise SecretUnusable(f"{variable} and {variable}_FILE are both set; keep one of them.")
            found[variable] = read_secret(f"{variable}_FILE", file)
    return found
