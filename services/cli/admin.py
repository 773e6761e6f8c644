"""`cqox admin`: show and change the policies of a running service; `admin_client` connects to it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["app"]

app = typer.Typer(
    name="admin",
    help="Policies of a running service: circuits, budgets and limits. Connects to the unix socket of this user's "
    "service (CQOX_ADMIN_SOCKET, or in CQOX_DATA_DIR), or with --url to its port, with the token in "
    "CQOX_ADMIN_TOKEN or CQOX_ADMIN_TOKEN_FILE. Changes last until the service stops. Exit status: 0 for success, "
    "1 where the service cannot be reached or rejects the request, 2 for a wrong option or setting.",
    no_args_is_help=True,
)

_Service = Annotated[
    Literal["gateway", "engine"] | None,
    typer.Option("--service", help="The service to connect to; the gateway if absent."),
]
_Socket = Annotated[Path | None, typer.Option("--socket", help="Path of its admin socket, if not as in the settings.")]
_Url = Annotated[
    str | None, typer.Option("--url", help="Its URL, such as http://localhost:8082; authenticates with the token.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Name = Annotated[str, typer.Argument(metavar="POLICY", help="Its name in `cqox admin policies`.")]


@app.command()
def policies(service: _Service = None, json: _Json = False, socket: _Socket = None, url: _Url = None) -> None:
    """Show every policy: its circuit, running, queued and rejected calls."""
    from services.cli.admin_client import Target, show_policies

    raise typer.Exit(show_policies(Target(service=service, socket=socket, url=url), as_json=json))


@app.command()
def isolate(
    name: _Name, service: _Service = None, json: _Json = False, socket: _Socket = None, url: _Url = None
) -> None:
    """Open the circuits of a policy: reject every call until `reset`."""
    _act("isolate", name, service=service, json=json, socket=socket, url=url)


@app.command()
def reset(name: _Name, service: _Service = None, json: _Json = False, socket: _Socket = None, url: _Url = None) -> None:
    """Close the circuits of a policy, and return them to normal operation."""
    _act("reset", name, service=service, json=json, socket=socket, url=url)


@app.command()
def disable(
    name: _Name, service: _Service = None, json: _Json = False, socket: _Socket = None, url: _Url = None
) -> None:
    """Let every call through the circuits of a policy until `reset`, without counting results."""
    _act("disable", name, service=service, json=json, socket=socket, url=url)


@app.command()
def observe(
    name: _Name, service: _Service = None, json: _Json = False, socket: _Socket = None, url: _Url = None
) -> None:
    """Count results, but let every call through the circuits of a policy until `reset`."""
    _act("observe_only", name, service=service, json=json, socket=socket, url=url)


@app.command(name="set")
def set_settings(
    name: _Name,
    settings: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE", help="Settings, such as recovery_timeout=30 max_attempts=2.")
    ],
    service: _Service = None,
    json: _Json = False,
    socket: _Socket = None,
    url: _Url = None,
) -> None:
    """Change settings of a policy without losing its state."""
    from services.cli.admin_client import Target, change_settings

    target = Target(service=service, socket=socket, url=url)
    raise typer.Exit(change_settings(target, name, settings, as_json=json))


def _act(
    action: str,
    name: str,
    *,
    service: Literal["gateway", "engine"] | None,
    json: bool,
    socket: Path | None,
    url: str | None,
) -> None:
    from services.cli.admin_client import Target, force

    raise typer.Exit(force(Target(service=service, socket=socket, url=url), name, action, as_json=json))
