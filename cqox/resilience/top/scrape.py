"""Reading of the metrics of an app over HTTP."""

import http.client
import urllib.error
import urllib.request
from urllib.parse import urlsplit, urlunsplit

__all__ = ["Unreachable", "fetch", "metrics_url"]

_MOST_BYTES = 64 * 1024 * 1024
_ACCEPT = "text/plain;version=0.0.4;q=1,*/*;q=0.1"


class Unreachable(Exception):
    """No metrics came from an address; the message says why."""


def metrics_url(given: str) -> str:
    """Complete an address: `http` where it has no scheme, and `/metrics` where it has no path.

    Raises:
        ValueError: it is no address of HTTP.
    """
    parts = urlsplit(given if "://" in given else f"http://{given}")
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"the address must begin with http:// or https://, and is {given!r}")
    try:
        port = parts.port
    except ValueError:
        port = -1
    if not given.isascii():
        raise ValueError(f"the address must be in ASCII, with other letters as %XX or as a host of xn--: {given!r}")
    if not _is_host(parts.hostname) or port == -1 or any(letter.isspace() for letter in given):
        raise ValueError(f"the address has no valid host or no valid port: {given!r}")
    if parts.username is not None:
        raise ValueError("the address must hold no user and no password: name a file with --token-file")
    return urlunsplit(
        (parts.scheme, parts.netloc, parts.path if parts.path.strip("/") else "/metrics", parts.query, "")
    )


def _is_host(name: str | None) -> bool:
    try:
        return bool((name or "").encode("idna"))
    except UnicodeError:  # an empty part, or one that is too long
        return False


def fetch(url: str, *, timeout: float, token: str = "") -> str:
    """Return the text at `url`.

    Args:
        url: an address of `metrics_url`.
        timeout: seconds without progress after which it fails.
        token: sent as a bearer token, if given.

    Raises:
        Unreachable: nothing answers, or it answers with an error or with something that is no text of metrics.
    """
    request = urllib.request.Request(url, headers={"Accept": _ACCEPT, "User-Agent": "cqox-resilience-top"})
    if token:
        # Not to whom a redirect leads.
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            if "html" in answer.headers.get_content_type():
                raise Unreachable(f"{url} answers with a page, not with metrics")
            body: bytes = answer.read(_MOST_BYTES + 1)
            if answer.length and len(body) <= _MOST_BYTES:
                # A read of so many bytes does not notice that the connection broke off.
                raise http.client.IncompleteRead(body, answer.length)
    except urllib.error.HTTPError as error:
        error.close()
        raise Unreachable(f"{url} answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        why = error.reason
        raise Unreachable(f"{url} cannot be reached: {getattr(why, 'strerror', None) or why}") from error
    except TimeoutError as error:
        raise Unreachable(f"{url} does not answer within {timeout:g} s") from error
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise Unreachable(f"{url} cannot be read: {error or type(error).__name__}") from error
    if len(body) > _MOST_BYTES:
        raise Unreachable(f"{url} answers with more than {_MOST_BYTES // 1024**2} MiB")
    return body.decode("utf-8", errors="replace")
