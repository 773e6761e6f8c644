"""Sign-in by a browser: the device flow (RFC 8628), or a redirect to this machine with PKCE (RFC 8252, 7636).

The device flow needs no browser on this machine, so it is taken where the provider has it.
"""

import base64
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import anyio

from cqox.client.oauth import Granted, Metadata, TokenRefused, ask_for_token
from cqox.contract.messages import Message
from cqox.errors import IdentityProviderUnavailable, NotAuthenticated
from cqox.tasks import open_task_group

if TYPE_CHECKING:
    import httpx
    from anyio.abc import SocketStream

__all__ = ["Application", "by_device", "by_redirect"]

_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_INTERVAL_SECONDS = 5.0
_SLOWER_SECONDS = 5.0
_PATIENCE_SECONDS = 600.0
_MOST_HEAD_BYTES = 16 * 2**10
_CALLBACK = "/callback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """The program that signs in.

    Attributes:
        client_id: its public client.
        scope: scopes to ask for.
        resource: audience of the tokens; empty for the provider's default.
    """

    client_id: str
    scope: str
    resource: str

    def form(self) -> dict[str, str]:
        """Return the parameters of a request for authorization."""
        found = {"client_id": self.client_id, "scope": self.scope}
        return found | {"resource": self.resource} if self.resource else found


async def by_device(
    http: "httpx.AsyncClient", metadata: Metadata, application: Application, show: Callable[[str, str], None]
) -> Granted:
    """Return the tokens that a person grants on any device.

    Args:
        http: a client of the provider.
        metadata: of the provider, with a device endpoint.
        application: what signs in.
        show: called with the address to open and the code to compare or enter.

    Raises:
        NotAuthenticated: the person refuses, or takes longer than the provider waits.
        IdentityProviderUnavailable: the provider gives no code.
    """
    answer = await http.post(metadata.device_endpoint, data=application.form(), headers={"Accept": "application/json"})
    found = answer.json() if answer.is_success else {}
    code, shown, address = (found.get(name) for name in ("device_code", "user_code", "verification_uri"))
    if not all(isinstance(each, str) for each in (code, shown, address)):
        raise IdentityProviderUnavailable(
            Message("client.provider-unusable", issuer=metadata.issuer, what=str(answer.status_code))
        )
    complete, interval = found.get("verification_uri_complete"), found.get("interval", _INTERVAL_SECONDS)
    show(complete if isinstance(complete, str) else str(address), str(shown))
    form = {"grant_type": _DEVICE_GRANT, "client_id": application.client_id, "device_code": str(code)}
    pause = max(0.1, float(interval)) if isinstance(interval, int | float) else _INTERVAL_SECONDS
    with anyio.move_on_after(_PATIENCE_SECONDS):
        while True:
            await anyio.sleep(pause)
            try:
                return await ask_for_token(http, metadata, form)
            except TokenRefused as error:
                if error.code == "slow_down":
                    pause += _SLOWER_SECONDS
                elif error.code != "authorization_pending":
                    raise
    raise NotAuthenticated(Message("client.sign-in-too-late"))


async def by_redirect(
    http: "httpx.AsyncClient", metadata: Metadata, application: Application, show: Callable[[str, str], None]
) -> Granted:
    """Return the tokens that a person grants in a browser on this machine.

    Args:
        http: a client of the provider.
        metadata: of the provider, with an authorization endpoint.
        application: what signs in.
        show: called with the address to open; the code is empty.

    Raises:
        NotAuthenticated: the person refuses, or takes longer than ten minutes.
    """
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    answers: list[dict[str, str]] = []
    answered = anyio.Event()

    async def answer(stream: "SocketStream") -> None:
        async with stream:
            query = await _query_of(stream)
            # Anything on this machine can connect; only the provider's answer has the state.
            is_ours = query is not None and secrets.compare_digest(query.get("state", ""), state)
            await stream.send(_page(is_ours=is_ours))
            if query is not None and is_ours and not answers:
                answers.append(query)
                answered.set()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        target = f"http://127.0.0.1:{port}{_CALLBACK}"
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        query = application.form() | {
            "response_type": "code",
            "redirect_uri": target,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "prompt": "consent",
        }
        with anyio.move_on_after(_PATIENCE_SECONDS):
            async with open_task_group("sign-in") as group:
                group.start_soon(partial(listener.serve, answer), name="wait for the browser")
                joint = "&" if urlsplit(metadata.authorization_endpoint).query else "?"
                show(f"{metadata.authorization_endpoint}{joint}{urlencode(query)}", "")
                await answered.wait()
                group.cancel_scope.cancel()
    if not answers:
        raise NotAuthenticated(Message("client.sign-in-too-late"))
    if "code" not in answers[0]:
        raise TokenRefused(metadata.issuer, answers[0].get("error", "no code"))
    form = {
        "grant_type": "authorization_code",
        "client_id": application.client_id,
        "code": answers[0]["code"],
        "redirect_uri": target,
        "code_verifier": verifier,
    }
    if application.resource:
        form["resource"] = application.resource
    return await ask_for_token(http, metadata, form)


async def _query_of(stream: "SocketStream") -> dict[str, str] | None:
    """Return the parameters of a request for the callback; None for any other."""
    head = b""
    with anyio.move_on_after(10):
        try:
            while b"\r\n\r\n" not in head and len(head) < _MOST_HEAD_BYTES:
                head += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return None
    words = head.partition(b"\r\n")[0].split(b" ")
    if len(words) != 3 or words[0] != b"GET" or not words[1].isascii():
        return None
    parts = urlsplit(words[1].decode())
    if parts.path != _CALLBACK:
        return None
    return {name: values[0] for name, values in parse_qs(parts.query).items()}


def _page(*, is_ours: bool) -> bytes:
    text = "Signed in. This window can be closed." if is_ours else "Not found."
    status = "200 OK" if is_ours else "404 Not Found"
    body = f"<!doctype html><meta charset=utf-8><title>CQOx</title><p>{text}</p>".encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nContent-Security-Policy: default-src 'none'\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
