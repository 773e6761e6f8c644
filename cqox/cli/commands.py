"""The commands that need no services. Each imports its own module when it is called."""

import functools
import glob
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cqox.cli.analyze_flags import (
    DATA_HELP,
    QUERY_HELP,
    READ_HELP,
    SERVER_VARIABLE,
    FigureFormat,
    ServerOption,
    TokenFileOption,
    analyze_flags,
    preview_flags,
    with_flags,
)
from cqox.cli.data_or_table import SourceOption, TableOption
from cqox.cli.installation import LIBRARY, Installation
from cqox.cli.language import LanguageOption
from cqox.cli.power_flags import power_flags
from cqox.contract.messages import Language

__all__ = ["add_commands"]

_FORMATS: tuple[Literal["svg", "png", "json"], ...] = ("svg", "png", "json")
_ANALYSES = "Analyses"
_REFERENCE = "Reference"
_INSTALLATION = "Installation"

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Read = Annotated[list[str] | None, typer.Option("--read", metavar="NAME=VALUE", help=READ_HELP)]
_Engine = Annotated[
    Literal["auto", "memory", "duckdb"],
    typer.Option("--engine", help="Whether files are read whole or summed where they are; by their size if absent."),
]
_Query = Annotated[str | None, typer.Option("--query", metavar="SELECT", help=QUERY_HELP)]


def add_commands(app: typer.Typer, installation: Installation = LIBRARY) -> None:
    """Add the commands of the library to a command line.

    Args:
        app: the command line.
        installation: what the services add.
    """
    app.command(
        "analyze",
        short_help="Analyse one file: verdict with reasons, estimates, figures, documents.",
        help="Analyse one file, on this machine or by a server, or a table that stays in a source of the server: print "
        "the verdict with its reasons and every estimate, write figures and documents. Exit status: 0 for a report, 1 "
        "where data, files or the source cannot be used or there is no estimate, 2 for a wrong command line, 130 after "
        "Ctrl-C.",
        epilog="Example: cqox analyze trial.csv --y outcome --treatment arm --covariates age,sex "
        "-o assignment=randomized --export report.html",
        rich_help_panel=_ANALYSES,
    )(_checked(with_flags(_analyze, analyze_flags()), installation))
    app.command("login", rich_help_panel=_ANALYSES, short_help="Sign in at a server's identity provider.")(
        _checked(_login, installation)
    )
    app.command("logout", rich_help_panel=_ANALYSES)(_checked(_logout, installation))
    app.command(
        "preview",
        short_help="Say what an analysis would use and could find.",
        help="Say what `cqox analyze` would do with the same arguments, and estimate nothing: the rows that count, the "
        "groups, the design in words, the estimators that run, and the effect that could be detected. Exit status: 0 "
        "for a preview, 1 where data or the source cannot be used, 2 for a wrong command line, 130 after Ctrl-C.",
        epilog="Example: cqox preview trial.csv --y outcome --treatment arm -o assignment=randomized",
        rich_help_panel=_ANALYSES,
    )(_checked(with_flags(_preview, preview_flags()), installation))
    app.command("roles", rich_help_panel=_ANALYSES, epilog="Example: cqox roles sales.xlsx --read sheet=2025")(
        _checked(_roles, installation)
    )
    app.command(
        "sources",
        rich_help_panel=_ANALYSES,
        short_help="List the sources of a server, and their tables.",
        epilog="Example: cqox sources --server http://localhost:8082",
    )(_checked(_sources, installation))
    app.command(
        "power",
        help="Plan a study: of effect, size (--n) and power one is computed from the other two, from numbers or from "
        "data like those of the study. From data without an effect the answer is the smallest one that a study of "
        "their size detects. The answer names its method.",
        short_help="Plan a study: sample size, smallest detectable effect, power.",
        epilog="Examples: cqox power --baseline 0.10 --effect 0.02; cqox power last-year.csv --y sales --cluster store",
        rich_help_panel=_ANALYSES,
    )(_checked(with_flags(_power, power_flags()), installation))
    _add_report(app, installation)
    app.command(
        "mcp",
        help="Serve the Model Context Protocol on standard input and output: an assistant can list and describe files, "
        "suggest roles, analyse and explain. It reaches the files in the allowed folders and nothing else, and the "
        "computation stays on this machine. Needs the extra mcp.",
        short_help="Serve assistants by the Model Context Protocol.",
        epilog="Example of a client's configuration: command 'cqox', arguments ['mcp', '--root', '/home/me/data']",
        rich_help_panel=_ANALYSES,
    )(_checked(_mcp, installation))
    app.command("explain", rich_help_panel=_REFERENCE, epilog="Example: cqox explain CANARY overlap --lang ja")(
        _explain
    )
    app.command("estimators", rich_help_panel=_REFERENCE)(_estimators)
    _add_doctor(app, installation)


