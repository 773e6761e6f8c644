"""Client of the administration API of a running service, for `cqox admin`."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import JsonValue
from rich.console import Console

from cqox.cli.output import print_json
from services.cli.policies_shown import policies_table
from services.config.configuration import SettingsError, load
from services.config.settings import shared_socket_path
from services.http.contract.api import operation

__all__ = ["Target", "change_settings", "force", "show_policies"]

_USAGE = 2
_SECONDS = 10.0
_ROOT = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The service to connect to.

    Attributes:
        service: `gateway` or `engine`; None for the gateway, or for any service at a given socket or URL.
        socket: path of its admin socket; from the settings if None.
        url: its URL, to connect to its port.
    """

    service: str | None = None
    socket: Path | None = None
    url: str | None = None

    @property
    def name(self) -> str:
        """Name of the service."""
        return self.service or "gateway"


def show_policies(target: Target, *, as_json: bool) -> int:
    """Print every policy.

    Returns:
        0, or 1 where the service cannot be reached, or 2 for an invalid option or setting.
    """
    return _run(target, None, as_json=as_json)


def force(target: Target, name: str, action: str, *, as_json: bool) -> int:
    """Force the circuits of a policy and print its new state; returns as `show_policies` does."""
    return _run(target, {"policy": name, "action": action}, as_json=as_json)


def change_settings(target: Target, name: str, settings: Sequence[str], *, as_json: bool) -> int:
    """Change settings, each given as NAME=VALUE, and print the policy's new state; returns as `show_policies` does."""
    changes: dict[str, JsonValue] = {}
    for setting in settings:
        key, sign, text = setting.partition("=")
        if not sign or not key.strip():
            return _say(f"'{setting}' is no NAME=VALUE, such as recovery_timeout=30.", _USAGE)
        changes[key.strip()] = _value(text)
    return _run(target, {"policy": name, "settings": changes}, as_json=as_json)


class _Unusable(Exception):
    """The service cannot be reached; `status` is the exit status of the command."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def _run(target: Target, change: Mapping[str, JsonValue] | None, *, as_json: bool) -> int:
    try:
        with _client(target) as client:
            listing = _ask(client, target, change)
    except SettingsError as error:
        return _say(str(error), _USAGE)
    except _Unusable as error:
        return _say(str(error), error.status)
    shown = listing.get("policies")
    if not isinstance(shown, dict):
        return _say("The answer lists no policies: is that a service of CQOx?", 1)
    if change is not None:
        shown = {name: state for name, state in shown.items() if name == change["policy"]}
    if as_json:
        print_json(shown)
    else:
        console = Console(highlight=False)
        console.print(policies_table(shown), soft_wrap=True)
        for name, value in _settings_of(change).items():
            console.print(f"{name} is {json.dumps(value, ensure_ascii=False)} now.", markup=False, soft_wrap=True)
    return 0


def _settings_of(change: Mapping[str, JsonValue] | None) -> Mapping[str, JsonValue]:
    settings = {} if change is None else change.get("settings")
    return settings if isinstance(settings, Mapping) else {}


def _client(target: Target) -> httpx.Client:
    if target.url is None:
        # The socket needs no secret, so no secret file has to be readable.
        path = _socket(target)
        return httpx.Client(
            transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost", timeout=_SECONDS, trust_env=False
        )
    if target.socket is not None:
        raise _Unusable("Give either --socket or --url.", _USAGE)
    try:
        url = httpx.URL(target.url)
    except httpx.InvalidURL as error:
        raise _Unusable(f"--url cannot be read: {error}.", _USAGE) from None
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        raise _Unusable("--url must be an address such as http://localhost:8082, without user and password.", _USAGE)
    token = load(os.environ, secrets=("admin_token",)).settings.admin_token
    if not token:
        raise _Unusable("--url needs the token of the service in CQOX_ADMIN_TOKEN or CQOX_ADMIN_TOKEN_FILE.", _USAGE)
    # As bytes, because a token may contain any characters.
    fields = [(b"Authorization", f"Bearer {token}".encode())]
    return httpx.Client(base_url=url, headers=fields, timeout=_SECONDS, trust_env=False)


def _socket(target: Target) -> Path:
    path = target.socket
    if path is None:
        settings = load(os.environ, secrets=()).settings
        path = settings.admin_socket_of(target.name)
        shared = shared_socket_path(settings, target.name)
        path = shared if shared.exists() else path
    try:
        owner = path.lstat().st_uid
    except FileNotFoundError:
        others = sorted(str(other) for other in path.parent.glob("*.sock") if other.is_socket())
        there = f" There is {', '.join(others)}: name one with --socket." if others else ""
        raise _Unusable(
            f"There is no socket {path}: no {target.name} runs with that setting, or it could not create one, which "
            f"its log says. Set CQOX_ADMIN_SOCKET or CQOX_DATA_DIR as it has them, or use --socket or --url.{there}"
        ) from None
    except OSError as error:
        raise _Unusable(f"The socket {path} cannot be used: {error.strerror}.") from None
    if os.geteuid() != _ROOT and owner not in (_ROOT, os.geteuid()):
        raise _Unusable(f"The socket {path} belongs to another user: run this as the user of the service.")
    return path


def _ask(client: httpx.Client, target: Target, change: Mapping[str, JsonValue] | None) -> Mapping[str, JsonValue]:
    path = operation("list_policies").path
    where = target.url or f"the admin socket of the {target.name}"
    try:
        answer = client.get(path) if change is None else client.post(path, json=change)
    except UnicodeEncodeError:
        raise _Unusable("The name or a value is no text that can be sent.", _USAGE) from None
    except (httpx.TransportError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        raise _Unusable(f"Nothing answers at {where} ({reason}): is it running?") from None
    body = _object(answer)
    if answer.status_code == httpx.codes.OK:
        _check_service(target, body)
        return body
    if body.get("type") == "no-such-path":
        raise _Unusable(f"{where} answers 404: it has no CQOX_ADMIN_TOKEN, or another one.")
    choices = body.get("choices")
    listed = f" There are: {', '.join(map(str, choices))}." if isinstance(choices, list) and choices else ""
    raise _Unusable(f"{body.get('detail') or f'{where} answers {answer.status_code}.'}{listed}")


def _check_service(target: Target, body: Mapping[str, JsonValue]) -> None:
    if target.service is not None and body.get("service", target.service) != target.service:
        raise _Unusable(f"That is the {body['service']} and not the {target.service}: use --socket or --url.", _USAGE)


def _object(answer: httpx.Response) -> Mapping[str, JsonValue]:
    try:
        body = answer.json()
    except ValueError:
        body = None
    return body if isinstance(body, dict) else {}


def _value(text: str) -> JsonValue:
    """Parse the text as JSON where possible, else return it as a string."""
    try:
        value: JsonValue = json.loads(text)
        # Python parses NaN and Infinity, which JSON does not have.
        json.dumps(value, allow_nan=False)
    except ValueError:
        return text
    return value


def _say(message: str, status: int) -> int:
    Console(stderr=True, highlight=False).print(message, style="red", markup=False, soft_wrap=True)
    return status
