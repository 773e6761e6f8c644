"""`python -m tests.fuzz.tokens`: generated bearer tokens against the gateway, each of which is to be answered with 401.

Every token is made from a valid one and made invalid in one way: its header, its claims, its signature, its structure
or its bytes. They go through the whole application in this process, so that a hundred thousand take minutes.
"""

import argparse
import json
import logging
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import structlog
import trio
from joserfc.errors import SecurityWarning
from joserfc.jwk import OctKey

from cqox.security.access_tokens import parse_keys
from services.config.settings import Settings
from services.gateway.app import create_app
from tests.security.tokens import CLAIMS, KINDS, NOW, encoded, key, public_set, sign, token
from tests.services.gateway.test_token_authentication import Setting

__all__ = ["Outcome", "hostile", "main", "run"]

_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1e308, 1.5, 2**70, "", "x", " ", "\u0000", "ä", "0" * 5000),
    *([], {}, [None], {"a": 1}, [1] * 500),
)
_ALGORITHMS = (
    "none",
    "None",
    "nOnE",
    "HS256",
    "HS512",
    "ES384",
    "RS1",
    "PS512",
    "",
    "ES256 ",
    "es256",
    "dir",
    "A256KW",
)
_LATER_SECONDS = 10_000
"""Later than the clock of any campaign, which goes on by a millisecond for each token."""

_CARRIERS = ("crit", "jwk", "jku", "x5u", "x5c", "b64", "zip")


@dataclass
class Outcome:
    """The answers of a campaign.

    Attributes:
        sent: number of tokens by the way in which they were made.
        errors: number of answers by the error that their challenge names.
        wrong: tokens that were answered otherwise than by 401 with a challenge, at most ten, with the answer.
        seconds: time of the campaign.
    """

    sent: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    wrong: list[tuple[bytes, object]] = field(default_factory=list)
    seconds: float = 0.0


def _alg(random: Random) -> str:
    return random.choice(list(KINDS))


def _of_header(random: Random) -> str:
    """A header that is signed and names what is not taken."""
    alg = _alg(random)
    match random.randrange(4):
        case 0:
            header = {random.choice(_CARRIERS): random.choice(_ODD[1:])}
        case 1:
            header = {"typ": random.choice([*(each for each in _ODD if each is not None), "JWT", "id+jwt", "at+jwt "])}
        case 2:
            header = {"kid": random.choice([*_ODD, "unknown", "../ec", "ec\u0000"])}
        case _:
            header = {"alg": random.choice([*_ALGORITHMS, *_ODD])}
    return token(alg=alg, header=header)


def _of_claims(random: Random) -> str:
    """Claims that are signed and do not hold."""
    now = int(NOW)
    name = random.choice(["iss", "aud", "sub", "tenant", "exp", "iat", "nbf", "life", "twice"])
    if name == "twice":
        payload = json.dumps(dict(CLAIMS))
        return token(payload[:-1] + f', "{random.choice(["iss", "exp", "tenant"])}": {json.dumps("x")}}}')
    wrong: dict[str, Callable[[], object]] = {
        "iss": lambda: random.choice([*_ODD, CLAIMS["iss"] + "/", CLAIMS["iss"].upper()]),
        "aud": lambda: random.choice([*_ODD, CLAIMS["aud"] + "x", ["a", "b"]]),
        # A text of one character is a subject, and so is a number to nobody.
        "sub": lambda: random.choice([each for each in _ODD if each not in ("x", "0" * 5000)]),
        "tenant": lambda: random.choice(
            [each for each in _ODD if each != "x"] + ["Acme", "-a", "a/b", "../a", "a" * 64]
        ),
        "exp": lambda: random.choice([each for each in _ODD if each != 2**70] + [now - 31 - random.randrange(10**6)]),
        "iat": lambda: random.choice(
            [None, "x", "", True, [], {}, 2**70, now + _LATER_SECONDS + random.randrange(10**6)]
        ),
        "nbf": lambda: random.choice(["x", "", True, [], {}, 2**70, now + _LATER_SECONDS + random.randrange(10**6)]),
        "life": lambda: now + 86_400 * random.randrange(2, 4000),
    }
    value = wrong[name]()
    return token({"exp": value} if name == "life" else {name: value})


def _of_signature(random: Random) -> str:
    """A signature of somebody else, of other content, or none."""
    alg = _alg(random)
    valid = token(alg=alg)
    head, payload, signature = valid.split(".")
    match random.randrange(6):
        case 0:
            return token(alg=alg, signed_by=key(KINDS[alg], "stranger"), header={"kid": KINDS[alg].lower()})
        case 1:
            raw = random.randbytes(random.choice([0, 1, 32, 63, 64, 65, 256]))
            return f"{head}.{payload}.{encoded(raw)}"
        case 2:
            claims = dict(CLAIMS) | {"roles": ["steward"], "sub": f"mallory-{random.random()}"}
            return f"{head}.{encoded(json.dumps(claims))}.{signature}"
        case 3:
            # The public key as a secret.
            secret = OctKey.import_key(json.dumps(key(KINDS[alg]).as_dict(private=False)))
            header = json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": KINDS[alg].lower()})
            return sign(header, json.dumps(dict(CLAIMS)), "HS256", secret)
        case 4:
            other = random.choice([each for each in KINDS if KINDS[each] != KINDS[alg]])
            return f"{head}.{payload}.{token(alg=other).split('.')[2]}"
        case _:
            return f"{head}.{payload}."