def _checked(command: Callable[..., None], installation: Installation) -> Callable[..., None]:
    """Return a command that refuses an invalid environment before it does anything."""

    @functools.wraps(command)
    def run(**given: Any) -> None:  # noqa: ANN401 - the arguments of any command
        from cqox.cli.output import print_error
        from cqox.errors import CqoxError

        try:
            installation.check(os.environ)
        except CqoxError as error:
            raise typer.Exit(print_error(error, given["lang"])) from None
        command(**given)

    return run


def _analyze(
    data: str | None,
    server: str | None,
    token_file: Path | None,
    source: str | None,
    table: str | None,
    query: str | None,
    option: list[str] | None,
    read: list[str] | None,
    export: list[Path] | None,
    figures: Path | None,
    no_figures: bool,
    format: list[FigureFormat] | None,
    json: bool,
    lang: Language,
    **roles: list[str] | None,
) -> None:
    from cqox.cli.analyze import Files, analyze
    from cqox.cli.asked import Asked

    asked = Asked(
        data=data, server=server or None, token_file=token_file, source=source, table=table, query=query,
        roles={name: given or [] for name, given in roles.items()}, options=option or [], read_options=read or [],
        as_json=json, language=lang,
    )  # fmt: skip
    folder = figures or _folder_of_figures(data if data is not None else source or "")
    formats = [one for one in _FORMATS if one in (format or _FORMATS[:1])]
    files = Files(figures=None if no_figures else folder, formats=formats, exports=export or [])
    raise typer.Exit(analyze(asked, files))


def _folder_of_figures(data: str) -> Path:
    """Return the folder for figures: where the data are, or the current folder for data that are elsewhere."""
    scheme, found, place = data.partition("://")
    path = Path(place.partition("?")[0].rstrip("/").rpartition("/")[2]) if found else Path(scheme)
    while glob.has_magic(path.name) and not path.exists():
        path = path.parent
    return path.with_name(f"{path.name.partition('.')[0] or 'cqox'}-figures") if path.name else Path("cqox-figures")


def _preview(
    data: str | None,
    server: str | None,
    token_file: Path | None,
    source: str | None,
    table: str | None,
    query: str | None,
    option: list[str] | None,
    read: list[str] | None,
    json: bool,
    lang: Language,
    **roles: list[str] | None,
) -> None:
    from cqox.cli.asked import Asked
    from cqox.cli.preview import print_preview

    asked = Asked(
        data=data, server=server or None, token_file=token_file, source=source, table=table, query=query,
        roles={name: given or [] for name, given in roles.items()}, options=option or [], read_options=read or [],
        as_json=json, language=lang,
    )  # fmt: skip
    raise typer.Exit(print_preview(asked))


def _roles(
    data: Annotated[str | None, typer.Argument(metavar="DATA", help=DATA_HELP)] = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    source: SourceOption = None,
    table: TableOption = None,
    engine: _Engine = "auto",
    query: _Query = None,
    read: _Read = None,
    json: _Json = False,
    *,
    lang: LanguageOption,
) -> None:
    """Suggest which column plays which role, with reasons, and print the command that analyses it so."""
    from cqox.cli.roles import print_roles

    raise typer.Exit(
        print_roles(
            data,
            source=source,
            table=table,
            engine=engine,
            server=server or None,
            query=query,
            read_options=read or [],
            as_json=json,
            language=lang,
            token_file=token_file,
        )
    )


def _sources(
    server: ServerOption = None, token_file: TokenFileOption = None, json: _Json = False, *, lang: LanguageOption
) -> None:
    """List the sources that the operator of a server has named for you: with tables for `cqox analyze --source`, the
    others are read as data sets. Exit status: 0 for success, 1 where the server fails, 2 for a wrong command line."""
    from cqox.cli.sources import print_sources

    raise typer.Exit(print_sources(server or None, token_file, as_json=json, language=lang))


def _power(
    data: str | None,
    query: str | None,
    read: list[str] | None,
    json: bool,
    lang: Language,
    **given: Any,  # noqa: ANN401 - numbers, words and names of columns
) -> None:
    from cqox.cli.power import plan

    named = {name: value for name, value in given.items() if value not in (None, []) and value is not False}
    raise typer.Exit(plan(data, named, query=query, read_options=read or [], as_json=json, language=lang))


