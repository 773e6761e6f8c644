import numpy as np
import pytest

from cqox.estimators import Estimate, Settings
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.errors import refuse_sparse
from tests.estimators.by_moments.tables_of import both, replaced, same, study


@pytest.mark.parametrize("name", ["ols_adjustment", "dml_plr"])
@pytest.mark.parametrize("factor", [True, False])
def test_two_dimensions_of_clusters_are_combined_as_in_memory(name: str, factor: bool) -> None:
    data = study(clusters=120)
    second = (data.row_key % 97).astype("int64") // 2
    data = replaced(data, clusters=(*data.clusters, second), names={**data.names, "cluster": ("g", "h")})
    same(*both(name, data, Settings(cluster_factor=factor)))


def test_one_cluster_has_no_error() -> None:
    memory, found = both("ols_adjustment", replaced(study(), clusters=(study().row_key.astype("int64") * 0,)))
    assert memory.standard_error is None
    assert found.standard_error is None
    assert found.warnings == memory.warnings


def test_a_single_treated_cluster_gives_an_error_on_request_only() -> None:
    data = study(clusters=60)
    treatment = (data.clusters[0] == 7).astype(float)
    data = replaced(data, treatment=treatment)
    memory, found = both("difference_in_means", data)
    assert memory.standard_error is None
    assert (found.standard_error, found.warnings) == (None, memory.warnings)
    same(*both("difference_in_means", data, Settings(se="CRV1")))


def test_enough_rows_are_not_refused() -> None:
    refuse_sparse((500, 500), (5, 5))
    with pytest.raises(NotByMoments):
        refuse_sparse((500, 20), (5, 5))


@pytest.mark.parametrize("name", ["difference_in_means", "ols_adjustment", "aipw"])
def test_an_arm_whose_outcome_does_not_vary_is_warned_of_as_in_memory(name: str) -> None:
    data = study()
    data = replaced(data, y=np.where(data.treatment > 0, data.y, 2.5))
    memory, found = both(name, data)
    assert [each.code for each in memory.warnings if each.code == "inference.constant-arm"]
    assert isinstance(found, Estimate)
    assert found.warnings == memory.warnings
