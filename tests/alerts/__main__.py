"""Stage every alert: `python -m tests.alerts [--factor 20] [CAUSE ...]`. The table is also in build/staging.md."""

import argparse
import sys
import tempfile
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.alerts.page import write_page
from tests.alerts.scenes import PLACES, SCENES, Scene
from tests.alerts.staging import Staged, table

_WRITTEN = Path("build/staging.md")


def main() -> int:
    """Return 0 where every alert fired in time, reached its receiver and was resolved."""
    parser = argparse.ArgumentParser(prog="python -m tests.alerts", description="Stage alerts on real processes.")
    parser.add_argument("causes", nargs="*", help="only these causes")
    parser.add_argument("--factor", type=float, default=1.0, help="by how much shorter the times of the rules are")
    parser.add_argument("--page", action="store_true", help="write the seconds into docs/staged-alerts.md")
    parser.add_argument("-j", type=int, default=3, help="how many places run at once")
    asked = parser.parse_args()
    unknown = set(asked.causes) - {each.cause for each in SCENES}
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(each.cause for each in SCENES)}")
    if asked.page and asked.factor != 1:
        parser.error("the documentation has the seconds of real time")
    chosen = [each for each in SCENES if not asked.causes or each.cause in asked.causes]
    places = [name for name in PLACES if any(each.place == name for each in chosen)]
    with ThreadPoolExecutor(asked.j) as threads:
        runs = [
            threads.submit(_run, name, [each for each in chosen if each.place == name], asked.factor) for name in places
        ]
        found = [one for run in runs for one in run.result()]
    staged = [each for each in found if isinstance(each, Staged)]
    failed = [each for each in found if isinstance(each, str)]
    text = table(staged) + "".join(f"\n{each} FAILED\n" for each in failed)
    _WRITTEN.parent.mkdir(exist_ok=True)
    _WRITTEN.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    if asked.page:
        write_page(staged)
    return int(bool(failed) or not all(each.is_in_time for each in staged))


def _run(name: str, scenes: list[Scene], factor: float) -> list[Staged | str]:
    found: list[Staged | str] = []
    with (
        tempfile.TemporaryDirectory(prefix="cqox-staging-") as folder,
        PLACES[name](Path(folder), factor=factor) as place,
    ):
        for scene in scenes:
            try:
                staged = scene.staged_in(place)
            except Exception:
                sys.stderr.write(traceback.format_exc())
                found.append(scene.cause)
            else:
                sys.stderr.write(table(staged))
                found += staged
    return found


if __name__ == "__main__":
    sys.exit(main())