def _add_report(app: typer.Typer, installation: Installation) -> None:
    def report(
        analysis_id: Annotated[
            str | None, typer.Argument(metavar="ID", help="Id of an analysis; without one the latest are listed.")
        ] = None,
        server: Annotated[
            str | None, typer.Option("--server", metavar="URL", help="Server to ask; CQOX_URL if absent.")
        ] = None,
        token_file: TokenFileOption = None,
        data_dir: Annotated[
            Path | None,
            typer.Option("--data-dir", help="Data directory with a store; CQOX_DATA_DIR or the default if absent."),
        ] = None,
        tenant: Annotated[
            str | None,
            typer.Option(
                "--tenant", metavar="ID", help="Tenant in the store; default if absent. A server knows yours."
            ),
        ] = None,
        format: Annotated[
            Literal["text", "json", "html", "pdf", "pptx", "docx", "md", "csv"] | None,
            typer.Option("--format", help="By the suffix of --output if absent, else text."),
        ] = None,
        output: Annotated[
            Path | None, typer.Option("--output", "-O", help="File to write; standard output if absent.")
        ] = None,
        *,
        lang: LanguageOption,
    ) -> None:
        from cqox.cli.stored_report import Shown, show_stored

        asked = server or ("" if data_dir else os.environ.get(SERVER_VARIABLE, ""))
        shown = Shown(
            analysis_id=analysis_id,
            server=asked or None,
            data_dir=data_dir,
            tenant=tenant,
            form=format,
            output=output,
            language=lang,
            token_file=token_file,
        )
        raise typer.Exit(show_stored(shown, installation))

    app.command(
        "report",
        help="Show or export a report that is stored: of a server, or of a data directory on this machine (with "
        "POSTGRES_URL of its database). Exit status: 0 for success, 1 where there is no such report or it cannot be "
        "read or written, 2 for a wrong command line.",
        short_help="Show or export a stored report.",
        rich_help_panel=_ANALYSES,
        epilog="Example: cqox report 5f0c… --format pdf --output report.pdf",
    )(_checked(report, installation))


def _login(
    server: ServerOption = None,
    client_id: Annotated[
        str | None, typer.Option("--client-id", metavar="ID", help="Client at the provider; the server's if absent.")
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address; open no browser.")] = False,
    redirect: Annotated[
        bool,
        typer.Option("--redirect", help="Come back to this machine, also where the provider has codes for devices."),
    ] = False,
    *,
    lang: LanguageOption,
) -> None:
    """Sign in at the identity provider of a server; later commands use and renew it. The tokens are in a file that only
    you can read."""
    from cqox.cli.login import Asked, login

    asked = Asked(server=server, client_id=client_id, browser=not no_browser, redirect=redirect, language=lang)
    raise typer.Exit(login(asked))


def _logout(server: ServerOption = None, *, lang: LanguageOption) -> None:
    """Forget the sign-in at a server."""
    from cqox.cli.login import logout

    raise typer.Exit(logout(server, lang))


def _mcp(
    root: Annotated[
        list[Path] | None,
        typer.Option("--root", metavar="FOLDER", help="Allowed folder; may be repeated. The current one if absent."),
    ] = None,
    *,
    lang: LanguageOption,
) -> None:
    from cqox.cli.mcp.serve import serve
    from cqox.cli.output import end_process

    end_process(serve(root or [], language=lang))


def _explain(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...",
            help="Such as CANARY, overlap, parallel_trends, totals-rows, aipw, cohort or assignment; the words of a "
            "report if absent.",
        ),
    ] = None,
    *,
    lang: LanguageOption,
) -> None:
    """Define verdicts, gates, assumptions, data findings, estimators, roles and options, with their sources."""
    from cqox.cli.definitions import print_definitions
    from cqox.cli.output import print_error, result_console
    from cqox.errors import InvalidRequest

    try:
        print_definitions(result_console(), names or (), language=lang)
    except InvalidRequest as error:
        raise typer.Exit(print_error(error, lang)) from None


def _estimators() -> None:
    """List the estimators with their estimands, the roles that they need, and what they are validated against."""
    from cqox.cli.estimators import print_estimators

    print_estimators()


def _add_doctor(app: typer.Typer, installation: Installation) -> None:
    @app.command(
        help="Check this installation and say what to do: versions, memory, disk, clock, letters of figures, a tiny "
        "analysis; where the services are installed also their settings, ports and stores. Exit status: 0, or 1 where "
        "a check fails.",
        short_help="Check this installation and say what to do.",
        rich_help_panel=_INSTALLATION,
    )
    def doctor(json: _Json = False, *, lang: LanguageOption) -> None:
        from cqox.cli.doctor.examine import examine

        raise typer.Exit(examine(installation.checks, as_json=json, language=lang))
