"""`cqox db`: maintenance of the result store and the data sets. Each command imports its own module when called."""

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["app"]

app = typer.Typer(
    name="db",
    help="The result store and the data sets: schema, consistency, export. Settings are those of the engine: "
    "POSTGRES_URL, CQOX_DATA_DIR. Exit status: 0 for success, 1 for findings or failure, 2 for a wrong option or "
    "setting.",
    no_args_is_help=True,
)


@app.command()
def migrate(
    finish: Annotated[
        bool,
        typer.Option(
            "--finish",
            help="Prepare the store for several tenants. Earlier releases refuse it from then on. The first second "
            "tenant does the same.",
        ),
    ] = False,
) -> None:
    """Apply all pending migrations of the schema. Engines do the same at start."""
    from services.cli.db_schema import migrate

    raise typer.Exit(migrate(finish=finish))


@app.command()
def status() -> None:
    """Show the migrations of the schema. Exit status 1 where one is pending."""
    from services.cli.db_schema import status

    raise typer.Exit(status())


@app.command()
def check(
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove the orphans: files that no row and no engine needs.")
    ] = False,
) -> None:
    """Find missing, damaged and orphaned rows and files, by reading all of them. Exit status 1 for findings."""
    from services.cli.db_check import check

    raise typer.Exit(check(remove=remove))


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="The file to write; - writes JSON lines to standard output.")],
    format: Annotated[Literal["auto", "jsonl", "parquet"], typer.Option(help="By the file's name if auto.")] = "auto",
    dataset_id: Annotated[str | None, typer.Option(help="Only the analyses of this data set.")] = None,
) -> None:
    """Write every stored analysis of every tenant, newest first: one row each, with the report as JSON."""
    from services.cli.db_export import export

    raise typer.Exit(export(file, form=format, dataset_id=dataset_id))
