"""Deletion of all versions of objects in a bucket that keeps them, and whether it does; blocking.

The client of objects lists and deletes current versions alone. These few requests are signed here, by AWS Signature
Version 4 (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html).
"""

import hashlib
import hmac
import http.client
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

from cqox import clock
from cqox.contract.messages import Message
from cqox.errors import StoreUnavailable
from cqox.storage.objects.address import Keys, ObjectStoreAddress
from cqox.storage.objects.failures import ObjectStoreAway

__all__ = ["Versions", "signed_headers"]

_SECONDS = 10.0
_SERVER_ERROR = 500
_ERROR = 300
_NOTHING = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Version:
    """A version of an object, or the mark of a deletion."""

    key: str
    version: str
    is_current: bool


class Versions:
    """The versions of objects of one bucket.

    Args:
        address: the bucket.
        keys: what signs the requests.
    """

    def __init__(self, address: ObjectStoreAddress, keys: Keys) -> None:
        self._address = address
        self._keys = keys
        endpoint = address.endpoint or f"https://s3.{address.region}.amazonaws.com"
        self._server = urlsplit(endpoint)

    def are_kept(self) -> bool:
        """Return whether the bucket keeps former versions of objects, or has kept them."""
        return self._text(self._request("GET", "", {"versioning": ""}), "Status") in ("Enabled", "Suspended")

    def delete(self, key: str) -> None:
        """Delete all versions of one object."""
        full = self._full(key)
        self._delete(full, lambda found: found.key == full)

    def delete_below(self, prefix: str) -> None:
        """Delete all versions of all objects below a prefix."""
        self._delete(self._full(prefix), lambda _: True)

    def delete_former(self, prefix: str) -> None:
        """Delete all versions of the objects below a prefix but the current ones."""
        self._delete(self._full(prefix), lambda found: not found.is_current)

    def _full(self, key: str) -> str:
        return f"{self._address.prefix}/{key}" if self._address.prefix else key

    def _delete(self, prefix: str, goes: Callable[[_Version], bool]) -> None:
        # Listed before the first is deleted, since a page begins where the last one has ended.
        for found in list(self._versions(prefix)):
            if goes(found):
                self._request("DELETE", found.key, {"versionId": found.version})

    def _versions(self, prefix: str) -> Iterator[_Version]:
        after: dict[str, str] = {}
        while True:
            page = self._request("GET", "", {"versions": "", "prefix": prefix, **after})
            for item in page:
                if _name(item) in ("Version", "DeleteMarker"):
                    yield _Version(
                        key=self._text(item, "Key"),
                        version=self._text(item, "VersionId"),
                        is_current=self._text(item, "IsLatest") == "true",
                    )
            if self._text(page, "IsTruncated") != "true":
                return
            after = {
                "key-marker": self._text(page, "NextKeyMarker"),
                "version-id-marker": self._text(page, "NextVersionIdMarker"),
            }

    def _text(self, element: ElementTree.Element, name: str) -> str:
        return next((child.text or "" for child in element if _name(child) == name), "")

    def _request(self, method: str, key: str, query: Mapping[str, str]) -> ElementTree.Element:
        path = quote(f"{self._server.path.rstrip('/')}/{self._address.bucket}/{key}".rstrip("/") or "/")
        headers = signed_headers(
            method,
            host=self._server.netloc,
            path=path,
            query=query,
            region=self._address.region,
            keys=self._keys,
            now=clock.now(),
        )
        connection: http.client.HTTPConnection
        if self._server.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(self._server.netloc, timeout=_SECONDS, context=context)
        else:
            connection = http.client.HTTPConnection(self._server.netloc, timeout=_SECONDS)
        try:
            connection.request(method, f"{path}?{_query(query)}", headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ObjectStoreAway(Message("storage.objects-failed", reason=str(error))) from error
        finally:
            connection.close()
        if answer.status >= _ERROR:
            kind = ObjectStoreAway if answer.status >= _SERVER_ERROR else StoreUnavailable
            raise kind(Message("storage.objects-failed", reason=f"{answer.status} {answer.reason}"))
        # Of the store that the operator has named.
        return ElementTree.fromstring(body) if body else ElementTree.Element("none")


def signed_headers(
    method: str, *, host: str, path: str, query: Mapping[str, str], region: str, keys: Keys, now: datetime
) -> dict[str, str]:
    """Return the headers of a request without a body, its signature included.

    Args:
        method: GET or DELETE.
        host: host and port of the server.
        path: its path, quoted.
        query: its query.
        region: region of the bucket.
        keys: what signs it.
        now: the time, in UTC.
    """
    at, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    headers = {"host": host, "x-amz-content-sha256": _NOTHING, "x-amz-date": at}
    if keys.session_token:
        headers["x-amz-security-token"] = keys.session_token
    names = ";".join(sorted(headers))
    canonical = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = "\n".join([method, path, _query(query), canonical, names, _NOTHING])
    scope = f"{day}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", at, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{keys.secret_key}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return headers


def _query(query: Mapping[str, str]) -> str:
    return urlencode(sorted(query.items()), quote_via=quote, safe="-_.~")


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
