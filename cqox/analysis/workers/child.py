"""Main loop of a worker process: read a task, run it, answer; until the parent exits.

Started by `cqox.analysis.workers.process` as `python -m cqox.analysis.workers.child SOCKET LIFELINE LIMITS WORK`, where
WORK names a module with `warm()` and `perform(name, arguments, on_step, check)`.
"""

import errno
import gc
import importlib
import logging
import os
import signal
import socket
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol, cast

from cqox.analysis.finite import finite, named
from cqox.analysis.workers.asking import asking
from cqox.analysis.workers.confinement import confine, limit_cpu, limit_memory, show
from cqox.analysis.workers.lifeline import arm
from cqox.analysis.workers.limits import ProcessLimits
from cqox.analysis.workers.link import Link, TaskCancelled
from cqox.analysis.workers.protocol import Frame, encode
from cqox.contract.messages import Message, as_json
from cqox.errors import InputError, SourceDown

__all__ = ["Work", "freeze", "lower_priority", "main", "serve"]

_NICE = 5
_logger = logging.getLogger("cqox.analysis.workers")


class Work(Protocol):
    """Interface of the module of tasks."""

    def load(self) -> None:
        """Import what the first task would otherwise wait for, without starting a thread."""
        ...

    def warm(self) -> None:
        """Do everything that the first task would otherwise wait for."""
        ...

    def perform(
        self, name: str, arguments: object, on_step: Callable[[dict[str, object]], None], check: Callable[[], None]
    ) -> tuple[dict[str, object], bytes]:
        """Run the task of this name and return its result: JSON values, and binary data.

        It calls `check` at cancellation points, and lets its exceptions propagate.
        """
        ...


class _WarnedOnce(logging.Filter):
    """Passes each Python warning once, in one line; libraries repeat it for every computation."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if message in self._seen:
            return False
        self._seen.add(message)
        return True


def _log_warnings() -> None:
    """Route Python warnings to the log instead of standard error."""
    logging.captureWarnings(True)
    warnings.formatwarning = _in_one_line
    logging.getLogger("py.warnings").addFilter(_WarnedOnce())


def _in_one_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    words = " ".join(str(message).split())
    return f"{category.__name__}: {words} ({'/'.join(Path(filename).parts[-2:])}:{lineno})"


class _LogFrames(logging.Handler):
    """Sends log records to the parent, which has the configured handlers."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link
        self.job = 0

    def emit(self, record: logging.LogRecord) -> None:
        body: dict[str, object] = {"logger": record.name, "level": record.levelno, "message": record.getMessage()}
        self._link.send(encode(Frame(kind="log", job=self.job, body=body)))


def main(arguments: list[str]) -> None:
    """Serve tasks until the parent closes the socket or exits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    show("start")
    handle, lifeline = (int(argument) for argument in arguments[:2])
    _end_with_parent(lifeline)
    lower_priority()
    serve(
        socket.socket(fileno=handle),
        ProcessLimits.from_argument(arguments[2]),
        # Loads the numerics before the first task.
        lambda: cast("Work", importlib.import_module(arguments[3])),
    )


def serve(connection: socket.socket, limits: ProcessLimits, load: Callable[[], Work]) -> None:
    """Confine this process, load the tasks, and run those that arrive until the parent closes the socket.

    Args:
        connection: the private socket to the parent.
        limits: resource limits of this process.
        load: returns the module of tasks. What it starts is confined.
    """
    confined: dict[str, object] = {"confined": list(confine(limits))}
    link = Link(connection)
    log = _LogFrames(link)
    logging.basicConfig(level=logging.INFO, handlers=[log])
    _log_warnings()

    gc.disable()  # nearly all that is loaded now stays
    work = load()
    work.warm()
    freeze()
    limit_memory(limits)
    show("idle")
    link.send(encode(Frame(kind="ready", job=0, body=confined)))
    for task in link.tasks():
        log.job = task.job
        show(str(task.body["name"]))
        limit_cpu(limits)
        answer = _answer(work, task, link)
        # Before the answer: the next task may arrive immediately after it.
        show("idle")
        link.send(answer)


def lower_priority() -> None:
    """Yield the CPU to the event loop of the engine."""
    os.nice(_NICE)


def freeze() -> None:
    """Take the loaded modules out of the collector's sight, which would go through them in the middle of a task."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _answer(work: Work, task: Frame, link: Link) -> bytes:
    span = _spans(task, link)

    def check() -> None:
        link.raise_if_cancelled(task.job)

    def progress(body: dict[str, object]) -> None:
        check()
        link.send(_encoded(Frame(kind="progress", job=task.job, body=body)))
        if span is not None:
            span(body)

    try:
        with asking(partial(link.ask, task.job)):
            body, payload = work.perform(str(task.body["name"]), task.body["arguments"], progress, check)
        return _encoded(Frame(kind="result", job=task.job, body=body, payload=payload))
    except TaskCancelled:
        return encode(Frame(kind="cancelled", job=task.job))
    except (InputError, SourceDown) as error:
        details: dict[str, object] = {"detail": error.detail}
        if isinstance(error, InputError):
            details |= {"field": error.field, "choices": list(error.choices)}
        if isinstance(error.detail, Message):
            details["message"] = as_json(error.detail)
        name = type(error).__name__
    except MemoryError:
        details, name = {"detail": "out of memory"}, "MemoryError"
    except OSError as error:
        # Loaded here: the stores take a tenth of a second to load, and no task needs them.
        from cqox.storage.disk import is_disk_fault, unavailable

        if error.errno == errno.EFBIG:
            details, name = {"detail": "file too large"}, "FileTooLarge"
        elif is_disk_fault(error):
            fault = unavailable(error)
            details, name = {"detail": str(fault)}, type(fault).__name__
        else:
            details, name = _unforeseen(error)
    except Exception as error:  # noqa: BLE001 - the supervised root of the process: the error is sent to the parent
        details, name = _unforeseen(error)
    return encode(Frame(kind="error", job=task.job, body={"error": name, **details}))


def _unforeseen(error: Exception) -> tuple[dict[str, object], str]:
    return {"detail": "".join(traceback.format_exception(error))}, type(error).__name__


def _encoded(frame: Frame) -> bytes:
    """Encode the frame; replace NaN and infinities, a fault of the task, by null and log them."""
    try:
        return encode(frame)
    except ValueError:
        body, paths = finite(frame.body)
        if not paths or not isinstance(body, dict):
            raise
        _logger.warning("A %s contained numbers that are not finite, replaced by null: %s.", frame.kind, named(paths))
        return encode(replace(frame, body=body))


def _spans(task: Frame, link: Link) -> Callable[[dict[str, object]], None] | None:
    if "trace" not in task.body:
        return None
    from cqox.telemetry.remote import step_spans

    return step_spans(task.body["trace"], lambda body: link.send(encode(Frame(kind="span", job=task.job, body=body))))


def _end_with_parent(reading_end: int) -> None:
    try:
        arm(reading_end, os.getpgrp())
    except EOFError:
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
