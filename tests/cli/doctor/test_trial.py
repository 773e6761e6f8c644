from itertools import count

import numpy as np
import pytest

from cqox.api.session import Session
from cqox.cli.doctor import trial
from cqox.cli.doctor.trial import KNOWN, check_analysis, data


def test_the_known_number_is_that_of_least_squares():
    rows = data()
    design = np.column_stack([np.ones(100), rows["w"], rows["x"]])
    found, *_ = np.linalg.lstsq(design, np.array(rows["y"]))
    np.testing.assert_allclose(found, [0.0, KNOWN, 0.5], atol=1e-12)


def test_a_worker_starts_the_number_is_right_and_figures_have_japanese_letters(warm: Session):
    seconds = count(step=1.0)
    started, analysed, drawn = check_analysis({}, now=lambda: next(seconds))
    assert [each.status for each in (started, analysed, drawn)] == ["ok"] * 3
    assert (started.data, analysed.data) == ({"seconds": 1.0}, {"seconds": 1.0})


def test_a_wrong_number_and_missing_letters_fail_and_slowness_is_warned_of(
    warm: Session, monkeypatch: pytest.MonkeyPatch
):
    rows = data()
    monkeypatch.setattr(trial, "data", lambda: rows)
    monkeypatch.setattr(trial, "KNOWN", 3.0)
    monkeypatch.setattr(trial, "_FACES", "@nothing")
    seconds = count(step=60.0)
    started, analysed, drawn = check_analysis({}, now=lambda: next(seconds))
    assert [each.status for each in (started, analysed, drawn)] == ["warn", "fail", "fail"]
    assert "OPENBLAS_CORETYPE" in str(analysed.remedy)
