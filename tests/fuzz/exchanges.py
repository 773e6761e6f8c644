"""Make raw exchanges from a seed: what is sent, in which pieces, and how the connection ends.

Pure: `exchange(seed, number)` is the same bytes on every machine, so that a finding can be sent again.
"""

import random
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

__all__ = ["Ending", "Exchange", "exchange"]

type Ending = Literal["read", "half-close", "close", "reset", "reset while reading"]

_PATHS = (
    *("/health/live", "/api/health", "/health/ready", "/api/datasets", "/api/estimators", "/api/analyses", "/metrics"),
    *("/api/datasets/test", "/api/datasets/nothing", "/api/analyses/none", "/api/jobs/none", "/api/jobs/none/events"),
    *("/api/analyses/none/figures/x.svg", "/openapi.json", "/docs", "/", "//", "/..", "/api/admin/policies", "/%00"),
    *("/%zz", "/%ff%fe", "/%0a%1b[31m", "/a" * 300, "/api/datasets?limit=1&limit=2", "/api/analyses?limit=%s"),
)
_TARGETS = (
    *("?/a", "", "*", "http://[::1/", "http://", "http://a", "http://a/b", "https://[::1]:80/health/live", "//a/b"),
    *(
        "http://user@a/",
        "http://a:99999/",
        "ftp://a/",
        "#",
        "/#",
        "/a#b",
        "a",
        "a:1",
        "\\",
        "/\x7f",
        "/\xff",
        "/ /",
        "/\t",
    ),
    *("http:///x", "http://a?b", "http://%41/", "/?" + "a=b&" * 500, "/" + "x" * 20_000, "%2fhealth", "./", "../x"),
)
_METHODS = ("GET", "GET", "GET", "HEAD", "POST", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get")
_ODD_METHODS = ("", "G\x00T", "GET\t", " GET", "X" * 300, "PRI", "\x16\x03\x01", "GÉT", "!#$%&'*+-.^_`|~")
_VERSIONS = ("HTTP/1.1",) * 8 + (
    "HTTP/1.0",
    "HTTP/1.0",
    "HTTP/0.9",
    "HTTP/2.0",
    "HTTP/1.9",
    "HTTP/1",
    "http/1.1",
    "ICY",
    "",
)
_FIELDS = (
    *("Connection: close", "Connection: keep-alive", "Connection: close, keep-alive, x", "Connection: upgrade"),
    *("Upgrade: h2c", "Upgrade: websocket", "Expect: 100-continue", "Expect: 200-ok", "Accept: text/event-stream"),
    *("Content-Type: application/json", "Content-Type: text/plain", "Content-Type: multipart/form-data; boundary=x"),
    *("Content-Length: -1", "Content-Length: 1e3", "Content-Length: 99999999999999999999", "Content-Length: 5, 5"),
    *("Content-Length: 0", "Content-Length: 7", "Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked"),
    *("Transfer-Encoding: chunked, chunked", "Transfer-Encoding: identity", "Transfer-Encoding:\x0bchunked"),
    *("X-Request-Timeout-Ms: 0", "X-Request-Timeout-Ms: x", "X-Retry-Attempt: -1", "X-Criticality: nope"),
    *("X-Request-Id: " + "a" * 500, "X-Request-Id: \x1b[31m", "Last-Event-ID: x", "Prefer: respond-async"),
    *("Idempotency-Key: k", "Range: bytes=0-1", "Cookie: a=b", "Authorization: Bearer x", "Origin: http://evil.test"),
    *(
        "Sec-Fetch-Site: cross-site",
        "Host: other",
        "Host:",
        "bad header",
        ": x",
        "A: " + "b" * 9_000,
        "A\x00: b",
        " folded",
    ),
    *("Content-Encoding: gzip", "Trailer: x", "TE: trailers", "X-Forwarded-For: 1.2.3.4", "Traceparent: 00-x-y-z"),
)
_HOSTS = ("Host: localhost",) * 12 + ("Host: [::1", "Host: evil.test", "Host: a b", "Host: \xff", "Host: [::1]:x", "")
_BODIES = (
    *(
        b"",
        b"{}",
        b"[]",
        b"\x00",
        b"{" * 200,
        b'{"a": NaN}',
        b'{"dataset_id": "test", "mapping": {}}',
        b"a,b\n1,2\n" * 50,
    ),
    b'{"dataset_id":"test","mapping":{"y":"y","treatment":"w"},"options":{"estimators":["difference_in_means"]}}',
    b'{"dataset_id":"\\ud800","mapping":{"y":"y"}}',
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\na,b\n1,2\n\r\n--x--\r\n',
    b"--x\r\n\r\n--x--",
)
_SPECIAL = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)),
    b"\x16\x03\x01",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" * 3,
    b"\r\n" * 40,
    b"\x00" * 100,
    b"GET /health/live\r\n",
    b"SSH-2.0-x\r\n",
)
_TARGET_OF_BODY = (
    "/api/analyze/comprehensive",
    "/api/roles/infer",
    "/api/analyze/preview",
    "/api/datasets",
    "/api/upload",
    "/api/admin/policies",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One connection.

    Attributes:
        pieces: what is sent, in this order.
        pauses: seconds before each piece.
        ending: what the client does after the last one.
        read_seconds: how long it waits for answers.
        patient: whether it waits so long also once it has one.
    """

    pieces: tuple[bytes, ...]
    pauses: tuple[float, ...]
    ending: Ending
    read_seconds: float
    patient: bool


def exchange(seed: str, number: int) -> Exchange:
    """Return the exchange of this number."""
    rng = random.Random(f"{seed}:{number}")
    data = rng.choice(_SPECIAL) if rng.random() < 0.04 else b"".join(_requests(rng))
    if rng.random() < 0.25:
        data = _mutated(rng, data)
    pieces = _cut(rng, data)
    pauses = tuple(rng.choice((0.0, 0.0, 0.0, 0.001, 0.01)) if number else 0.0 for number, _ in enumerate(pieces))
    ending = rng.choice(("read", "read", "half-close", "close", "reset", "reset while reading"))
    seconds, patient = rng.choice((0.05, 0.3, 1.0, 1.0)), rng.random() < 0.1
    return Exchange(pieces=pieces, pauses=pauses, ending=ending, read_seconds=seconds, patient=patient)


def _requests(rng: random.Random) -> list[bytes]:
    count = rng.choice((1, 1, 1, 2, 3, 12))
    return [_request(rng) for _ in range(count)]


def _request(rng: random.Random) -> bytes:
    plain = rng.random() < 0.4
    method = "GET" if plain and rng.random() < 0.5 else rng.choice(_METHODS if rng.random() < 0.9 else _ODD_METHODS)
    target = rng.choice(_PATHS if plain or rng.random() < 0.5 else _TARGETS)
    body = b""
    if method in ("POST", "PUT", "PATCH") or rng.random() < 0.1:
        body = rng.choice(_BODIES)
        if rng.random() < 0.8:
            target = rng.choice(_TARGET_OF_BODY)
    fields = [rng.choice(_HOSTS) if not plain else "Host: localhost"]
    fields += [] if plain else rng.sample(_FIELDS, rng.randrange(0, 4))
    framed, payload = _framed(rng, body)
    fields += framed
    rng.shuffle(fields)
    line = f"{method} {target} {'HTTP/1.1' if plain else rng.choice(_VERSIONS)}"
    end = "\r\n" if plain or rng.random() < 0.95 else rng.choice(("\n", "\r", "\r\r\n"))
    head = end.join([line, *(field for field in fields if field), "", ""])
    return head.encode("latin1", "replace") + payload


def _framed(rng: random.Random, body: bytes) -> tuple[list[str], bytes]:
    kind = rng.choice(("length", "length", "length", "chunked", "chunked", "short", "long", "none", "abuse"))
    if not body and kind != "abuse":
        return [], b""
    json = ["Content-Type: application/json"] if rng.random() < 0.7 else []
    match kind:
        case "length":
            return [*json, f"Content-Length: {len(body)}"], body
        case "short":
            return [*json, f"Content-Length: {len(body) + rng.randrange(1, 100)}"], body
        case "long":
            return [*json, f"Content-Length: {max(0, len(body) - 1)}"], body
        case "none":
            return json, body
        case "chunked":
            return [*json, "Transfer-Encoding: chunked"], _chunks(rng, body) + b"0\r\n\r\n"
        case _:
            return [*json, "Transfer-Encoding: chunked"], _abused(rng, body)


def _chunks(rng: random.Random, body: bytes) -> bytes:
    size = rng.choice((1, 2, 7, 1000))
    extension = rng.choice((b"", b"", b";a=b"))
    parts = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x%s\r\n%s\r\n" % (len(part), extension, part) for part in parts)


def _abused(rng: random.Random, body: bytes) -> bytes:
    return rng.choice(
        (
            b"ffffffffffffffffffffffff\r\n" + body,
            b"-1\r\n" + body,
            b"0x5\r\nabcde\r\n0\r\n\r\n",
            b"5\r\nabc",
            b"3\r\nabcXX0\r\n\r\n",
            b"0\r\nX: y\r\n" * 3 + b"\r\n",
            b"1\r\na\r\n" * 3000 + b"0\r\n\r\n",
            b"0" * 5000 + b"\r\n",
            b"\r\n\r\n",
            b"0\r\n\r\n0\r\n\r\n",
        )
    )


def _mutated(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        if not changed:
            break
        at = rng.randrange(len(changed))
        match rng.randrange(4):
            case 0:
                changed[at] = rng.randrange(256)
            case 1:
                del changed[at : at + rng.randrange(1, 20)]
            case 2:
                changed[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9)))
            case _:
                changed[at:at] = changed[at : at + rng.randrange(1, 60)]
    return bytes(changed)


def _cut(rng: random.Random, data: bytes) -> tuple[bytes, ...]:
    kind = rng.random()
    if kind < 0.6 or len(data) < 2:
        return (data,)
    if kind < 0.65 and len(data) < 300:
        return tuple(data[at : at + 1] for at in range(len(data)))
    places = sorted({0, len(data), *(rng.randrange(len(data)) for _ in range(rng.randrange(1, 5)))})
    return tuple(data[start:end] for start, end in pairwise(places))
