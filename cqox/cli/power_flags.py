"""Flags of `cqox power`: the arguments of `cqox.power`, which loads numerics and is not imported for a help text."""

import inspect
from typing import Annotated, Literal

import typer

from cqox.cli.analyze_flags import QUERY_HELP, READ_HELP, parameter
from cqox.cli.language import LanguageOption

__all__ = ["COLUMNS", "NUMBERS", "power_flags"]

_DATA_HELP = (
    "Rows like those of the study, such as last year's: a file, a folder or an address. Numbers alone if absent."
)

COLUMNS = {
    "y": "Column of the outcome; of 0 and 1 alone it is a rate.",
    "treatment": "Column of 0 and 1, for the allocation and the noise of each arm.",
    "cluster": "Column of clusters that are assigned as wholes.",
    "unit": "Column of the units of a panel.",
    "time": "Column of the periods of a panel.",
}
"""Arguments that name a column, with their meaning."""

NUMBERS: dict[str, tuple[object, str]] = {
    "effect": (float, "Effect in units of y, as a difference of rates, or with --relative as a share of the baseline."),
    "n": (int, "Rows in both arms; units of a panel; two for each pair."),
    "power": (float, "Probability of finding the effect; 0.8 if absent and not computed."),
    "alpha": (float, "Level of the test; 0.05 if absent."),
    "better": (Literal["higher", "lower"], "Direction of a computed effect; higher if absent."),
    "ratio": (float, "Treated for each untreated."),
    "sd": (str, "Standard deviation of y within an arm, or those of the untreated and the treated: 1.2,1.5."),
    "baseline": (float, "Mean without treatment; without --sd the rate of an outcome of 0 and 1."),
    "rate_test": (Literal["score", "arcsine", "wald"], "Test of two rates; score (Pearson's chi-square) if absent."),
    "r2": (float, "Share of the variance that covariates explain."),
    "r2_clusters": (float, "Share that they explain of the variance between clusters."),
    "icc": (float, "Intra-cluster correlation of the outcome."),
    "clusters": (int, "Number of clusters where it is fixed."),
    "cluster_size": (float, "Mean rows of a cluster."),
    "cluster_size_cv": (float, "Standard deviation of these rows over their mean."),
    "periods_before": (int, "Periods before the start of treatment."),
    "periods_after": (int, "Periods from the start on."),
    "autocorrelation": (float, "Correlation of a unit's outcomes in two periods that does not fade."),
    "serial_correlation": (float, "First-order autoregression of the rest of a unit's outcomes."),
    "estimator": (Literal["did", "ancova", "post"], "Of a panel: change, given the mean before, or mean after."),
    "pair_correlation": (float, "Correlation of the outcomes of two rows that are paired, one of them treated."),
}
"""Arguments that are numbers or words, with their type and meaning."""

_SWITCHES = {
    "one_sided": "The test is in the direction of the effect alone.",
    "relative": "The effect is a share of the baseline.",
}


def power_flags() -> list[inspect.Parameter]:
    """Return the parameters of the command."""
    read = typer.Option("--read", metavar="NAME=VALUE", help=READ_HELP)
    query = typer.Option("--query", metavar="SELECT", help=QUERY_HELP)
    covariates = typer.Option(
        "--covariates", metavar="COLUMN,…", help="Columns that the analysis will adjust for.", rich_help_panel=_OF_DATA
    )
    return [
        parameter("data", Annotated[str | None, typer.Argument(metavar="DATA", help=_DATA_HELP)]),
        *(parameter(name, Annotated[form | None, _option(name, help)]) for name, (form, help) in NUMBERS.items()),  # type: ignore[operator]
        *(parameter(name, Annotated[bool, _option(name, help)], False) for name, help in _SWITCHES.items()),
        parameter("json", Annotated[bool, typer.Option("--json", help="Print JSON.")], False),
        parameter("lang", LanguageOption, inspect.Parameter.empty),
        *(parameter(name, Annotated[str | None, _column(name, help)]) for name, help in COLUMNS.items()),
        parameter("covariates", Annotated[list[str] | None, covariates]),
        parameter("query", Annotated[str | None, query]),
        parameter("read", Annotated[list[str] | None, read]),
    ]


_OF_DATA = "Columns of the data"


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _option(name: str, help: str) -> object:
    return typer.Option(_flag(name), help=help)


def _column(name: str, help: str) -> object:
    return typer.Option(_flag(name), metavar="COLUMN", help=help, rich_help_panel=_OF_DATA)
