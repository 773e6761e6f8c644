"""`cqox login` and `cqox logout`: sign-in at the identity provider of a server, kept for later commands."""

import os
import time
import webbrowser
from dataclasses import dataclass

import anyio
import typer

from cqox.cli.output import INTERRUPTED, USAGE, print_error, suppress_log_lines
from cqox.client.access_tokens import SignInDocument, read_sign_in
from cqox.client.address import Server, server_at
from cqox.client.connection import open_http
from cqox.client.failures import translated
from cqox.client.oauth import asking, discover
from cqox.client.sign_in_flows import Application, by_device, by_redirect
from cqox.client.stored_login import Login, remove, save
from cqox.contract.messages import Language, Message
from cqox.errors import CqoxError, InvalidRequest

__all__ = ["Asked", "login", "logout"]

_OFFLINE = "offline_access"
"""Scope of a refresh token (OpenID Connect Core, section 11)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The arguments of the command line.

    Attributes:
        server: address of the server; that of the environment if None.
        client_id: the client at the provider; the one that the server names if None.
        browser: whether a browser on this machine may be opened.
        redirect: whether the redirect flow is taken even where the provider has the device flow.
        language: language of the sentences.
    """

    server: str | None
    client_id: str | None
    browser: bool
    redirect: bool
    language: Language


def login(asked: Asked) -> int:
    """Sign in, and keep the tokens.

    Returns:
        The exit status: 0 for success, 1 where the provider grants nothing or a file cannot be written, 2 for a wrong
        command line, 130 after Ctrl-C.
    """
    suppress_log_lines()
    try:
        # What the environment holds for other programs is not what a person signs in with.
        server = server_at(asked.server or os.environ.get("CQOX_URL", ""), environ=_without_credentials())
        made = anyio.run(_signed_in, asked, server)
        path = save(made)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (InvalidRequest, ValueError) as error:
        print_error(error, asked.language)
        return USAGE
    except (CqoxError, OSError) as error:
        return print_error(error, asked.language)
    typer.echo(Message("terminal.signed-in", url=server.url, file=str(path)).in_language(asked.language))
    return 0


def logout(server: str | None, language: Language) -> int:
    """Forget the sign-in at a server.

    Returns:
        The exit status: 0 also where there was none, 1 where the file cannot be removed, 2 for a wrong command line.
    """
    try:
        address = server_at(server or os.environ.get("CQOX_URL", ""), environ=_without_credentials()).url
        was = remove(address)
    except InvalidRequest as error:
        print_error(error, language)
        return USAGE
    except OSError as error:
        return print_error(error, language)
    said = Message("terminal.signed-out", url=address) if was else Message("terminal.was-signed-out", url=address)
    typer.echo(said.in_language(language))
    return 0


async def _signed_in(asked: Asked, server: Server) -> Login:
    with translated(server):
        async with open_http(server) as http:
            document = await read_sign_in(server.url, http)
    application = _application(asked, document)
    async with asking(document.issuer) as provider:
        metadata = await discover(provider, document.issuer)
        flow = by_device if metadata.device_endpoint and not asked.redirect else by_redirect
        granted = await flow(provider, metadata, application, lambda address, code: _show(asked, address, code))
    blank = Login(
        server=server.url,
        issuer=document.issuer,
        client_id=application.client_id,
        resource=document.resource,
        access_token="",
        refresh_token="",
        ends_at=0.0,
    )
    return blank.renewed(granted, time.time())


def _application(asked: Asked, document: SignInDocument) -> Application:
    client_id = asked.client_id or document.client_id
    if not client_id:
        raise InvalidRequest(Message("terminal.no-client-id"), field="--client-id")
    scopes = dict.fromkeys([*document.scope.split(), _OFFLINE])
    return Application(client_id=client_id, scope=" ".join(scopes), resource=document.resource)


def _show(asked: Asked, address: str, code: str) -> None:
    shown = Message("terminal.sign-in-with-code", address=address, code=code) if code else None
    said = shown or Message("terminal.sign-in-at", address=address)
    typer.echo(said.in_language(asked.language), err=True)
    if asked.browser:
        webbrowser.open(address)


def _without_credentials() -> dict[str, str]:
    hidden = ("CQOX_TOKEN", "CQOX_TOKEN_FILE", "CQOX_API_KEY", "CQOX_CLIENT_ID")
    return {name: value for name, value in os.environ.items() if name not in hidden}
