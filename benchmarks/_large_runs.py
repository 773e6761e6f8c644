"""One measured run in a process of its own, which prints what it took and found as a line of JSON.

`python -m benchmarks._large_runs KIND TABLES NAMES`. CPU time counts from after the imports and includes reading the
table. The peak of memory is that of the process and of the Java runtime that it starts.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl

from benchmarks._spent import cpu_seconds, peak_mib
from cqox.contract import AnalyzeRequest, parse_model
from cqox.engines import DuckDBEngine, SourceColumn, SparkEngine, SqlMoments
from cqox.estimators import Data, Estimate, Plan, Settings
from cqox.estimators.by_moments.catalog import BY_MOMENTS
from cqox.estimators.by_moments.encoded import Encoded
from cqox.estimators.by_moments.rounds import run_rounds
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.numerics.moments import Column, Moments

THREADS = 2
COVARIATES = tuple(f"x{number}" for number in range(10))
_PILOT_ROWS = 200_000
_MEMORY_BYTES = 2**29

type Found = dict[str, object]
type Work = Callable[[], Found]


def _report(engine: str, tables: Sequence[Path], names: Sequence[str]) -> Work:
    """A report with its diagnostics and figures, of some estimators."""
    from cqox.analysis.run import analyze, warm_up

    warm_up()
    mapping = {"y": "y", "treatment": "t", "covariates": list(COVARIATES), "unit_id": "unit"}
    request = parse_model(
        AnalyzeRequest,
        {"dataset_id": "d", "mapping": mapping, "options": {"engine": engine, "estimators": list(names)}},
    )

    def work() -> Found:
        found = analyze(tables[0], request, threads=THREADS, on_step=lambda _: None)
        estimates = found.report["estimates"]
        assert isinstance(estimates, list)
        return {"by": found.engine, "numbers": {each["name"]: _pair(each) for each in estimates}}

    return work


def _duckdb_sums(tables: Sequence[Path], names: Sequence[str]) -> Work:
    engine = DuckDBEngine.opened(memory_bytes=_MEMORY_BYTES, threads=THREADS, spill=None, files=tables)
    source = SqlMoments(engine=engine, table=engine.files(tables), columns=_source_columns())
    return lambda: {"by": engine.name, "numbers": _estimates(source, tables[0], names)}


def _spark_sums(tables: Sequence[Path], names: Sequence[str]) -> Work:
    from pyspark.sql import SparkSession

    options = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": str(THREADS),
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
    }
    session = SparkSession.builder.master(f"local[{THREADS}]").config(map=options).getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    engine = SparkEngine.of(session)
    files = f"{tables[0].parent}/{{{','.join(each.name for each in tables)}}}"
    source = SqlMoments(engine=engine, table=f"parquet.`{files}`", columns=_source_columns())
    return lambda: {"by": engine.name, "numbers": _estimates(source, tables[0], names)}


def _source_columns() -> Mapping[str, SourceColumn]:
    found = {name: SourceColumn(name=name, kind="number", floating=True) for name in ("y", *COVARIATES)}
    found["t"] = SourceColumn(name="t", kind="number")
    return found | {"key": SourceColumn(name="unit", kind="number key")}


def _estimates(source: Moments, table: Path, names: Sequence[str]) -> Found:
    """Return estimates by sums over all rows, without a report; the first rows are the pilot."""
    head = pl.scan_parquet(table).head(_PILOT_ROWS).collect()
    x = head.select(COVARIATES).to_numpy(order="fortran")
    labels = {"y": ("y",), "treatment": ("t",), "covariates": COVARIATES, "propensity_covariates": COVARIATES}
    data = Data(
        n=head.height, y=head["y"].to_numpy(), treatment=head["t"].to_numpy().astype(float), treatment_kind="binary",
        covariates=x, propensity_covariates=x, row_key=head["unit"].to_numpy().astype("uint64"), names=labels,
    )  # fmt: skip
    covariates = tuple(map(Column, COVARIATES))
    roles = Encoded(
        source=source, y=Column("y"), treatment=Column("t"), covariates=covariates, propensity_covariates=covariates,
        row_key=Column("key"),
    )  # fmt: skip
    tables = Tables(roles, Plan(data, Settings(threads=THREADS)))
    found = run_rounds(tables, {name: lambda name=name: BY_MOMENTS[name](tables) for name in names})  # type: ignore[misc]
    numbers: Found = {}
    for name, each in found.items():
        if not isinstance(each, Estimate):
            raise each
        numbers[name] = _pair({"estimate": each.estimate, "standard_error": each.standard_error})
    return numbers


def _pair(each: Mapping[str, object]) -> object:
    return [each["estimate"], each["standard_error"]]


def _doubleml(tables: Sequence[Path], names: Sequence[str]) -> Work:
    """The peer's model, linear and logit nuisance functions, five folds, one repetition."""
    import doubleml
    import numpy as np
    from sklearn.linear_model import LinearRegression, LogisticRegression

    def work() -> Found:
        frame = pl.read_parquet(tables[0])
        data = doubleml.DoubleMLData.from_arrays(
            frame.select(COVARIATES).to_numpy(), frame["y"].to_numpy(), frame["t"].to_numpy()
        )
        logit = LogisticRegression(C=np.inf, max_iter=1000)
        if names[0] == "dml_plr":
            model = doubleml.DoubleMLPLR(data, LinearRegression(), LinearRegression(), n_folds=5).fit()
        else:
            model = doubleml.DoubleMLIRM(data, LinearRegression(), logit, n_folds=5).fit()
        return {"by": f"DoubleML {doubleml.__version__}", "numbers": {names[0]: [model.coef[0], model.se[0]]}}

    return work


def _pyfixest(tables: Sequence[Path], names: Sequence[str]) -> Work:
    """The peer's least squares with HC1."""
    import pyfixest

    def work() -> Found:
        frame = pl.read_parquet(tables[0]).to_pandas()
        model = pyfixest.feols(f"y ~ t + {' + '.join(COVARIATES)}", frame, vcov="HC1")
        numbers = {names[0]: [float(model.coef()["t"]), float(model.se()["t"])]}
        return {"by": f"pyfixest {pyfixest.__version__}", "numbers": numbers}

    return work


_KINDS: Mapping[str, Callable[[Sequence[Path], Sequence[str]], Work]] = {
    "memory report": lambda tables, names: _report("memory", tables, names),
    "duckdb report": lambda tables, names: _report("duckdb", tables, names),
    "duckdb sums": _duckdb_sums,
    "spark sums": _spark_sums,
    "doubleml": _doubleml,
    "pyfixest": _pyfixest,
}


def main() -> None:
    """Run and print what it took."""
    kind, tables, names = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
    work = _KINDS[kind]([Path(table) for table in tables], names)
    wall, cpu = time.perf_counter(), cpu_seconds()
    found = work()
    spent = {"wall": time.perf_counter() - wall, "cpu": cpu_seconds() - cpu, "mib": peak_mib()}
    print(json.dumps({**spent, **found}))


if __name__ == "__main__":
    main()
