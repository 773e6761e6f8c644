"""Sign-in of the page by an OpenID provider: authorization code with PKCE (RFC 7636), redeemed by the gateway.

The browser keeps the verifier and gets an access token into the memory of the page. The gateway redeems the code for
it: no provider has to allow requests from the page, and the page connects to no other host.
"""

import json
from collections.abc import Mapping

import trio
from quart_trio.wrappers import TrioResponse

from cqox.contract.messages import Message
from cqox.errors import InvalidRequest, NotFound, RateLimited
from services.http.request.bodies import read_json
from services.http.request.request import current_request
from services.http.server.app import App

__all__ = ["PATH", "PROGRAMS_PATH", "add_sign_in"]

PATH = "/page/sign-in"
PROGRAMS_PATH = "/page/sign-in/programs"

_MEMBERS = frozenset({"code", "code_verifier", "redirect_uri"})
_MOST_CHARACTERS = 4096
_PLACES = 8
_MOST_WAITING = 64


def add_sign_in(app: App) -> None:
    """Add the way in to the page: `GET` says where to sign in, or null; `POST` redeems the code that comes of it.

    Programs learn from another path which provider's tokens are taken, or null.
    """
    settings = app.settings
    offered = settings.auth == "oidc" and bool(settings.oidc_client_id)
    redeeming, asking = trio.CapacityLimiter(_PLACES), trio.Lock()
    known: list[tuple[tuple[str, str | None], float]] = []
    if offered:
        # The libraries of tokens are an extra that other modes do without.
        from services.gateway.identity_provider import FRESH_SECONDS, redeem, sign_in_addresses

    async def addresses() -> tuple[str, str | None]:
        # Anybody may ask, so that the provider is asked by one task at a time, and rarely.
        async with asking:
            if not known or trio.current_time() >= known[0][1]:
                found = await sign_in_addresses(settings.oidc_issuer)
                known[:] = [(found, trio.current_time() + FRESH_SECONDS)]
            return known[0][0]

    async def begin() -> TrioResponse:
        if not offered:
            # No error, which a browser would log.
            return _json(None)
        if asking.statistics().tasks_waiting >= _MOST_WAITING:
            raise RateLimited("sign-in", retry_after=1.0)
        address, ending = await addresses()
        return _json(
            {
                "address": address,
                "end_session": ending,
                "client_id": settings.oidc_client_id,
                "resource": settings.oidc_audience,
                "scope": settings.oidc_scope,
            }
        )

    async def finish() -> TrioResponse:
        if not offered:
            raise NotFound(Message("security.no-sign-in"))
        given = await read_json(current_request(), max_bytes=4 * _MOST_CHARACTERS)
        if given.keys() != _MEMBERS or not all(map(_is_text, given.values())):
            raise InvalidRequest(Message("security.no-code"), field="code")
        if redeeming.statistics().tasks_waiting >= _PLACES:
            raise RateLimited("sign-in", retry_after=1.0)
        form = {
            "grant_type": "authorization_code",
            "client_id": settings.oidc_client_id,
            "resource": settings.oidc_audience,
            **{name: str(value) for name, value in given.items()},
        }
        if settings.oidc_client_secret:
            form["client_secret"] = settings.oidc_client_secret
        async with redeeming:
            found = await redeem(settings.oidc_issuer, form)
        if found is None or not isinstance(found.get("access_token"), str):
            raise InvalidRequest(Message("security.code-refused"), field="code")
        return _json({"access_token": found["access_token"]})

    async def programs() -> TrioResponse:
        if settings.auth != "oidc":
            return _json(None)
        return _json(
            {
                "issuer": settings.oidc_issuer,
                "resource": settings.oidc_audience,
                "scope": settings.oidc_scope,
                "client_id": settings.oidc_cli_client_id,
            }
        )

    app.add_route(PROGRAMS_PATH, "programs-sign-in", programs, needs=None)
    app.add_route(PATH, "page-sign-in", begin, needs=None)
    app.add_route(PATH, "page-signed-in", finish, needs=None, methods=("POST",))


def _json(value: Mapping[str, object] | None) -> TrioResponse:
    # A token in it must stay in no cache.
    return TrioResponse(json.dumps(value), headers={"Cache-Control": "no-store"}, content_type="application/json")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MOST_CHARACTERS
