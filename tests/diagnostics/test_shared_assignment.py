import numpy as np
import pytest

from cqox.diagnostics.shared_assignment import assigning_columns, labels_of


def clustered(clusters: int, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Clusters, half of which are treated as a whole: (n,) cluster and treatment."""
    cluster = np.repeat(np.arange(clusters), size)
    arm = np.random.default_rng(seed).permutation(np.arange(clusters) % 2)
    return cluster, arm[cluster]


@pytest.mark.parametrize(("clusters", "size"), [(4, 30), (10, 20), (40, 10), (200, 2)])
def test_a_column_by_whose_levels_treatment_was_assigned_is_found(clusters: int, size: int) -> None:
    cluster, treatment = clustered(clusters, size)
    rng = np.random.default_rng(1)
    others = {"age": rng.integers(18, 90, len(cluster)), "row": np.arange(len(cluster))}
    assert assigning_columns(treatment, {"school": cluster, **others}) == ("school",)


def test_no_column_is_found_where_rows_were_assigned() -> None:
    rng = np.random.default_rng(2)
    treatment = rng.integers(0, 2, 600)
    columns = {
        "row": np.arange(600), "sex": rng.integers(0, 2, 600), "age": rng.integers(18, 90, 600),
        "city": rng.integers(0, 60, 600), "pair": rng.integers(0, 550, 600),
    }  # fmt: skip
    assert assigning_columns(treatment, columns) == ()


def test_names_of_the_treatment_are_no_clusters() -> None:
    treatment = np.tile([0, 1, 0, 1], 50)
    arm = np.where(treatment > 0, 1 + np.arange(200) % 3, 0)
    assert assigning_columns(treatment, {"arm": treatment, "dose": arm}) == ()
    assert labels_of(treatment, treatment)
    assert labels_of(treatment, arm)
    assert not labels_of(treatment, np.arange(200) % 7)


def test_a_column_within_a_mapped_cluster_is_covered_by_it() -> None:
    school, treatment = clustered(20, 12)
    classroom = np.arange(240) // 4
    columns = {"classroom": classroom, "address": school}
    assert assigning_columns(treatment, columns, [school]) == ()
    assert assigning_columns(treatment, columns) == ("classroom", "address")


def test_a_coarser_column_counts_by_whole_levels_of_the_finer_one() -> None:
    district, treatment = clustered(20, 40)
    school = np.arange(800) // 5
    assert assigning_columns(treatment, {"district": district, "school": school}, [school]) == ("district",)
    # Two pairs of schools that share an arm are an accident, however many pupils they have.
    school, arms = np.repeat(np.arange(8), 50), np.array([0, 0, 1, 1, 0, 0, 1, 1])
    pair = school // 2
    assert assigning_columns(arms[school], {"school": school, "pair": pair}) == ("school",)


def test_treatment_that_starts_at_a_value_of_a_score_is_no_cluster() -> None:
    day = np.repeat(np.arange(20), 10)
    treatment = (day >= 9).astype(np.int64)
    assert assigning_columns(treatment, {"day": day}, scores=["day"]) == ()
    assert assigning_columns(day % 2, {"day": day}, scores=["day"]) == ("day",)


def test_missing_treatments_and_levels_are_left_out() -> None:
    cluster, treatment = clustered(12, 10)
    holes = np.where(np.arange(120) % 7 == 0, -1, cluster)
    unknown = np.where(np.arange(120) % 11 == 0, -1, treatment)
    assert assigning_columns(unknown, {"school": holes}) == ("school",)
