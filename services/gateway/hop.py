"""The principal that the gateway sends to an engine with each request, and its question who holds a key."""

import json
from collections.abc import Callable
from functools import lru_cache, partial

import structlog

from cqox import clock
from cqox.contract import parse_model
from cqox.contract.messages import Message
from cqox.errors import CqoxError, DeadlineExceeded, EngineUnavailable
from cqox.security import GATEWAY, HopKeys, InvalidPrincipal, Principal, Refusal, Verdict, decode, encode
from services.gateway.engine_client import Call, Headers, Hop
from services.gateway.policies import EnginePolicies
from services.http.contract.identity_operations import RESOLVE_KEY, KeyVerdict
from services.http.security.hop import PRINCIPAL, SIGNATURE

__all__ = ["HopWriter", "ask_engine"]

_log = structlog.stdlib.get_logger("cqox.gateway")

_SECONDS = 5.0


class HopWriter:
    """Writes the header fields with the principal of a request, for each attempt of a call.

    Args:
        keys: sign; None where the certificate of the gateway speaks for it.
        clock: returns seconds since the epoch.
    """

    def __init__(self, keys: HopKeys | None, *, clock: Callable[[], float] = clock.wall_time) -> None:
        self._keys = keys
        self._clock = clock

    def of(self, principal: Principal) -> Hop:
        """Return the function that writes the fields of a principal for a method and target."""
        return partial(self._fields, _encoded(principal))

    def _fields(self, principal: str, method: str, target: bytes) -> Headers:
        fields = ((PRINCIPAL, principal.encode()),)
        if self._keys is None:
            return fields
        signature = self._keys.sign(principal, method=method, target=target, now=self._clock())
        return (*fields, (SIGNATURE, signature.encode()))


_encoded = lru_cache(1024)(encode)


async def ask_engine(policies: EnginePolicies, writer: HopWriter, key_id: str, digest: bytes) -> tuple[Verdict, float]:
    """Ask an engine who holds a key; return the verdict and for how many seconds it holds.

    Raises:
        EngineUnavailable: no engine says so within five seconds.
        Rejected: a policy of the gateway rejects the question.
    """
    call = Call(
        method=RESOLVE_KEY.method,
        target=RESOLVE_KEY.path.encode(),
        headers=((b"content-type", b"application/json"),),
        content=json.dumps({"key_id": key_id, "digest": digest.hex()}).encode(),
        hop=writer.of(GATEWAY),
    )
    try:
        reply = await policies.read(call, seconds=_SECONDS)
    except DeadlineExceeded as error:
        raise EngineUnavailable(Message("security.keys-unresolved")) from error
    try:
        found = parse_model(KeyVerdict, json.loads(reply.body))
        verdict = Refusal(found.refused or "unknown") if found.principal is None else decode(found.principal)
    except (ValueError, CqoxError, InvalidPrincipal) as error:
        _log.error("an engine does not say who holds a key", status=reply.status)
        raise EngineUnavailable(Message("security.keys-unresolved")) from error
    return verdict, found.seconds
