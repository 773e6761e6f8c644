"""Flags of `cqox analyze`, generated from the tables of roles and options, which stay their only definition."""

import inspect
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cqox.api.flags import flag_of
from cqox.cli.data_or_table import SourceOption, TableOption
from cqox.cli.language import LanguageOption
from cqox.contract import ROLES, Options, ReshapingOptions

__all__ = [
    "DATA_HELP",
    "QUERY_HELP",
    "READ_HELP",
    "READ_OPTIONS",
    "SERVER_VARIABLE",
    "FigureFormat",
    "ServerOption",
    "TokenFileOption",
    "analyze_flags",
    "parameter",
    "preview_flags",
    "with_flags",
]

READ_OPTIONS = ("encoding", "delimiter", "decimal", "na", "sheet", *ReshapingOptions.model_fields)
"""Names of the options of reading a file."""

READ_HELP = (
    "How to read the file, such as encoding=cp932 or header_rows=2; may be repeated. "
    f"Names: {', '.join(READ_OPTIONS)}; `cqox roles FILE` prints those that a file needs, and `cqox explain "
    "header_rows` explains one."
)
DATA_HELP = (
    "A table, in any format that an upload may have; or a folder of Parquet or CSV files, a pattern of their "
    "names between quotation marks, or an address: https://…, s3://…, gs://…, az://…."
)
QUERY_HELP = (
    "Analyse the result of a query on a database, which is then DATA: postgresql://user@host/name (password in "
    "PGPASSWORD or ~/.pgpass), sqlite:///path or duckdb:///path. Nothing can be written."
)
_METAVARS = {"columns": "COLUMN,…", "scalar": "NUMBER"}
_OPTION_HELP = (
    "An option of the analysis, such as assignment=randomized, seed=7 or se=HC3; several values are separated by "
    "commas, as in estimators=aipw,ipw_ate. May be repeated. `cqox explain NAME` explains each: "
    f"{', '.join(Options.model_fields)}."
)
_EXPORT_HELP = (
    "File to write the report to; its suffix gives the format: html (one file, offline), pdf, pptx, docx, md, csv "
    "or json. May be repeated."
)


SERVER_VARIABLE = "CQOX_URL"
_SERVER_HELP = (
    "Server that computes, such as http://localhost:8082; this machine if absent. DATA may then be the id of a data "
    "set there. A token is taken from CQOX_TOKEN, or from the file of --token-file or CQOX_TOKEN_FILE."
)
ServerOption = Annotated[str | None, typer.Option("--server", metavar="URL", envvar=SERVER_VARIABLE, help=_SERVER_HELP)]
"""The flag `--server` of a command that computes."""

TokenFileOption = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="File with the token for --server; see CQOX_TOKEN_FILE."),
]
"""The flag `--token-file` of a command that asks a server."""


class FigureFormat(StrEnum):
    """A format of figures."""

    svg = "svg"
    png = "png"
    json = "json"


def parameter(name: str, form: object, default: object = None) -> inspect.Parameter:
    """Return a parameter of a command."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=form)


def with_flags(function: Callable[..., None], parameters: list[inspect.Parameter]) -> Callable[..., None]:
    """Give a function the signature that the command line is made from."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {each.name: each.annotation for each in parameters}
    return function


def analyze_flags() -> list[inspect.Parameter]:
    """Return the parameters of the command: the file, what is written, options, and one flag for each role."""
    figures = typer.Option("--figures", help="Folder for the figures; NAME-figures where the file is if absent.")
    formats = typer.Option("--format", help="svg, png or json (Vega-Lite); may be repeated. svg if absent.")
    return [
        parameter("data", Annotated[str | None, typer.Argument(metavar="DATA", help=DATA_HELP)]),
        parameter(
            "option",
            Annotated[list[str] | None, typer.Option("--option", "-o", metavar="NAME=VALUE", help=_OPTION_HELP)],
        ),
        parameter("server", ServerOption),
        parameter("token_file", TokenFileOption),
        parameter("source", SourceOption),
        parameter("table", TableOption),
        parameter("query", Annotated[str | None, typer.Option("--query", metavar="SELECT", help=QUERY_HELP)]),
        parameter("read", Annotated[list[str] | None, typer.Option("--read", metavar="NAME=VALUE", help=READ_HELP)]),
        parameter("export", Annotated[list[Path] | None, typer.Option("--export", metavar="FILE", help=_EXPORT_HELP)]),
        parameter("figures", Annotated[Path | None, figures]),
        parameter("no_figures", Annotated[bool, typer.Option("--no-figures", help="Write no figures.")], False),
        parameter("format", Annotated[list[FigureFormat] | None, formats]),
        parameter("json", Annotated[bool, typer.Option("--json", help="Print the report as JSON.")], False),
        parameter("lang", LanguageOption, inspect.Parameter.empty),
        *(
            parameter(
                role.name,
                Annotated[
                    list[str] | None,
                    typer.Option(
                        flag_of(role.name),
                        help=role.meaning,
                        metavar=_METAVARS.get(role.arity, "COLUMN"),
                        rich_help_panel="Which column plays which role",
                    ),
                ],
            )
            for role in ROLES.values()
        ),
    ]


def preview_flags() -> list[inspect.Parameter]:
    """Return the parameters of a command that writes no files: those of the analysis without them."""
    written = ("export", "figures", "no_figures", "format", "json")
    printed = parameter("json", Annotated[bool, typer.Option("--json", help="Print the preview as JSON.")], False)
    return [printed, *(each for each in analyze_flags() if each.name not in written)]