def _of_structure(random: Random) -> str:
    """Parts that are missing, repeated, padded or no JSON."""
    parts = token(alg=_alg(random)).split(".")
    match random.randrange(6):
        case 0:
            del parts[random.randrange(3)]
        case 1:
            parts.insert(random.randrange(4), random.choice(["", "x", parts[0]]))
        case 2:
            place = random.randrange(3)
            parts[place] += random.choice(["=", "==", "~", "+", "/", "%3D", "\u00e4"])
        case 3:
            parts[random.randrange(2)] = encoded(
                random.choice(["", "[]", "null", "1", '"x"', "{", "{}{}", "[" * 3000, "NaN"])
            )
        case 4:
            parts[random.randrange(2)] = encoded(random.randbytes(random.randrange(1, 400)))
        case _:
            parts[1] *= random.choice([2, 40])
    return ".".join(parts)


def _of_bytes(random: Random) -> bytes:
    """Single bytes that are replaced, removed or added."""
    valid = token(alg=_alg(random)).encode()
    damaged = bytearray(valid)
    for _ in range(random.choice([1, 1, 2, 8])):
        place = random.randrange(len(damaged))
        match random.randrange(3):
            case 0:
                damaged[place] = random.randrange(256)
            case 1:
                del damaged[place]
            case _:
                damaged.insert(place, random.randrange(256))
    # The connection itself refuses line ends, and a field has no blanks at its ends.
    found = bytes(damaged).translate(None, b"\r\n").strip()
    return found if found != valid else found + b"A"


def _of_noise(random: Random) -> bytes:
    """Bytes that were never a token."""
    return random.randbytes(random.choice([1, 30, 700, 9000])).translate(None, b"\r\n").strip() or b"x"


_WAYS: dict[str, Callable[[Random], str | bytes]] = {
    "header": _of_header,
    "claims": _of_claims,
    "signature": _of_signature,
    "structure": _of_structure,
    "bytes": _of_bytes,
    "noise": _of_noise,
}


def hostile(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield tokens with the way in which each was made."""
    random = Random(seed)
    for number in range(count):
        way = list(_WAYS)[number % len(_WAYS)]
        made = _WAYS[way](random)
        yield way, made if isinstance(made, bytes) else made.encode()


def run(seed: int, count: int) -> Outcome:
    """Send tokens to the gateway's application, one after another."""
    setting, outcome = Setting(), Outcome()
    setting.keys = parse_keys(public_set(key("EC"), key("RSA"), key("OKP")))
    app = create_app(Settings(auth="keys", hop_key="k" * 32))
    app.authenticate_by(setting.authenticator)

    async def campaign() -> None:
        valid = [await _answer(app, token(alg=alg).encode()) for alg in KINDS]
        # Without these, everything would be refused for another reason.
        assert all(status not in (401, 503) for status, _ in valid), valid
        for way, text in hostile(seed, count):
            setting.now += 0.001
            outcome.sent[way] += 1
            status, challenge = await _answer(app, text)
            outcome.errors[challenge.partition('error="')[2].partition('"')[0] or challenge[:40]] += 1
            if (status != 401 or not challenge.startswith("Bearer")) and len(outcome.wrong) < 10:
                outcome.wrong.append((text, status))

    began = time.monotonic()
    trio.run(campaign)
    outcome.seconds = time.monotonic() - began
    return outcome


async def _answer(app: Any, text: bytes) -> tuple[int, str]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        return {"type": "http.request", "body": b"", "more_body": False} if not sent else await trio.sleep_forever()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": "/nowhere", "raw_path": b"/nowhere", "query_string": b"",
        "http_version": "1.1", "scheme": "http", "root_path": "", "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 1), "state": {}, "extensions": {},
        "headers": [(b"host", b"localhost"), (b"authorization", b"Bearer " + text)],
    }  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]).get(b"www-authenticate", b"").decode()


def main() -> None:
    """Run a campaign, print what it found, and exit with status 1 where an answer was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.tokens", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100_000)
    given = parser.parse_args()
    # Every refusal is a line of the log.
    logging.disable(logging.WARNING)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    warnings.simplefilter("ignore", SecurityWarning)
    outcome = run(given.seed, given.count)
    print(f"{outcome.sent.total():,} tokens in {outcome.seconds:.0f} s, seed {given.seed}")
    print("  made by " + ", ".join(f"{way} {count:,}" for way, count in outcome.sent.items()))
    print("  answered 401 with " + ", ".join(f"{error} {count:,}" for error, count in outcome.errors.items()))
    for text, status in outcome.wrong:
        print(f"  wrong: {status} for {text[:300]!r}")
    raise SystemExit(bool(outcome.wrong))


if __name__ == "__main__":
    main()
