"""`cqox audit`: the audit log in the result store. Each command imports its own module when called."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(
    name="audit",
    help="The audit log in the result store, without a running service: check its chain, write it to a file, and note "
    "its head. Settings are those of the engine: POSTGRES_URL, CQOX_DATA_DIR. Exit status: 0 for success, 1 for a "
    "broken chain or failure, 2 for a wrong option or setting.",
    no_args_is_help=True,
)

TenantOption = Annotated[str | None, typer.Option("--tenant", help="Only the log of this tenant.")]


@app.command()
def verify(
    tenant: TenantOption = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="An exported file, in place of the store; - for standard input.")
    ] = None,
    head: Annotated[
        list[str] | None,
        typer.Option(
            "--head",
            metavar="TENANT/NUMBER:DIGEST",
            help="A line of cqox audit head that was noted elsewhere: finds a tail that was cut off, and a log that "
            "was written again; repeatable.",
        ),
    ] = None,
) -> None:
    """Check every entry and the chain; name the first entry that is altered, removed or reordered."""
    from services.cli.audit_log import verify

    raise typer.Exit(verify(tenant=tenant, file=file, heads=head or ()))


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="The file to write; - for standard output.")],
    tenant: TenantOption = None,
) -> None:
    """Write the log as JSON lines, oldest first: each line is one entry in the form that its digest covers."""
    from services.cli.audit_log import export

    raise typer.Exit(export(file, tenant=tenant))


@app.command()
def head(tenant: TenantOption = None) -> None:
    """Print the number and digest of the last entry of each tenant, to be noted where nobody can change them."""
    from services.cli.audit_log import head

    raise typer.Exit(head(tenant=tenant))
