"""Tasks for the tests of worker processes: each does one thing that can go wrong."""

import errno
import logging
import os
import signal
import time
import warnings
from collections.abc import Callable

from cqox.errors import InvalidRequest


def warm() -> None:
    pass


def perform(
    name: str,
    arguments: dict[str, object],
    tell: Callable[[dict[str, object]], None],
    check: Callable[[], None],
) -> tuple[dict[str, object], bytes]:
    match name:
        case "echo":
            return {"pid": os.getpid(), **arguments}, b"payload"
        case "burn":
            tell({"step": "burning", "pid": os.getpid()})
            end = time.monotonic() + float(str(arguments["seconds"]))
            while time.monotonic() < end:
                pass
            return {"pid": os.getpid()}, b""
        case "stride":
            tell({"step": "striding", "pid": os.getpid()})
            end = time.monotonic() + float(str(arguments["seconds"]))
            while time.monotonic() < end:
                check()
            return {"pid": os.getpid()}, b""
        case "steps":
            for number in range(3):
                tell({"step": number})
            logging.getLogger("chores").warning("three steps taken")
            return {}, b""
        case "refuse":
            raise InvalidRequest("no such column", field="mapping.y", choices=["a", "b"])
        case "crash":
            raise ZeroDivisionError("nobody foresaw this")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "devour":
            hoard = bytearray(int(str(arguments["bytes"])))
            return {"held": len(hoard)}, b""
        case "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
            return {"pid": os.getpid()}, b""
        case "not-json":
            return {"value": object()}, b""
        case "not-finite":
            tell({"step": "dividing", "estimate": float("inf")})
            return {"values": [1.0, float("nan")], "rows": {"n": 3}}, b""
        case "warn":
            for _ in range(3):
                with warnings.catch_warnings():
                    warnings.warn("divide by zero\n  in scalar", RuntimeWarning, stacklevel=1)
            return {}, b""
        case "no-room":
            raise OSError(errno.ENOSPC, "No space left on device", "/data/incoming/x")
    raise AssertionError(name)
