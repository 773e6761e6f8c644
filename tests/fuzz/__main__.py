"""`python -m tests.fuzz`: a bounded campaign of raw exchanges against both services as real processes."""

import argparse
import secrets
import sys
import tempfile
import time
from pathlib import Path

import trio

from tests.e2e.stack import build
from tests.fuzz.campaign import run
from tests.fuzz.state import differences, look

_BATCH = 1_000


def main() -> int:
    """Run the campaign; 1 where anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--exchanges", type=int, default=50_000, help="how many (default: 50000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first one (default: 0)")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="repeats the campaign that printed it")
    parser.add_argument("--at-once", type=int, default=24, help="connections at the same time (default: 24)")
    parser.add_argument("--minutes", type=float, default=45.0, help="give up after so long (default: 45)")
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}: {chosen.exchanges} exchanges from number {chosen.first}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        return _campaign(chosen, Path(folder))


def _campaign(chosen: argparse.Namespace, folder: Path) -> int:
    stack = build(folder, CQOX_LOG_LEVEL="warning")
    wrong: list[str] = []
    try:
        for service in (stack.engine, stack.gateway):
            service.start()
        for service in (stack.engine, stack.gateway):
            service.wait_ready()
        before = look(stack)
        end, began = time.monotonic() + chosen.minutes * 60, time.monotonic()
        addresses = [("127.0.0.1", stack.gateway.port), ("127.0.0.1", stack.engine.port)]
        last = chosen.first + chosen.exchanges
        for first in range(chosen.first, last, _BATCH):
            numbers = range(first, min(first + _BATCH, last))
            found = trio.run(lambda numbers=numbers: _run(addresses, chosen, numbers))
            wrong += found.wrong
            shown = " ".join(f"{status or 'none'}:{count}" for status, count in sorted(found.statuses.items()))
            print(f"{numbers.stop - chosen.first} in {time.monotonic() - began:.0f} s  {shown}", flush=True)
            if any(service.process.poll() is not None for service in (stack.engine, stack.gateway)):
                wrong.append(f"a process ended among the exchanges {first} to {numbers.stop - 1}")
                break
            if time.monotonic() > end:
                wrong.append(f"out of time after {numbers.stop - chosen.first} exchanges")
                break
        else:
            wrong += differences(stack, before)
    finally:
        for service in (stack.gateway, stack.engine):
            if hasattr(service, "process") and service.stop() != 0:
                wrong.append(f"the {service.name} ended with {service.process.returncode}")
    for line in wrong[:50]:
        print("WRONG", line)
    print(f"seed {chosen.seed}: {len(wrong)} findings")
    return 1 if wrong else 0


async def _run(addresses, chosen, numbers):
    return await run(addresses, seed=chosen.seed, numbers=numbers, at_once=chosen.at_once)


if __name__ == "__main__":
    sys.exit(main())
