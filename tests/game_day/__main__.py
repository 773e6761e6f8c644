"""Hold a game day: `python -m tests.game_day [--factor 20] [EXERCISE ...]`. Its page is build/game-day/index.html."""

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

from tests.game_day.board import open_board
from tests.game_day.exercises import EXERCISES, Held, hold
from tests.game_day.pages import write_tables
from tests.game_day.report import as_json, table, write_report
from tests.game_day.site import site

_INTO = Path("build/game-day")
_WARM_SECONDS = 60.0
_BEFORE_SECONDS = 30.0
_LEAST_SECONDS = 8.0


def main() -> int:
    """Return 0 where everybody who had to be notified was, in time and of the end as well."""
    parser = argparse.ArgumentParser(prog="python -m tests.game_day", description="Hold a game day on real processes.")
    names = [each.name for each in EXERCISES]
    parser.add_argument("exercises", nargs="*", help=f"only these: {', '.join(names)}")
    parser.add_argument("--factor", type=float, default=1.0, help="by how much shorter the times of the alerts are")
    parser.add_argument("--into", type=Path, default=_INTO, help="folder of the page; what is in it is deleted")
    parser.add_argument("--page", action="store_true", help="write the table into the documentation")
    asked = parser.parse_args()
    if unknown := set(asked.exercises) - set(names):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    if asked.page and (asked.factor != 1 or asked.exercises):
        parser.error("the documentation has the figures of all exercises in real time")
    shutil.rmtree(asked.into, ignore_errors=True)
    began, held, broken = datetime.now(UTC), list[Held](), list[str]()
    with (
        tempfile.TemporaryDirectory(prefix="cqox-game-day-") as folder,
        site(Path(folder), factor=asked.factor) as place,
        open_board(place.url, asked.into) as board,
    ):
        time.sleep(max(_WARM_SECONDS / asked.factor, _LEAST_SECONDS))
        for exercise in EXERCISES:
            if not asked.exercises or exercise.name in asked.exercises:
                seconds = max(_BEFORE_SECONDS / asked.factor, _LEAST_SECONDS)
                try:
                    held.append(hold(exercise, place, board, before_seconds=seconds))
                except Exception:
                    sys.stderr.write(traceback.format_exc())
                    broken.append(f"{exercise.title[0]} could not be held")
                    continue
                sys.stdout.write(f"{exercise.title[0]}: {'as it had to' if held[-1].is_well else 'FAILED'}\n")
                sys.stdout.flush()
                write_report(held, asked.into, factor=asked.factor, began=began)
        broken += [f"the board: {each}" for each in board.errors]
    report = as_json(held, factor=asked.factor, began=began)
    sys.stdout.write(table(report, "en") + "".join(f"{each}\n" for each in broken))
    if asked.page:
        write_tables(report)
    return int(bool(broken) or not all(each.is_well for each in held))


if __name__ == "__main__":
    sys.exit(main())
