"""Run studies through the analysis of a worker process, figures left out, and record what each answered."""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from unittest import mock

import numpy as np

from cqox.analysis import run as analysis
from cqox.contract import AnalyzeRequest, Options, parse_model
from cqox.datasets import Limits, ReadOptions, read_table, write_parquet
from cqox.errors import InputError
from tests.studies.catalog import STUDIES
from tests.studies.study import Study

__all__ = ["Record", "code_digest", "run_all", "run_once"]

type Record = dict[str, object]
"""One run as JSON: see `run_once`."""

_ROOT = Path(__file__).parents[2]
_BATCH = 10
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}


def run_once(study: Study, number: int) -> Record:
    """Draw one repetition of a study, analyse it, and return what its report says.

    Args:
        study: the study.
        number: of the repetition; it and the study's name are the seed.

    Returns:
        verdict (ERROR where the request was refused), primary, estimate, standard_error, covered (null without a known
        truth or an interval), names of gates that warn and fail, ledger entries by status and those that cap, codes of
        findings, estimators that failed, reasons in English, seconds.
    """
    began = perf_counter()
    identity: Record = {"study": study.name, "run": number}
    try:
        report = _report(study, number)
    except InputError as error:
        return {**identity, "verdict": "ERROR", "reasons": [str(error)], "seconds": round(perf_counter() - began, 3)}
    return {**identity, **_answer(study, report), "seconds": round(perf_counter() - began, 3)}


def _report(study: Study, number: int) -> Mapping[str, object]:
    key = int.from_bytes(hashlib.blake2b(study.name.encode(), digest_size=8).digest())
    frame = study.generate(np.random.default_rng([key, number]))
    # Options that this version does not have are left out.
    options = {name: value for name, value in study.options.items() if name in Options.model_fields}
    body = {"dataset_id": "study", "mapping": dict(study.mapping), "options": options}
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(analysis.draw, "draw", return_value={}):
        source, path = Path(folder) / "study.csv", Path(folder) / "table.parquet"
        frame.write_csv(source)
        write_parquet(read_table(source, name="study.csv", limits=Limits(), options=ReadOptions()), path)
        request = parse_model(AnalyzeRequest, body)
        return analysis.analyze(path, request, threads=1, on_step=lambda _: None).report


def _answer(study: Study, report: Mapping[str, object]) -> Record:
    decision, gates = report["decision"], report["gates"]
    chosen = next((each for each in report["estimates"] if each["name"] == decision["primary"]), {})
    ledger = (report.get("identification") or {}).get("assumptions", [])
    return {
        "verdict": decision["verdict"],
        "primary": decision["primary"],
        "estimate": chosen.get("estimate"),
        "standard_error": chosen.get("standard_error"),
        "covered": _covered(study.truth, chosen),
        "warned": [name for name, gate in gates.items() if gate["status"] == "warn"],
        "failed": [name for name, gate in gates.items() if gate["status"] == "fail"],
        "ledger": {
            status: names
            for status in ("supported", "declared", "untested", "contradicted")
            if (names := [entry["name"] for entry in ledger if entry["status"] == status])
        },
        "caps": [entry["name"] for entry in ledger if entry["status"] == "untested" and entry["caps"]],
        "findings": [finding["code"] for finding in report.get("findings") or []],
        "broken": [each["name"] for each in report["estimates"] if each["status"] == "failed"],
        "reasons": [str(reason) for reason in decision["reasons"]],
    }


def _covered(truth: float | None, chosen: Mapping[str, object]) -> bool | None:
    lower, upper = chosen.get("ci_lower"), chosen.get("ci_upper")
    return None if truth is None or lower is None or upper is None else bool(lower <= truth <= upper)


def code_digest() -> str:
    """Return a digest of the code of product and studies: records of other code are not counted."""
    digest = hashlib.blake2b(digest_size=6)
    files = [*(_ROOT / "cqox").rglob("*.py"), *(_ROOT / "cqox").rglob("*.toml"), *Path(__file__).parent.glob("*.py")]
    for path in sorted(files):
        # Tests and pages of these studies move no verdict.
        if not path.name.startswith("test_") and path.stem not in ("checks", "page", "verdicts", "__main__"):
            digest.update(path.relative_to(_ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def run_all(wanted: Mapping[str, Sequence[int]], *, jobs: int) -> Iterator[Record]:
    """Yield the records of all runs as they finish.

    Args:
        wanted: name of a study to the numbers of its runs.
        jobs: number of processes, each of one thread; 1 for this process alone.
    """
    # Every study has some runs before any has all, so that an interrupted table is even.
    most = max(map(len, wanted.values()), default=0)
    batches = [
        (name, part)
        for at in range(0, most, _BATCH)
        for name, runs in wanted.items()
        if (part := runs[at : at + _BATCH])
    ]
    if jobs == 1:
        for name, runs in batches:
            yield from _batch(name, runs)
        return
    with mock.patch.dict(os.environ, _ONE_THREAD), ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(_batch, name, runs) for name, runs in batches]):
            yield from done.result()


def _batch(name: str, runs: Sequence[int]) -> list[Record]:
    study = next(study for study in STUDIES if study.name == name)
    return [run_once(study, number) for number in runs]
