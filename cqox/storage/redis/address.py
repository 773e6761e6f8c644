"""Whether an address of Redis can be used at all, told before anything connects.

Messages never repeat the address: it may hold a password.
"""

import re
from urllib.parse import parse_qs, urlsplit

import redis

__all__ = ["check_address"]

_FORM = "redis://:password@host:6379/0, rediss://host:6379/0 or unix:///path"
_SCHEMES = ("redis", "rediss", "unix")
# The cache holds bytes that are no text.
_OF_TEXT = ("decode_responses", "encoding", "encoding_errors")
_UNEXPECTED = re.compile(r"unexpected keyword argument '(\w+)'")


def check_address(url: str) -> None:
    """Nothing, if redis-py can use the URL. Nothing is connected.

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
        return f"its host or port is none; it must be {_FORM}"
    if parts.scheme not in _SCHEMES or not url.startswith(f"{parts.scheme}://"):
        return f"it must be {_FORM}"
    if port == 0:
        return "'0' is no port"
    # redis-py would take what is no number for 0.
    number = parts.path.replace("/", "")
    if parts.scheme != "unix" and number and not (number.isascii() and number.isdigit()):
        return "after the host comes the number of a database"
    return "" if parts.scheme != "unix" or parts.path else "it names no socket"


def _refused_options(url: str) -> str:
    for name in parse_qs(urlsplit(url).query):
        if name in _OF_TEXT:
            return f"the option '{name}' cannot be set"
    try:
        pool = redis.ConnectionPool.from_url(url)
        # redis-py makes its first connection, and looks at its options, at the first call.
        pool.connection_class(**pool.connection_kwargs)
    except TypeError as error:
        option = _UNEXPECTED.search(str(error))
        return f"Redis has no option '{option[1]}'" if option else "an option has no such value"
    except (ValueError, redis.RedisError) as error:
        return str(error).rstrip(".").partition("\n")[0]
    return ""
