"""Validation of a Redis address before any connection.

Messages never repeat the address: it may contain a password.
"""

import re
from urllib.parse import parse_qs, urlsplit

import redis

__all__ = ["check_address"]

_FORM = "redis://:password@host:6379/0, rediss://host:6379/0 or unix:///path"
_SCHEMES = ("redis", "rediss", "unix")
# The cache stores binary values.
_OF_TEXT = ("decode_responses", "encoding", "encoding_errors")
_UNEXPECTED = re.compile(r"unexpected keyword argument '(\w+)'")


def check_address(url: str) -> None:
    """Check that redis-py can use the URL, without connecting.

    Raises:
        ValueError: it cannot; the message is one line and names the setting.
    """
    reason = _refused(url) or _refused_options(url)
    if reason:
        raise ValueError(f"REDIS_URL cannot be read: {reason}.")


def _refused(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return f"its host or port is invalid; it must be {_FORM}"
    if parts.scheme not in _SCHEMES or not url.startswith(f"{parts.scheme}://"):
        return f"it must be {_FORM}"
    if port == 0:
        return "'0' is not a port"
    # redis-py would read a database that is not a number as 0.
    number = parts.path.replace("/", "")
    if parts.scheme != "unix" and number and not (number.isascii() and number.isdigit()):
        return "the path after the host must be the number of a database"
    return "" if parts.scheme != "unix" or parts.path else "it names no socket"


def _refused_options(url: str) -> str:
    for name in parse_qs(urlsplit(url).query):
        if name in _OF_TEXT:
            return f"the option '{name}' cannot be set"
    try:
        pool = redis.ConnectionPool.from_url(url)
        # redis-py opens its first connection, and validates its options, at the first call.
        pool.connection_class(**pool.connection_kwargs)
    except TypeError as error:
        option = _UNEXPECTED.search(str(error))
        return f"Redis has no option '{option[1]}'" if option else "an option has an invalid value"
    except (ValueError, redis.RedisError) as error:
        return str(error).rstrip(".").partition("\n")[0]
    return ""
