"""The `cqox` command line: the commands of the library, and those of the services.

Each subcommand imports its own module when it is called.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from cqox.cli.analyze_flags import parameter, with_flags
from cqox.cli.app import VersionOption, run
from cqox.cli.commands import add_commands
from cqox.cli.installation import Installation, StorePlace
from services.cli import admin, audit, certs, db, keys
from services.config.configuration import about_others, about_secrets, former_flag, no_flag
from services.config.table import Setting, table

if TYPE_CHECKING:
    from cqox.cli.doctor.check import Check

__all__ = ["main"]

_SERVICES = "Services"

app = typer.Typer(
    name="cqox",
    help="Causal estimates with honest uncertainty: run the services, analyse one file, explain a verdict.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line; exit the process with the command's status."""
    run(app, "cqox")


@app.callback()
def _root(version: VersionOption = False) -> None:
    pass


def _check(environ: Mapping[str, str]) -> None:
    from cqox.errors import InvalidRequest
    from services.config.configuration import SettingsError, load

    try:
        load(environ)
    except SettingsError as error:
        raise InvalidRequest(str(error)) from error


def _checks(environ: Mapping[str, str]) -> "Sequence[Check]":
    from services.cli.doctor import checks

    return checks(environ)


@contextmanager
def _store(environ: Mapping[str, str]) -> Iterator[StorePlace]:
    from cqox.errors import InvalidRequest
    from services.config.configuration import SettingsError, load
    from services.config.vault import VaultAway
    from services.engine.addresses import store_addresses
    from services.engine.database_user import database_user

    with ExitStack() as stack:
        try:
            settings = stack.enter_context(database_user(load(environ).settings))
            addresses = store_addresses(settings)
        except VaultAway:
            raise
        except SettingsError as error:
            raise InvalidRequest(str(error)) from error
        yield StorePlace(
            data_dir=settings.data_dir,
            postgres_url=settings.postgres_url,
            credentials=addresses.credentials,
            ring=addresses.sealing.ring,
        )


def _up(demo: bool, **flags: str | None) -> None:
    from services.cli.up import up

    for setting in _flags_of_up():
        if not setting.flag and flags[setting.name] is not None:
            typer.secho(no_flag(setting), fg="red", err=True)
            raise typer.Exit(2)
    given = {setting.variable: flags[setting.name] for setting in _flags_of_up() if setting.flag}
    raise typer.Exit(up(demo=demo, overrides={variable: text for variable, text in given.items() if text is not None}))


def _flags_of_up() -> list[Setting]:
    return [setting for setting in table() if "up" in setting.services]


def _parameters_of_up() -> list[inspect.Parameter]:
    demo = Annotated[bool, typer.Option("--demo", help="Run one analysis on a built-in data set and show it.")]
    return [
        parameter("demo", demo, default=False),
        *(
            parameter(
                setting.name,
                Annotated[
                    str | None,
                    typer.Option(
                        setting.flag or former_flag(setting),
                        hidden=not setting.flag,
                        help=f"{setting.help} ({setting.variable}; default {setting.default})",
                        metavar=setting.unit.upper() or "VALUE",
                        show_default=False,
                    ),
                ],
            )
            for setting in _flags_of_up()
        ),
    ]


app.command(
    "up",
    short_help="Start gateway and engine and keep them serving until Ctrl-C.",
    help="Start gateway and engine and keep them serving until Ctrl-C, which drains them: the gateway fully before the "
    "engine. Only the gateway listens on the host that is named; the engine stays on this machine. The last line "
    "printed is the address of the page for people; no browser is opened.",
    epilog=f"{about_secrets('up')} {about_others('up')}",
    rich_help_panel=_SERVICES,
)(with_flags(_up, _parameters_of_up()))


@app.command("rekey", rich_help_panel=_SERVICES, short_help="Encrypt what is stored under the newest keys.")
def _rekey(
    rotate: Annotated[bool, typer.Option("--rotate", help="Give each tenant a new key first.")] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Write everything without encryption, before CQOX_KEYS is set to none.")
    ] = False,
) -> None:
    """Encrypt what is stored under the newest keys: after CQOX_KEYS was set, or to replace a key.

    Settings are those of the engine: CQOX_KEYS, CQOX_KEY_RING, CQOX_DATA_DIR, POSTGRES_URL, REDIS_URL. Engines may
    serve meanwhile, but not with --plain. It may be interrupted and run again. Exit status: 0 for success, 1 where
    something could not be done, 2 for a wrong option or setting.
    """
    from services.cli.rekey import rekey_all

    if rotate and plain:
        typer.secho("--rotate makes keys, and --plain uses none: choose one.", fg="red", err=True)
        raise typer.Exit(2)
    raise typer.Exit(rekey_all(new_keys=rotate, plain=plain))


app.add_typer(admin.app, rich_help_panel=_SERVICES, short_help="Show and change the policies of a running service.")
app.add_typer(db.app, rich_help_panel=_SERVICES, short_help="Maintain the result store and the data sets.")
app.add_typer(certs.app, rich_help_panel=_SERVICES, short_help="Make, renew and show certificates for TLS.")
app.add_typer(keys.app, rich_help_panel=_SERVICES, short_help="Make, list and revoke API keys.")
app.add_typer(audit.app, rich_help_panel=_SERVICES, short_help="Check, export and note the audit log.")
add_commands(app, Installation(check=_check, checks=_checks, store=_store))
