"""Output of the commands: results on standard output, progress and errors on standard error, and exit statuses."""

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NoReturn, Self

from rich.console import Console
from rich.text import Text

from cqox.cli.streams import is_of_output
from cqox.contract.messages import Language, Message, of
from cqox.errors import CqoxError, InputError, InvalidRequest

__all__ = [
    "INTERRUPTED",
    "USAGE",
    "Progress",
    "end_process",
    "error_console",
    "listing_console",
    "print_error",
    "print_json",
    "result_console",
    "suppress_log_lines",
]

USAGE = 2
"""Exit status for an invalid command line or setting; 1 is for data that cannot be used, or a failure."""

INTERRUPTED = 130
"""Exit status after Ctrl-C."""

_WIDE, _UNFOLDED = 120, 10_000


def result_console() -> Console:
    """Return the console of results, 120 wide where standard output is no terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)


def listing_console() -> Console:
    """Return the console of a listing, which folds no line of a pipe: a program may read it."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _UNFOLDED)


def error_console() -> Console:
    """Return the console of progress and errors."""
    return Console(stderr=True, highlight=False)


def suppress_log_lines() -> None:
    """Print no log line where logging is not set up: an error ends the command with one message, after retries."""
    logging.getLogger().addHandler(logging.NullHandler())


def end_process(status: int) -> NoReturn:
    """End the process at once, once everything that it opened is closed.

    The interpreter takes up to seconds to tear down the modules that an analysis has loaded.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def print_error(error: Exception, language: Language, *, console: Console | None = None) -> int:
    """Print an error with the valid choices; return the exit status.

    Raises:
        OSError: the error itself, if it is that of standard output; the command line ends with it.
    """
    if is_of_output(error):
        raise error
    console = console or error_console()
    detail = of(error.detail if isinstance(error, InputError) else _text(error)).in_language(language)
    console.print(Text(detail, style="red"), soft_wrap=True)
    if isinstance(error, InputError) and error.choices:
        valid = Message("terminal.valid", choices=list(error.choices))
        console.print(Text(valid.in_language(language)), soft_wrap=True)
    return USAGE if isinstance(error, InvalidRequest) else 1


def print_json(document: object) -> None:
    """Print a JSON value; an encoding that lacks a character gets it escaped, as `\\u58f2`."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(document, indent=2)
    sys.stdout.write(f"{text}\n")


class Progress:
    """Progress of a computation: one updated line on a terminal, elsewhere a line for each step that is not skipped.

    Args:
        console: where it is shown.
        language: language of its words.
    """

    def __init__(self, console: Console, language: Language) -> None:
        self._console = console
        self._language = language
        self._status = console.status(Message("terminal.starting").in_language(language))
        self._show: Callable[[str], None] = self._status.update if console.is_terminal else self._line

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._status.stop()

    def step(self, message: Mapping[str, object]) -> None:
        """Show one finished step; its notes stay on the terminal."""
        notes, step = message.get("notes"), str(message.get("step", ""))
        for note in notes if isinstance(notes, list) else ():
            self._console.print(Text(f"{step}: {of(note).in_language(self._language)}", style="yellow"), soft_wrap=True)
        if notes is not None or (message.get("status") == "skipped" and not self._console.is_terminal):
            return
        sent, size, seconds = (message.get(name) for name in ("sent_bytes", "size_bytes", "seconds"))
        if isinstance(sent, int) and isinstance(size, int) and size:
            if self._console.is_terminal or sent == size:
                self._show(f"{step} {sent / size:.0%}")
            return
        self._show(f"{step} ({seconds:.3g} s)" if isinstance(seconds, float) else step)

    def _line(self, text: str) -> None:
        self._console.print(Text(text))


def _text(error: Exception) -> str:
    if isinstance(error, CqoxError) or not isinstance(error, OSError):
        return error.args[0] if error.args and isinstance(error.args[0], Message) else str(error)
    name = os.fsencode(error.filename).decode(errors="replace") if isinstance(error.filename, str) else ""
    return Message("terminal.no-file-operation", file=name, reason=error.strerror or str(error))
