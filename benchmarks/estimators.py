"""Speed of the estimators against peer libraries, in one process and one run.

Ours is the complete path from arrays to an `Estimate` with a new plan; the peer's is its fit with the equivalent
standard error. Nuisances, folds and repetitions are the same. Medians of 5 warm runs; only the ratios are comparable.
The floor of any estimate is to decode its columns from a file and to sum their products once; ours of these rows begins
with the file too.
"""

import contextlib
import io
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import _floors
from benchmarks._history import cpus, record
from benchmarks._race import RUNS, Race, ratio_of, spent
from cqox.estimators import Data, Plan, Settings, catalog, run

COVARIATES = 10
_MANY = 50


def cross_section(rows: int, covariates: int = COVARIATES) -> Data:
    """Simulate a cross-section confounded by covariates."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, covariates))
    t = (rng.random(rows) < 1 / (1 + np.exp(-0.5 * x[:, 0]))).astype(float)
    y = x.sum(axis=1) + t + rng.standard_normal(rows)
    keys = rng.integers(0, 2**63, rows).astype(np.uint64)
    return Data(n=rows, y=y, treatment=t, treatment_kind="binary", covariates=x, propensity_covariates=x, row_key=keys)


def instrumented(rows: int, covariates: int = COVARIATES) -> Data:
    """Simulate a cross-section with covariates and one instrument."""
    rng = np.random.default_rng(1)
    x, z, u = rng.standard_normal((rows, covariates)), rng.standard_normal((rows, 1)), rng.standard_normal(rows)
    t = 0.5 * z[:, 0] + x[:, 0] + u + rng.standard_normal(rows)
    y = t + x.sum(axis=1) + u + rng.standard_normal(rows)
    keys = rng.integers(0, 2**63, rows).astype(np.uint64)
    return Data(
        n=rows, y=y, treatment=t, treatment_kind="continuous", covariates=x, propensity_covariates=x, instruments=z,
        row_key=keys,
    )  # fmt: skip


def panel(rows: int) -> Data:
    """Simulate an unbalanced panel of ten periods with staggered adoption."""
    rng = np.random.default_rng(2)
    unit, when = np.repeat(np.arange(rows // 9), 10), np.tile(np.arange(10), rows // 9)
    keep = np.sort(rng.permutation(len(unit))[:rows])
    unit, when = unit[keep], when[keep]
    t = (when >= rng.integers(3, 14, rows // 9)[unit]).astype(float)
    x = rng.standard_normal((rows, 2))
    y = rng.standard_normal(rows // 9)[unit] + when + t + x.sum(axis=1) + rng.standard_normal(rows)
    keys = unit.astype(np.uint64)
    return Data(
        n=rows, y=y, treatment=t, treatment_kind="binary", covariates=x, propensity_covariates=x, unit=unit, time=when,
        row_key=keys,
    )  # fmt: skip


def ours(name: str, data: Data, *, threads: int | None = None) -> Callable[[], object]:
    """Run our estimator with a new plan each time, on a thread for each CPU or as many as given."""
    entry = next(entry for entry in catalog() if entry.name == name)
    settings = Settings(threads=threads or cpus())

    def once() -> object:
        result = run(entry, Plan(data, settings))
        assert result.estimate is not None, result.reason
        return result.estimate

    return once


def against_statsmodels(rows: int, covariates: int = COVARIATES) -> Iterator[Race]:
    """Ordinary least squares with HC1."""
    import statsmodels.api as sm

    data = cross_section(rows, covariates)
    design = np.column_stack([np.ones(rows), data.covariates, data.treatment])
    yield Race(
        what="OLS + HC1", peer="statsmodels", rows=rows, target=10 if rows >= 1_000_000 else 3,
        ours=ours("ols_adjustment", data), theirs=lambda: sm.OLS(data.y, design).fit(cov_type="HC1").bse[-1],
    )  # fmt: skip


def against_doubleml(rows: int, covariates: int = COVARIATES) -> Iterator[Race]:
    """Interactive and partially linear models, linear and logit, five folds, one repetition."""
    import doubleml
    from sklearn.linear_model import LinearRegression, LogisticRegression

    data = cross_section(rows, covariates)
    table = doubleml.DoubleMLData.from_arrays(data.covariates, data.y, data.treatment)
    logit = LogisticRegression(C=np.inf, max_iter=1000)

    def interactive() -> object:
        return doubleml.DoubleMLIRM(table, LinearRegression(), logit, n_folds=5).fit().se

    yield Race(
        what="IRM, 5 folds", peer="DoubleML", rows=rows, target=15, ours=ours("dml_irm_ate", data), theirs=interactive
    )
    yield Race(
        what="  one thread each", peer="DoubleML", rows=rows, target=12, ours=ours("dml_irm_ate", data, threads=1),
        theirs=interactive, case="IRM, 5 folds, one thread each", threads=1,
    )  # fmt: skip
    yield Race(
        what="PLR, 5 folds", peer="DoubleML", rows=rows, target=6, ours=ours("dml_plr", data),
        theirs=lambda: doubleml.DoubleMLPLR(table, LinearRegression(), LinearRegression(), n_folds=5).fit().se,
    )  # fmt: skip
    yield from _with_an_instrument(rows, covariates)


def _with_an_instrument(rows: int, covariates: int) -> Iterator[Race]:
    """The partially linear IV model; ours also computes both Anderson-Rubin sets."""
    import doubleml
    from sklearn.linear_model import LinearRegression

    data, linear = instrumented(rows, covariates), LinearRegression()
    table = doubleml.DoubleMLData.from_arrays(data.covariates, data.y, data.treatment, data.instruments)
    yield Race(
        what="PLIV, 5 folds", peer="DoubleML", rows=rows, target=6, ours=ours("dml_pliv", data),
        theirs=lambda: doubleml.DoubleMLPLIV(table, linear, linear, linear, n_folds=5).fit().se,
    )  # fmt: skip


def against_linearmodels(rows: int, covariates: int = COVARIATES) -> Iterator[Race]:
    """Two-stage least squares and LIML; ours also computes both Anderson-Rubin sets."""
    from linearmodels.iv import IV2SLS, IVLIML

    data = instrumented(rows, covariates)
    exogenous = np.column_stack([np.ones(rows), data.covariates])
    yield Race(
        what="2SLS + AR sets", peer="linearmodels", rows=rows, target=8, ours=ours("iv_2sls", data),
        theirs=lambda: IV2SLS(data.y, exogenous, data.treatment, data.instruments).fit(cov_type="robust").std_errors,
    )  # fmt: skip
    yield Race(
        what="LIML + AR sets", peer="linearmodels", rows=rows, target=8, ours=ours("iv_liml", data),
        theirs=lambda: IVLIML(data.y, exogenous, data.treatment, data.instruments).fit(cov_type="robust").std_errors,
    )  # fmt: skip


def against_pyfixest(rows: int) -> Iterator[Race]:
    """Two-way fixed effects with standard errors clustered by unit."""
    import pandas as pd
    import pyfixest as pf

    data = panel(rows)
    x = {f"x{place}": column for place, column in enumerate(data.covariates.T)}
    table = pd.DataFrame({"y": data.y, "t": data.treatment, **x, "unit": data.unit, "time": data.time})
    yield Race(
        what="TWFE + CRV1", peer="pyfixest", rows=rows, target=2, ours=ours("twfe", data),
        theirs=lambda: pf.feols("y ~ t + x0 + x1 | unit + time", table, vcov={"CRV1": "unit"}).se(),
        peer_threads=cpus(),  # its compiled core starts one thread per CPU
    )  # fmt: skip


def starts(rows: int) -> Data:
    """Simulate a panel of ten periods in which half of the units adopt in one of five periods."""
    rng = np.random.default_rng(3)
    unit, when = np.repeat(np.arange(rows // 10), 10), np.tile(np.arange(10), rows // 10)
    first = rng.choice([3, 4, 5, 6, 7, 99], rows // 10, p=[0.1, 0.1, 0.1, 0.1, 0.1, 0.5])[unit]
    x = rng.standard_normal((rows // 10, 2))[unit]
    y = rng.standard_normal(rows // 10)[unit] + when + (when >= first) + rng.standard_normal(rows)
    return Data(
        n=rows, y=y, covariates=x, propensity_covariates=x, unit=unit, time=when, time_values=np.arange(1.0, 11.0),
        cohort=np.where(first < 99, first + 1.0, np.nan), row_key=unit.astype(np.uint64),
    )  # fmt: skip


def against_csdid(rows: int) -> Iterator[Race]:
    """Group-time effects with the simple average; ours also computes every other aggregation and its band."""
    import pandas as pd
    from csdid.att_gt import ATTgt

    data = starts(rows)
    bare = replace(data, covariates=np.empty((rows, 0)), propensity_covariates=np.empty((rows, 0)))
    table = pd.DataFrame(
        {
            "y": data.y,
            "unit": data.unit,
            "time": data.time + 1,
            "first": np.nan_to_num(data.cohort).astype(int),
            "x0": data.covariates[:, 0],
            "x1": data.covariates[:, 1],
        }
    )

    def peer(formula: str | None) -> Callable[[], object]:
        def once() -> object:
            with contextlib.redirect_stdout(io.StringIO()):
                model = ATTgt(
                    yname="y", tname="time", idname="unit", gname="first", data=table, xformla=formula,
                    control_group=["nevertreated"], allow_unbalanced_panel=False,
                )  # fmt: skip
                return model.fit(est_method="dr", bstrap=False).aggte("simple").atte["overall_se"]

        return once

    name = "did_callaway_santanna"
    yield Race(
        what="Staggered DiD", peer="csdid", rows=rows, target=5, ours=ours(name, bare), theirs=peer(None),
        case="Staggered DiD, unadjusted",
    )  # fmt: skip
    yield Race(
        what="  2 covariates", peer="csdid", rows=rows, target=5, ours=ours(name, data), theirs=peer("y ~ x0 + x1"),
        case="Staggered DiD, adjusted",
    )  # fmt: skip


def crossing(rows: int) -> Data:
    """Simulate a running variable that assigns treatment at 0."""
    rng = np.random.default_rng(3)
    score = rng.uniform(-1, 1, rows)
    y = np.sin(3 * score) + (score >= 0) + rng.standard_normal(rows)
    return Data(n=rows, y=y, running=score, cutoff=0.0, row_key=np.arange(rows, dtype=np.uint64))


def against_rdrobust(rows: int) -> Iterator[Race]:
    """Sharp regression discontinuity with bandwidth selection, and the density test."""
    import rddensity
    import rdrobust

    data = crossing(rows)
    yield Race(
        what="RD + bandwidth", peer="rdrobust", rows=rows, target=8, ours=ours("rd_local_linear", data),
        theirs=lambda: rdrobust.rdrobust(data.y, data.running).se,
    )  # fmt: skip
    yield Race(
        what="density test", peer="rddensity", rows=rows, target=1, ours=ours("rd_density_test", data),
        theirs=lambda: rddensity.rddensity(data.running, c=0.0).test,
    )  # fmt: skip


def factors(donors: int, periods: int) -> Data:
    """Simulate one treated unit, the first, in the last third of the periods, and donors with three common factors."""
    rng = np.random.default_rng(3)
    y = rng.standard_normal((donors + 1, 3)) @ rng.standard_normal((3, periods)).cumsum(axis=1)
    y[0] = rng.dirichlet(np.ones(donors)) @ y[1:]
    y += 0.3 * rng.standard_normal(y.shape)
    unit, when = np.repeat(np.arange(donors + 1), periods), np.tile(np.arange(periods), donors + 1)
    t = ((unit == 0) & (when >= 2 * periods // 3)).astype(float)
    return Data(
        n=y.size,
        y=y.ravel(),
        treatment=t,
        treatment_kind="binary",
        unit=unit,
        time=when,
        row_key=unit.astype(np.uint64),
    )


def against_pysyncon(donors: int, periods: int) -> Iterator[Race]:
    """Synthetic control on past outcomes, with a placebo fit for every donor.

    Ours also computes the conformal interval and the in-time placebo; the peer is given its predictor weights, which it
    would optimise otherwise.
    """
    import pandas as pd
    from pysyncon import AugSynth, Dataprep, Synth

    data, before = factors(donors, periods), 2 * periods // 3
    wide = pd.DataFrame(data.y.reshape(donors + 1, periods).T[:before])
    importance = np.full(before, 1 / before)

    def placebos() -> object:
        found = []
        for unit in range(donors + 1):
            others, own = wide.drop(columns=[unit] if unit == 0 else [0, unit]), wide[unit]
            peer = Synth()
            peer.fit(X0=others, X1=own, Z0=others, Z1=own, custom_V=importance)
            found.append(peer.W)
        return found

    yield Race(
        what="SC + placebos", peer="pysyncon", rows=data.n, target=5, ours=ours("synthetic_control", data),
        theirs=placebos,
    )  # fmt: skip
    table = pd.DataFrame({"y": data.y, "unit": data.unit, "time": data.time})

    def augmented() -> object:
        found = []
        for unit in range(donors + 1):
            prepared = Dataprep(
                foo=table, predictors=["y"], predictors_op="mean", dependent="y", unit_variable="unit",
                time_variable="time", treatment_identifier=unit, time_predictors_prior=range(before),
                controls_identifier=[other for other in range(1, donors + 1) if other != unit],
                time_optimize_ssr=range(before),
            )  # fmt: skip
            peer = AugSynth()
            peer.fit(prepared, lambda_=None if unit == 0 else 1.0, use_covariates=False)
            found.append(peer.W)
        return found

    yield Race(
        what="ASC + placebos", peer="pysyncon", rows=data.n, target=5, ours=ours("synthetic_control_augmented", data),
        theirs=augmented,
    )  # fmt: skip


def against_the_floor(rows: int, covariates: int = COVARIATES) -> Iterator[Race]:
    """Plain numpy on one thread as a lower bound; ours adds checks, diagnostics, weights and missing values."""
    data, moved = cross_section(rows, covariates), instrumented(rows, covariates)
    table = (data.covariates, data.treatment, data.y)
    for name, floor, given, arrays in (
        ("ols_adjustment", _floors.ols_hc1, data, table),
        ("ipw_ate", _floors.ipw, data, table),
        ("dml_irm_ate", _floors.irm, data, table),
        ("iv_2sls", _floors.two_stage, moved, (moved.covariates, moved.treatment, moved.y, moved.instruments[:, 0])),
    ):
        yield Race(
            what=name, peer="plain numpy", rows=rows, target=0.5, ours=ours(name, given),
            theirs=partial(floor, *arrays),
        )  # fmt: skip


def from_a_file(rows: int, covariates: int = COVARIATES) -> Iterator[Race]:
    """One decode of a Parquet file and one pass for the cross-products of its columns, as a lower bound of all."""
    with tempfile.TemporaryDirectory() as folder:
        data, moved = cross_section(rows, covariates), instrumented(rows, covariates)
        for name, given, target in (
            ("ols_adjustment", data, 0.5),
            ("ipw_ate", data, 0.2),
            ("dml_plr", data, 0.5),
            ("dml_irm_ate", data, 0.2),
            ("iv_2sls", moved, 0.5),
        ):
            file = Path(folder) / "columns.parquet"
            columns = {f"x{place}": column for place, column in enumerate(given.covariates.T)}
            columns |= {f"z{place}": column for place, column in enumerate(given.instruments.T)}
            pl.DataFrame({"y": given.y, "t": given.treatment, **columns}).write_parquet(file, compression_level=1)
            yield Race(
                what=f"{name}, file", peer="decode + Gram", rows=rows, target=target,
                ours=partial(_decoded, name, given, file), theirs=partial(_floors.decode_and_gram, file),
                case=f"{name} from a file", peer_threads=cpus(),
            )  # fmt: skip


def _decoded(name: str, data: Data, file: Path) -> object:
    """Run our estimator on the columns of a file; keys, kinds and names are those of the data."""
    frame = pl.read_parquet(file)
    x, z = ([column for column in frame.columns if column[0] == letter] for letter in "xz")
    matrix = frame.select(x).to_numpy(order="fortran")
    read = replace(
        data, y=frame["y"].to_numpy(), treatment=frame["t"].to_numpy(), covariates=matrix, propensity_covariates=matrix,
        # A frame without columns has no rows.
        instruments=frame.select(z).to_numpy(order="fortran").reshape(frame.height, len(z)),
    )  # fmt: skip
    return ours(name, read)()


def races() -> Iterator[tuple[int, Race]]:
    """Yield every comparison with its number of covariates."""
    general = (against_statsmodels, against_doubleml, against_linearmodels, against_the_floor, from_a_file)
    for rows in (10_000, 100_000, 1_000_000):
        for against in general:
            yield from ((COVARIATES, race) for race in against(rows))
        for design in (against_pyfixest, against_csdid):
            yield from ((2, race) for race in design(rows))
        yield from ((0, race) for race in against_rdrobust(rows))
    for against in general:
        yield from ((_MANY, race) for race in against(100_000, _MANY))
    yield from ((0, race) for race in against_pysyncon(38, 31))


def main() -> None:
    """Print the table."""
    print(
        f"Estimators, milliseconds, median of {RUNS}; CPU of all threads, and how many each may use: ours / the peer's"
    )
    print(f"{'':22}{'rows':>10}{'covariates':>12}{'ours':>10}{'peer':>10}   ratio  {'target':26}{'CPU':>18}  threads")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for covariates, race in races():
            mine, theirs = spent(race.ours), spent(race.theirs)
            kept = ratio_of(race, covariates, mine, theirs)
            cpu = f"{mine.cpu * 1e3:.2f} / {theirs.cpu * 1e3:.1f}"
            print(
                f"{race.what:22}{race.rows:>10,}{covariates:>12}{mine.wall * 1e3:>10.2f}{theirs.wall * 1e3:>10.1f}"
                f"{kept.ratio:>7.1f}x  {f'>= {race.target:g}x {race.peer}':26}{cpu:>18}  "
                f"{kept.threads} / {kept.peer_threads}",
                flush=True,
            )
            record(kept)


if __name__ == "__main__":
    main()
