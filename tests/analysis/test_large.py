"""A table larger than the memory of a worker."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROWS = 10_000_000
MAKE = """
import sys
import numpy as np, polars as pl
from pathlib import Path
from cqox.datasets import Limits, ReadOptions, read_table, write_parquet
rows, folder = int(sys.argv[1]), Path(sys.argv[2])
rng = np.random.default_rng(7)
x = rng.normal(size=(rows, 10)).round(3)
w = (rng.random(rows) < 1 / (1 + np.exp(-0.5 * x[:, 0]))).astype(int)
y = (2.0 * w + x @ rng.normal(size=10) + rng.normal(size=rows)).round(3)
columns = {f"x{at}": x[:, at] for at in range(10)}
pl.DataFrame({"y": y, "w": w, **columns}).write_parquet(folder / "source.parquet")
del x, w, y, columns
table = read_table(folder / "source.parquet", name="source.parquet", limits=Limits(), options=ReadOptions())
write_parquet(table, folder / "table.parquet")
"""
ANALYZE = """
import json, resource, sys
from pathlib import Path
from cqox.analysis.run import analyze
from cqox.contract import AnalyzeRequest
mapping = {"y": "y", "treatment": "w", "covariates": [f"x{at}" for at in range(10)]}
request = AnalyzeRequest.model_validate({"dataset_id": "large", "mapping": mapping})
found = analyze(Path(sys.argv[1]) / "table.parquet", request, threads=2, on_step=lambda step: None)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
estimates = {each["name"]: each for each in found.report["estimates"]}
print(json.dumps({"peak_kib": peak, "estimates": estimates}))
"""


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_ten_million_rows_are_analysed_within_two_gibibytes(tmp_path: Path):
    subprocess.run([sys.executable, "-c", MAKE, str(ROWS), str(tmp_path)], check=True, timeout=600)
    done = subprocess.run(
        [sys.executable, "-c", ANALYZE, str(tmp_path)], check=True, timeout=900, capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    assert found["peak_kib"] < 2 * 2**20
    estimates = found["estimates"]
    for name in ("ols_adjustment", "g_computation_ate", "ipw_ate", "aipw", "ipwra", "dml_plr", "dml_irm_ate"):
        estimate = estimates[name]
        assert estimate["status"] in ("ok", "warning"), (name, estimate["reason"])
        assert abs(estimate["estimate"] - 2.0) < 4 * estimate["standard_error"]
        assert estimate["n"] == ROWS
    for name in ("psm_ate", "nn_mahalanobis_att", "dr_learner"):
        assert "in memory" in estimates[name]["reason"]
