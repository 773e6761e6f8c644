"""The command line of the library alone: `python -m cqox`."""

import sys
from typing import Annotated

import typer

from cqox.cli.commands import add_commands
from cqox.cli.streams import is_of_output, open_streams, release_output

__all__ = ["VersionOption", "app", "main", "run"]


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
    run(app, name)


def run(commands: typer.Typer, name: str) -> None:
    """Run a command line under a name; exit the process with the command's status.

    Standard output that cannot be written ends it with one sentence and status 1, without a sentence where its reader
    has closed the pipe.

    Args:
        commands: the command line.
        name: its name in help texts.
    """
    open_streams()
    output = sys.stdout
    try:
        try:
            commands(prog_name=name)
        finally:
            sys.stdout = output  # a library may have put another in its place
            output.flush()
    except OSError as error:
        if not is_of_output(error):
            raise
        release_output()
        if not isinstance(error, BrokenPipeError):
            _print_reason(error)
        sys.exit(1)


def _print_reason(error: OSError) -> None:
    from rich.text import Text

    from cqox.cli.language import language_of_locale
    from cqox.cli.output import error_console
    from cqox.contract.messages import Message

    said = Message("terminal.no-output", reason=error.strerror or str(error))
    error_console().print(Text(said.in_language(language_of_locale()), style="red"), soft_wrap=True)
