"""`python -m tests.studies`: run simulated studies and compare their verdicts with what they deserve."""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.studies.catalog import STUDIES
from tests.studies.checks import checks
from tests.studies.page import write
from tests.studies.running import Record, code_digest, run_all
from tests.studies.verdicts import Row, rows

_REASONS = 6


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing, print a line for each study, and return 1 where one fails, 0 otherwise."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.page and chosen.only:
        parser.error("the page takes every study: --page excludes --only")
    unknown = sorted(set(chosen.only or ()) - {study.name for study in STUDIES})
    if unknown:
        print("No such study:", *unknown, "The studies are:", *(study.name for study in STUDIES), sep="\n  ")
        return 2
    studies = [study for study in STUDIES if not chosen.only or study.name in chosen.only]
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    code = code_digest()
    numbers = {study.name: range(chosen.runs) for study in studies}
    done = [record for record in _read(chosen.out, code) if record["run"] in numbers.get(record["study"], ())]
    known = {(record["study"], record["run"]) for record in done}
    wanted = {name: [run for run in runs if (name, run) not in known] for name, runs in numbers.items()}
    records = [*done, *_recorded(run_all(wanted, jobs=chosen.jobs), wanted, chosen.out, code)]
    found = rows(studies, records)
    _print(found)
    if chosen.page:
        write(found, checks(studies, records))
    return int(any(row.fails or row.broken for row in found))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.studies", description=__doc__)
    parser.add_argument("--runs", type=int, default=400, help="of each study (default: 400)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these studies alone")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument(
        "--out", type=Path, default=Path("build/studies.jsonl"), help="file of records, to which missing runs are added"
    )
    parser.add_argument("--page", action="store_true", help="write the table into docs/validation.md")
    return parser


def _read(path: Path, code: str) -> list[Record]:
    """Return the records that this code has made."""
    if not path.exists():
        return []
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [record for record in records if record["code"] == code]


def _recorded(records: Iterable[Record], wanted: dict[str, list[int]], path: Path, code: str) -> Iterable[Record]:
    """Yield the records, each appended to the file, with progress on stderr."""
    total, left = sum(map(len, wanted.values())), {name: len(runs) for name, runs in wanted.items()}
    with path.open("a", encoding="utf-8") as file:
        for number, record in enumerate(records, start=1):
            file.write(json.dumps({**record, "code": code}, ensure_ascii=False, allow_nan=False) + "\n")
            left[str(record["study"])] -= 1
            if not left[str(record["study"])]:
                file.flush()
                print(f"{number} of {total}: {record['study']}", file=sys.stderr, flush=True)
            yield record


def _print(found: Sequence[Row]) -> None:
    for row in found:
        shares = " ".join(f"{name} {row.verdicts.get(name, 0.0):.3f}" for name in ("GO", "CANARY", "HOLD", "ERROR"))
        reasons = ", ".join(f"{name} {share:.2f}" for name, share in row.reasons[:_REASONS])
        mark, ratio = "FAILS" if row.fails else "ok", "-" if row.ratio is None else f"{row.ratio:.1f}"
        coverage = "-" if row.coverage is None else f"{row.coverage:.3f}"
        print(f"{mark:5} {row.study.kind:9} {row.study.name} ({row.runs} runs, {row.seconds:.2f} s)")
        print(f"      {shares} [{row.lower:.3f}, {row.upper:.3f}], {ratio} standard errors, coverage {coverage}")
        print(f"      {reasons}")
        for name in row.broken:
            print(f"      estimator failed: {name}")
    failing = [row.study.name for row in found if row.fails]
    print(f"{len(found)} studies, {len(failing)} fail", *failing, sep="\n  ")


if __name__ == "__main__":
    sys.exit(main())
