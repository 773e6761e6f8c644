"""The `cqox` command line. Each subcommand imports its own module when it is called."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from cqox.contract import ROLES, Options
from cqox.contract.messages import LANGUAGES, Language
from services.cli import admin, db
from services.config.configuration import about_others, about_secrets, former_flag, no_flag
from services.config.table import Setting, table
from services.http.contract.read_parameters import READ_PARAMETERS

__all__ = ["main"]

app = typer.Typer(
    name="cqox",
    help="Causal estimates with honest uncertainty: run the services, analyse one file, list the estimators.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(admin.app)
app.add_typer(db.app)


def main() -> None:
    """Run the command line; exit the process with the command's status."""
    app(prog_name="cqox")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"cqox {version('cqox')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


@app.command()
def estimators() -> None:
    """List the estimators with their estimands, requirements and validation."""
    from services.cli.estimators import print_estimators

    print_estimators()


@app.command()
def explain(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Such as CANARY, overlap or parallel_trends; all if absent."),
    ] = None,
    lang: Annotated[Language, typer.Option(help="Language of the sentences.")] = "en",
) -> None:
    """Define verdicts, gates and assumptions, with their thresholds and sources."""
    from rich.console import Console

    from cqox.errors import InvalidRequest
    from services.cli.definitions import print_definitions

    try:
        print_definitions(Console(highlight=False), names or (), language=lang)
    except InvalidRequest as error:
        typer.secho(f"{error.detail} {', '.join(error.choices or ())}", fg="red", err=True)
        raise typer.Exit(2) from None


def _up(demo: bool, **flags: str | None) -> None:
    from services.cli.up import up

    for setting in _flags_of_up():
        if not setting.flag and flags[setting.name] is not None:
            typer.secho(no_flag(setting), fg="red", err=True)
            raise typer.Exit(2)
    given = {setting.variable: flags[setting.name] for setting in _flags_of_up() if setting.flag}
    raise typer.Exit(up(demo=demo, overrides={variable: text for variable, text in given.items() if text is not None}))


def _analyze(
    file: Path,
    server: str,
    figures: Path | None,
    no_figures: bool,
    format: list[str] | None,
    json: bool,
    lang: Language,
    option: list[str] | None,
    read: list[str] | None,
    **roles: list[str] | None,
) -> None:
    from services.cli.analyze import Wanted, analyze

    folder = figures or file.with_name(f"{file.name.partition('.')[0] or 'cqox'}-figures")
    wanted = Wanted(
        path=file,
        server=server,
        roles={name: given or [] for name, given in roles.items()},
        options=option or [],
        read_options=read or [],
        figures=None if no_figures else folder,
        formats=[one for one in _FORMATS if one in (format or ["svg"])],
        as_json=json,
        language=lang,
    )
    raise typer.Exit(analyze(wanted))


_FORMATS: tuple[Literal["svg", "png", "json"], ...] = ("svg", "png", "json")


def _flags_of_up() -> list[Setting]:
    return [setting for setting in table() if "up" in setting.services]


def _parameter(name: str, form: object, default: object = None) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=form)


def _parameters_of_up() -> list[inspect.Parameter]:
    demo = Annotated[bool, typer.Option("--demo", help="Run one analysis on a built-in data set and show it.")]
    return [
        _parameter("demo", demo, default=False),
        *(
            _parameter(
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


def _parameters_of_analyze() -> list[inspect.Parameter]:
    figures = typer.Option("--figures", help="Folder for the figures; FILE-figures in the file's folder if absent.")
    formats = typer.Option("--format", help="svg, png or json (Vega-Lite); may be repeated. svg if absent.")
    options = (
        "An option of the analysis, such as seed=7 or se=HC3; several values are separated by commas, as in "
        f"estimators=aipw,ipw_ate. May be repeated. {', '.join(Options.model_fields)}."
    )
    option = typer.Option("--option", metavar="NAME=VALUE", help=options)
    server = (
        "Address of a server that computes, such as http://localhost:8082; this machine if absent. FILE may be the id "
        "of a data set there. A token is taken from CQOX_TOKEN."
    )
    lang = "Language of the sentences in report and figures."
    names = ", ".join(parameter.name for parameter in READ_PARAMETERS)
    reading = f"How to read the file, such as encoding=cp932 or header_rows=2; may be repeated. {names}."
    read = typer.Option("--read", metavar="NAME=VALUE", help=reading)
    return [
        _parameter(
            "file", Annotated[Path, typer.Argument(help="A table, in any format that an upload may have.")], ...
        ),
        _parameter(
            "server", Annotated[str, typer.Option("--server", envvar="CQOX_URL", metavar="URL", help=server)], ""
        ),
        _parameter("figures", Annotated[Path | None, figures]),
        _parameter("no_figures", Annotated[bool, typer.Option("--no-figures", help="Write no figures.")], False),
        _parameter("format", Annotated[list[str] | None, formats]),
        _parameter("json", Annotated[bool, typer.Option("--json", help="Print the report as JSON.")], False),
        _parameter("lang", Annotated[Literal["en", "ja"], typer.Option("--lang", help=lang)], LANGUAGES[0]),
        _parameter("option", Annotated[list[str] | None, option]),
        _parameter("read", Annotated[list[str] | None, read]),
        *(
            _parameter(
                role.name,
                Annotated[
                    list[str] | None,
                    typer.Option(
                        "--" + role.name.replace("_", "-"),
                        help=role.meaning,
                        metavar={"columns": "COLUMN,…", "scalar": "NUMBER"}.get(role.arity, "COLUMN"),
                        rich_help_panel="Which column plays which role",
                    ),
                ],
            )
            for role in ROLES.values()
        ),
    ]


def _command(
    name: str, function: Callable[..., None], parameters: list[inspect.Parameter], help: str, epilog: str | None = None
) -> None:
    """Add a command whose flags are generated from a table, which stays their only definition."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    app.command(name, help=help, epilog=epilog)(function)


_command(
    "up",
    _up,
    _parameters_of_up(),
    "Start gateway and engine and keep them serving until Ctrl-C, which drains them: the gateway fully before the "
    "engine. Only the gateway listens on the host that is named; the engine stays on this machine.",
    f"{about_secrets('up')} {about_others('up')}",
)
_command(
    "analyze",
    _analyze,
    _parameters_of_analyze(),
    "Analyse one file, on this machine or by a server: print the estimates, write the figures. Example: "
    "cqox analyze trial.csv --y outcome --treatment arm --covariates age,sex",
)
