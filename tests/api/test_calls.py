"""Analyses of frames and files, by a real worker."""

import datetime
import json
import os
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import cqox
from cqox.api.report import Report
from cqox.api.session import Session
from cqox.errors import InvalidRequest, UnreadableFile, UnusableData
from tests.api.conftest import trial

ROLES = {"y": "sales", "treatment": "campaign", "covariates": ["age"]}


def numbers(report: Report) -> dict[str, float | None]:
    return {each.name: each.estimate for each in report.estimates}


def test_a_frame_of_any_library_and_its_file_give_the_same_numbers(
    report: Report, session: Session, tmp_path: Path
) -> None:
    frame = pl.DataFrame(trial().to_dict("list"))
    frame.write_csv(tmp_path / "trial.csv")
    arrays = {name: frame[name].to_numpy() for name in frame.columns}
    for data in (frame, frame.lazy(), arrays, tmp_path / "trial.csv", str(tmp_path / "trial.csv")):
        other = cqox.analyze(data, **ROLES, assignment="randomized", session=session)
        assert numbers(other) == numbers(report)
        assert other.verdict == report.verdict == "GO"


def test_equal_frames_have_equal_ids_and_the_second_answer_is_stored(report: Report, session: Session) -> None:
    again = cqox.analyze(trial(), **ROLES, assignment="randomized", session=session)
    assert (again.dataset_id, again.analysis_id) == (report.dataset_id, report.analysis_id)
    assert again.provenance.cache == "hit"


def test_steps_come_in_the_callers_thread(session: Session) -> None:
    steps: list[Mapping[str, object]] = []
    threads: set[int] = set()

    def note(step: Mapping[str, object]) -> None:
        steps.append(step)
        threads.add(threading.get_ident())

    cqox.analyze(trial(seed=2), **ROLES, progress=note, session=session)
    names = [step["step"] for step in steps]
    assert names[0] == "file"
    assert "estimate.aipw" in names
    assert threads == {threading.get_ident()}


def test_sentences_are_in_the_language_asked_for(session: Session) -> None:
    report = cqox.analyze(trial(), **ROLES, language="ja", session=session)
    assert "関連" in report.headline
    assert "association" in report.in_language("en").headline.lower()


@pytest.mark.anyio
async def test_a_loop_can_wait_for_an_analysis(report: Report, session: Session) -> None:
    found = await cqox.analyze_async(trial(), **ROLES, assignment="randomized", session=session)
    assert numbers(found) == numbers(report)
    inferred = await cqox.roles_async(trial(), session=session)
    assert inferred.mapping["y"] == "sales"


def test_suggested_roles_can_be_used_as_they_are(session: Session) -> None:
    inferred = cqox.roles(trial(), session=session)
    assert inferred.mapping == ROLES
    assert inferred.candidates["y"][0].reasons
    assert cqox.analyze(trial(), **inferred.mapping, session=session).status == "ok"


def test_an_interrupt_ends_the_call_at_once_and_the_next_one_works(session: Session) -> None:
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        cqox.analyze(trial(4000), **ROLES, repetitions=100_000, session=session)
    assert time.monotonic() - began < 60
    timer.join()
    assert cqox.analyze(trial(), **ROLES, session=session).status == "ok"


ZONED = pd.date_range("2020-01-01", periods=400, tz="Asia/Tokyo")


@pytest.mark.parametrize(
    ("changed", "remedy"),
    [
        ({"y": "salse"}, "Did you mean sales"), ({"treatment": "arm"}, "no column 'arm'"),
        ({"y": ["sales", "age"]}, "takes one column"), ({"alpha": 2}, "alpha"), ({"estimators": ["apiw"]}, "aipw"),
    ],
)  # fmt: skip
def test_bad_requests_are_the_errors_of_the_http_interface(
    session: Session, changed: dict[str, object], remedy: str
) -> None:
    with pytest.raises(InvalidRequest, match=remedy):
        cqox.analyze(trial(), **{**ROLES, **changed}, session=session)  # type: ignore[arg-type]


