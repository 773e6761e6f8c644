from dataclasses import replace

import numpy as np

from tests.diagnostics.looking import judged, trial
from tests.estimators.designs import panel


def test_mapped_clusters_are_counted() -> None:
    data = trial(200)
    codes = np.arange(200) % 7
    data = replace(data, clusters=(codes,), names={**data.names, "cluster": ("village",)})
    found = judged(data).diagnostics["clusters"]
    assert found["fewest"] == 7
    assert found["dimensions"] == [{"name": "village", "clusters": 7, "largest": 29}]
    assert judged(data).gates["clusters"].status == "warn"


def test_units_of_several_rows_are_clusters() -> None:
    found = judged(panel(40)).diagnostics["clusters"]
    assert (found["fewest"], found["mapped"]) == (40, False)


def test_rows_that_stand_for_themselves_are_no_clusters() -> None:
    seen = judged(trial(200))
    assert set(seen.diagnostics["clusters"]) == {"reason"}
    assert seen.gates["clusters"].status == "not_applicable"


def test_the_dimension_with_the_fewest_clusters_counts() -> None:
    data = replace(trial(200), clusters=(np.arange(200) % 40, np.arange(200) % 7))
    assert judged(data, only=["difference_in_means"]).diagnostics["clusters"]["fewest"] == 7
