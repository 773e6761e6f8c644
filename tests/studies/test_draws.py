import numpy as np

from tests.studies.draws import assigned, autoregressive, chosen, panel_errors


def test_an_assignment_treats_exactly_so_many_rows_in_any_place() -> None:
    draws = np.stack([assigned(np.random.default_rng(seed), 10, 3) for seed in range(400)])
    assert (draws.sum(axis=1) == 3).all()
    assert np.abs(draws.mean(axis=0) - 0.3).max() < 0.1


def test_a_choice_follows_the_logistic_probability() -> None:
    treated = chosen(np.random.default_rng(1), np.full(20_000, np.log(3.0)))
    assert abs(treated.mean() - 0.75) < 0.015


def test_autoregressive_errors_have_their_deviation_and_persistence() -> None:
    errors = autoregressive(np.random.default_rng(1), 20_000, 0.6, 2.0)
    assert abs(errors.std() - 2.0) < 0.1
    assert abs(np.corrcoef(errors[1:], errors[:-1])[0, 1] - 0.6) < 0.03


def test_errors_of_different_units_are_independent() -> None:
    errors = panel_errors(np.random.default_rng(1), 2, 20_000, 0.0)
    assert abs(np.corrcoef(errors)[0, 1]) < 0.03