def test_data_that_cannot_answer_say_why(session: Session, tmp_path: Path) -> None:
    with pytest.raises(UnusableData, match="campaign"):
        cqox.analyze(trial().assign(campaign=1), **ROLES, session=session)
    with pytest.raises((UnusableData, InvalidRequest)):
        cqox.analyze(trial().head(0), **ROLES, session=session)
    with pytest.raises(UnreadableFile, match="absent"):
        cqox.analyze(tmp_path / "absent.csv", **ROLES, session=session)
    with pytest.raises(UnreadableFile, match="File name too long"):
        cqox.analyze("n" * 5000 + ".csv", **ROLES, session=session)
    with pytest.raises(InvalidRequest, match="list is no data frame"):
        cqox.analyze([1, 2], **ROLES, session=session)


def test_awkward_columns_of_pandas_are_read(session: Session) -> None:
    frame = trial()
    plain = cqox.analyze(frame, **ROLES, assignment="randomized", session=session)
    kind = pd.Series(np.where(frame["campaign"] == 1, "b", "a"), dtype=pd.CategoricalDtype(["unused", "a", "b"]))
    odd = frame.assign(
        sales=frame["sales"].astype("Float64"), campaign=kind, when=ZONED, day=datetime.date(2020, 1, 1), empty=None
    )
    found = cqox.analyze(odd, **ROLES, assignment="randomized", session=session)
    assert found["difference_in_means"].estimate == pytest.approx(plain["difference_in_means"].estimate, rel=1e-12)


def test_a_column_is_found_by_its_exact_name_and_never_mistaken_for_another(session: Session) -> None:
    frame, noise = trial(), np.random.default_rng(3).normal(size=len(trial()))
    plain = numbers(cqox.analyze(frame, **ROLES, assignment="randomized", session=session))
    for name in ("sales ", "\u200bsales", "sales\n"):
        both = {name: noise, **frame.to_dict("list")}
        found = numbers(cqox.analyze(both, **ROLES, assignment="randomized", session=session))
        assert found == plain
        other = numbers(cqox.analyze(both, **{**ROLES, "y": name}, assignment="randomized", session=session))
        alone = {**frame.to_dict("list"), "sales": noise}
        assert other == numbers(cqox.analyze(alone, **ROLES, assignment="randomized", session=session))
    odd = frame.rename(columns={"sales": " sales", "age": "a\nge"})
    roles = {"y": " sales", "treatment": "campaign", "covariates": ["a\nge"]}
    assert numbers(cqox.analyze(odd, **roles, assignment="randomized", session=session)) == plain


def test_a_file_is_read_as_asked(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "表.csv"
    path.write_bytes("売上,施策\n".encode("cp932") + b"".join(b"%d.5,%d\n" % (n % 7, n % 2) for n in range(40)))
    report = cqox.analyze(path, y="売上", treatment="施策", read={"encoding": "cp932"}, session=session)
    assert report.mapping["y"] == "売上"
    with pytest.raises(InvalidRequest) as caught:
        cqox.analyze(path, y="売上", treatment="施策", read={"encodign": "cp932"}, session=session)
    assert "encoding" in (caught.value.choices or ())


def test_the_report_is_that_of_the_http_interface(report: Report) -> None:
    document = json.loads(report.to_json())
    assert document == report.to_dict()
    assert {"decision", "estimates", "gates", "identification", "messages", "provenance"} <= document.keys()


@pytest.mark.parametrize(
    ("name", "value"), [("language", "xx"), ("read", "utf8"), ("session", 3), ("progress", "foo"), ("language", ["en"])]
)
def test_a_keyword_of_the_call_with_another_value_is_refused(name: str, value: object) -> None:
    keywords: dict[str, Any] = {name: value}
    with pytest.raises(InvalidRequest, match=name) as caught:
        cqox.analyze({"y": [1.0, 2.0], "w": [0, 1]}, y="y", treatment="w", **keywords)
    assert caught.value.field == name
    assert name != "language" or caught.value.choices == ("en", "ja")
