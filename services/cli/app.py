"""The `cqox` command and its subcommands. What each does is in a module of its own, imported when it is called."""

import inspect
from collections.abc import Callable
from typing import Annotated

import typer

from services.http.settings import Setting, table

__all__ = ["main"]

app = typer.Typer(
    name="cqox",
    help="Causal answers with honest uncertainty: services, one-off analyses and what there is to estimate with.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line of this process; it ends the process with the command's exit status."""
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
    """List the estimators: what each estimates, needs and was checked against."""
    from services.cli.estimators import print_estimators

    print_estimators()


def _up(demo: bool, **flags: str | None) -> None:
    from services.cli.up import up

    given = {setting.variable: flags[setting.name] for setting in _flags_of_up()}
    raise typer.Exit(up(demo=demo, overrides={variable: text for variable, text in given.items() if text is not None}))


def _flags_of_up() -> list[Setting]:
    return [setting for setting in table() if "up" in setting.services]


def _with_flags(function: Callable[..., None]) -> Callable[..., None]:
    """The function with one option for each setting, so that the table stays the only place where they are written."""
    demo = inspect.Parameter(
        "demo",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[bool, typer.Option("--demo", help="Run one analysis on a built-in data set and show it.")],
    )
    parameters = [demo, *(_parameter(setting) for setting in _flags_of_up())]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return function


def _parameter(setting: Setting) -> inspect.Parameter:
    option = typer.Option(
        setting.flag,
        help=f"{setting.help} ({setting.variable}; default {setting.default})",
        metavar=setting.unit.upper() or "VALUE",
        show_default=False,
    )
    return inspect.Parameter(
        setting.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, option]
    )


app.command(
    "up",
    help="Start gateway and engine and keep them serving until Ctrl-C, which drains them: the gateway fully before "
    "the engine. Only the gateway listens on the host that is named; the engine stays on this machine.",
)(_with_flags(_up))
