"""`cqox keys`: API keys in the result store, without a running service. Each command imports its module when called."""

from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(
    name="keys",
    help="API keys of services with CQOX_AUTH=keys, in the result store itself: the first key of an installation is "
    "made here. Settings are those of the engine: POSTGRES_URL, CQOX_DATA_DIR. Exit status: 0 for success, 1 for "
    "failure, 2 for a wrong option or setting.",
    no_args_is_help=True,
)

TenantOption = Annotated[str, typer.Option("--tenant", help="Id of the tenant.")]


@app.command()
def create(
    role: Annotated[
        list[str],
        typer.Option("--role", help="reader, analyst, steward, auditor, operator or platform; may be repeated."),
    ],
    tenant: TenantOption = "default",
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", help="The only permissions of the roles to keep, such as datasets:read; repeatable."),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="What the key is for.")] = "made by cqox keys",
    days: Annotated[float | None, typer.Option("--days", help="Days until it expires; it does not if absent.")] = None,
    new_tenant: Annotated[
        bool, typer.Option("--new-tenant", help="Create the tenant where there is none with this id.")
    ] = False,
) -> None:
    """Make a key and print it to standard output, once: only its digest is stored."""
    from services.cli.key_store import Wanted, create

    wanted = Wanted(tenant=tenant, roles=role, scopes=scope, name=name, days=days, new_tenant=new_tenant)
    raise typer.Exit(create(wanted))


@app.command("list")
def list_keys(tenant: TenantOption = "default") -> None:
    """List the keys of a tenant, newest first."""
    from services.cli.key_store import show

    raise typer.Exit(show(tenant))


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID")], tenant: TenantOption = "default") -> None:
    """Revoke a key; gateways that have seen it refuse it within a minute."""
    from services.cli.key_store import revoke

    raise typer.Exit(revoke(tenant, key_id))
