"""One measured run of a peer, which prints what it took and found as a line of JSON.

`python -m benchmarks.large_peers.run KIND TABLES NAMES` with the Python of the peers' environment, for
`benchmarks._large.measured`. CPU time counts from after the imports and includes reading the table.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from benchmarks._spent import cpu_seconds, peak_mib

_COVARIATES = [f"x{number}" for number in range(10)]

type Found = dict[str, object]
type Work = Callable[[], Found]


def _econml(table: str, name: str) -> Work:
    """EconML's partially linear or doubly robust model without effects that vary, linear and logit, five folds."""
    import econml
    import numpy as np
    import polars as pl
    from econml.dml import LinearDML
    from econml.dr import LinearDRLearner
    from sklearn.linear_model import LinearRegression, LogisticRegression

    def work() -> Found:
        frame = pl.read_parquet(table)
        y, t, w = frame["y"].to_numpy(), frame["t"].to_numpy(), frame.select(_COVARIATES).to_numpy()
        linear = LinearRegression()
        if name == "dml_plr":
            model = LinearDML(model_y=linear, model_t=LinearRegression(), cv=5, random_state=0)
            found = model.fit(y, t.astype(float), X=None, W=w).intercept__inference()
        else:
            logit = LogisticRegression(C=np.inf, max_iter=1000)
            dr = LinearDRLearner(model_propensity=logit, model_regression=linear, cv=5, random_state=0)
            found = dr.fit(y, t, X=None, W=w).intercept__inference(T=1)
        return {
            "by": f"EconML {econml.__version__}",
            "numbers": {name: [float(np.ravel(each)[0]) for each in (found.point_estimate, found.stderr)]},
        }

    return work


def _duckreg(table: str, name: str) -> Work:
    """duckreg's least squares, whose standard error needs a square matrix of the different rows of covariates.

    So it is left out: of 1,000,000 rows with continuous covariates it would be 7.3 TiB.
    """
    from importlib.metadata import version

    from duckreg.estimators import DuckRegression

    def work() -> Found:
        model = DuckRegression(
            db_name=":memory:", table_name=f"'{table}'", formula=f"y ~ t + {' + '.join(_COVARIATES)}",
            cluster_col="", seed=0, n_bootstraps=0,
        )  # fmt: skip
        model.fit()
        return {"by": f"duckreg {version('duckreg')}", "numbers": {name: [float(model.point_estimate[1]), None]}}

    return work


_KINDS: Mapping[str, Callable[[str, str], Work]] = {"econml": _econml, "duckreg": _duckreg}


def main(arguments: Sequence[str]) -> None:
    """Run and print what it took."""
    kind, tables, names = arguments[0], json.loads(arguments[1]), json.loads(arguments[2])
    work = _KINDS[kind](tables[0], names[0])
    wall, cpu = time.perf_counter(), cpu_seconds()
    found = work()
    spent = {"wall": time.perf_counter() - wall, "cpu": cpu_seconds() - cpu, "mib": peak_mib()}
    print(json.dumps({**spent, **found}))


if __name__ == "__main__":
    main(sys.argv[1:])
