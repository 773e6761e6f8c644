"""`cqox certs`: a local certificate authority and the certificates of each part of an installation."""

from pathlib import Path
from typing import Annotated

import typer

from cqox.cli.language import LanguageOption

__all__ = ["app"]

app = typer.Typer(
    name="certs",
    help="Certificates of a local authority for CQOX_TLS_DIR: P-256 keys, a SPIFFE identity for each part, and "
    "versions that services take up without a restart. Exit status: 0 for success, 1 for a failure, 2 for a wrong "
    "option.",
    no_args_is_help=True,
)

_DAYS = 90.0
_MOST_DAYS = 3650.0

_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The directory of the authority and of each part.")]
_Names = Annotated[
    list[str] | None,
    typer.Option("--name", metavar="PART", help="A part, which is also its host name; may be repeated."),
]
_Hosts = Annotated[
    list[str] | None,
    typer.Option(
        "--host",
        metavar="NAME",
        help="Further host name or IP address of these parts; may be repeated. localhost, 127.0.0.1 and ::1 are "
        "always among them.",
    ),
]
_Domain = Annotated[str, typer.Option("--domain", help="Trust domain: the identity of a part is spiffe://DOMAIN/PART.")]
_Days = Annotated[float, typer.Option("--days", min=0.001, max=_MOST_DAYS, help="Validity of the certificates.")]


@app.command(epilog="Example: cqox certs init ~/cqox-tls --host cqox.example.com")
def init(
    folder: _Folder,
    name: _Names = None,
    host: _Hosts = None,
    domain: _Domain = "cqox",
    days: _Days = _DAYS,
    *,
    lang: LanguageOption,
) -> None:
    """Create an authority and a certificate for each part: gateway and engine unless --name says otherwise."""
    from services.cli.certs_made import Wanted, init

    wanted = Wanted(parts=name or ["gateway", "engine"], hosts=host or [], domain=domain, days=days)
    raise typer.Exit(init(folder, wanted, language=lang))


@app.command(epilog="Example: cqox certs issue ~/cqox-tls --name monitor")
def issue(
    folder: _Folder,
    name: Annotated[list[str], typer.Option("--name", metavar="PART", help="A part; may be repeated.")],
    host: _Hosts = None,
    domain: _Domain = "cqox",
    days: _Days = _DAYS,
    *,
    lang: LanguageOption,
) -> None:
    """Add a part to an existing authority, or give a part other names."""
    from services.cli.certs_made import Wanted, issue

    raise typer.Exit(issue(folder, Wanted(parts=name, hosts=host or [], domain=domain, days=days), language=lang))


@app.command()
def renew(
    folder: _Folder,
    name: _Names = None,
    days: Annotated[
        float | None,
        typer.Option("--days", min=0.001, max=_MOST_DAYS, help="Validity; as it was before if absent."),
    ] = None,
    *,
    lang: LanguageOption,
) -> None:
    """Replace the certificates and keys of all parts, or of those that are named. Running services take them up."""
    from services.cli.certs_made import renew

    raise typer.Exit(renew(folder, name or [], days=days, language=lang))


@app.command()
def authority(folder: _Folder, *, lang: LanguageOption) -> None:
    """Take the next of three steps that replace the authority: accept a new one, issue by it, retire the old one.

    Take the next step once every part has loaded the result of the one before: services of this machine do at their
    next connection, others once they have their copy.
    """
    from services.cli.certs_made import replace

    raise typer.Exit(replace(folder, language=lang))


@app.command()
def show(
    folder: _Folder,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    *,
    lang: LanguageOption,
) -> None:
    """List the certificates with identity, names and expiry. Exit status 1 where one has expired."""
    from services.cli.certs_made import show

    raise typer.Exit(show(folder, as_json=json, language=lang))
