"""The command line of the library alone: `python -m cqox`."""

from typing import Annotated

import typer

from cqox.cli.commands import add_commands

__all__ = ["VersionOption", "app", "main"]


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"cqox {version('cqox')}")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", help="Print the version and end.", callback=_print_version, is_eager=True)
]
"""The flag `--version` of a command line."""

app = typer.Typer(
    name="cqox",
    help="Causal estimates with honest uncertainty: analyse one file, suggest roles, explain a verdict.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root(version: VersionOption = False) -> None:
    pass


add_commands(app)


def main(name: str = "cqox") -> None:
    """Run the command line under a name; exit the process with the command's status."""
    app(prog_name=name)
