"""Tasks for the tests of worker processes: each does one thing that can go wrong."""

import errno
import gc
import importlib
import logging
import os
import random
import resource
import signal
import socket
import subprocess
import threading
import time
import warnings
from collections.abc import Callable

from cqox.analysis.workers.asking import ask
from cqox.errors import InvalidRequest


def _tried(what: str) -> str:
    """Attempt something that is forbidden to a worker; return the name of the error, or nothing."""
    parent = os.getppid()
    attempts: dict[str, Callable[[], object]] = {
        "internet": lambda: socket.socket(socket.AF_INET),
        "internet-6": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
        "unix": lambda: socket.socket(socket.AF_UNIX),
        "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "signal": lambda: os.kill(parent, 0),
        "signal-group": lambda: os.kill(0, 0),
        "pidfd": lambda: os.pidfd_open(parent),
        "limits": lambda: resource.prlimit(parent, resource.RLIMIT_CPU, (1, 1)),
        "fork": lambda: os._exit(0) if os.fork() == 0 else None,
        "spawn": lambda: subprocess.run(["true"], check=True),
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "environ": lambda: open(f"/proc/{parent}/environ", "rb").read(),  # noqa: SIM115
        "memory": lambda: open(f"/proc/{parent}/mem", "rb").read(),  # noqa: SIM115
        "unshare": lambda: os.unshare(os.CLONE_NEWUSER),
    }
    try:
        attempts[what]()
    except OSError as error:
        return type(error).__name__
    return ""


def _open_files() -> list[str]:
    return sorted(os.readlink(f"/proc/self/fd/{number}") for number in _numbers("/proc/self/fd"))


def _numbers(folder: str) -> list[str]:
    return [name for name in os.listdir(folder) if os.path.exists(f"{folder}/{name}")]


def load() -> None:
    importlib.import_module("numpy.random")


def warm() -> None:
    pass


def perform(
    name: str,
    arguments: dict[str, object],
    on_step: Callable[[dict[str, object]], None],
    check: Callable[[], None],
) -> tuple[dict[str, object], bytes]:
    match name:
        case "echo":
            return {"pid": os.getpid(), **arguments}, b"payload"
        case "draw":
            return {
                "standard_library": random.random(),
                "numpy": float(importlib.import_module("numpy.random").random()),
            }, b""
        case "ask":
            on_step({"step": "asking", "pid": os.getpid()})
            return {"pid": os.getpid()}, b"".join(ask({"number": number}) for number in range(2))
        case "doze":
            on_step({"step": "dozing", "pid": os.getpid()})
            held = bytearray(int(str(arguments["bytes"])))
            threading.Event().wait()
            return {"held": len(held)}, b""
        case "frozen":
            return {"objects": gc.get_freeze_count()}, b""
        case "burn":
            on_step({"step": "burning", "pid": os.getpid()})
            end = time.monotonic() + float(str(arguments["seconds"]))
            while time.monotonic() < end:
                pass
            return {"pid": os.getpid()}, b""
        case "stride":
            on_step({"step": "striding", "pid": os.getpid()})
            end = time.monotonic() + float(str(arguments["seconds"]))
            while time.monotonic() < end:
                check()
            return {"pid": os.getpid()}, b""
        case "steps":
            for number in range(3):
                on_step({"step": number})
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
        case "try":
            return {"error": _tried(str(arguments["what"]))}, b""
        case "look":
            return {"environment": dict(os.environ), "files": _open_files()}, b""
        case "write":
            with open(str(arguments["path"]), "wb") as file:
                file.write(bytes(int(str(arguments["bytes"]))))
            return {}, b""
        case "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
            return {"pid": os.getpid()}, b""
        case "not-json":
            return {"value": object()}, b""
        case "not-finite":
            on_step({"step": "dividing", "estimate": float("inf")})
            return {"values": [1.0, float("nan")], "rows": {"n": 3}}, b""
        case "warn":
            for _ in range(3):
                with warnings.catch_warnings():
                    warnings.warn("divide by zero\n  in scalar", RuntimeWarning, stacklevel=1)
            return {}, b""
        case "no-room":
            raise OSError(errno.ENOSPC, "No space left on device", "/data/incoming/x")
    raise AssertionError(name)
