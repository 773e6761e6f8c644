"""`cqox admin`: see and steer the policies of a service that runs. How it is reached is in `admin_client`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["app"]

app = typer.Typer(
    name="admin",
    help="Policies of a service that runs: circuits, budgets and limits. It is asked on the unix socket of this "
    "user's service (CQOX_ADMIN_SOCKET, or in CQOX_DATA_DIR), or with --url on its port, with the token in "
    "CQOX_ADMIN_TOKEN or CQOX_ADMIN_TOKEN_FILE. Changes last until the service ends. Each command ends with 0 where "
    "all is well, with 1 where the service cannot be reached or refuses, and with 2 for a wrong option or setting.",
    no_args_is_help=True,
)

_Service = Annotated[
    Literal["gateway", "engine"] | None,
    typer.Option("--service", help="Which of the services of this machine; the gateway if absent."),
]
_Socket = Annotated[
    Path | None, typer.Option("--socket", help="Its admin socket, where that is not where the settings say.")
]
_Url = Annotated[
    str | None, typer.Option("--url", help="Its address, such as http://localhost:8082; asks with the token.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Name = Annotated[str, typer.Argument(metavar="POLICY", help="Its name in `cqox admin policies`.")]


@app.command()
def policies(service: _Service = None, json: _Json = False, socket: _Socket = None, url: _Url = None) -> None:
    """Show every policy: its circuit, what runs and waits, and what it has refused."""
    from services.cli.admin_client import Target, show_policies

    raise typer.Exit(show_policies(Target(service=service, socket=socket, url=url), as_json=json))


@app.command()
def isolate(
    name: _Name, service: _Service = None, json: _Json = False, socket: _Socket = None, url: _Url = None
) -> None:
    """Open the circuits of a policy: refuse every call until `reset`."""
    _act("isolate", name, service=service, json=json, socket=socket, url=url)


@app.command()
def reset(name: _Name, service: _Service = None, json: _Json = False, socket: _Socket = None, url: _Url = None) -> None:
    """Close the circuits of a policy, and let them decide by themselves again."""
    _act("reset", name, service=service, json=json, socket=socket, url=url)


@app.command()
def disable(
    name: _Name, service: _Service = None, json: _Json = False, socket: _Socket = None, url: _Url = None
) -> None:
    """Let every call through the circuits of a policy until `reset`, and judge none."""
    _act("disable", name, service=service, json=json, socket=socket, url=url)


@app.command()
def observe(
    name: _Name, service: _Service = None, json: _Json = False, socket: _Socket = None, url: _Url = None
) -> None:
    """Judge calls, but let every call through the circuits of a policy until `reset`."""
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
