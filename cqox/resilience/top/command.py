"""The command line of `top`."""

import argparse
import math
import re
import signal
import sys
from functools import partial
from pathlib import Path

from cqox.resilience.top.scrape import Unreachable, fetch, metrics_url

__all__ = ["FINE", "INTERRUPTED", "TERMINATED", "UNREACHABLE", "USAGE", "configure", "run"]

FINE, UNREACHABLE, USAGE, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143
_TIMEOUT = 5.0

_EPILOG = """\
The address is that of the metrics of any app with `cqox.resilience`: of its Prometheus collector, of the Prometheus
exporter of OpenTelemetry, or of a service of CQOx. Without a path it is /metrics.

exit codes: 0 one table was printed; 1 the address cannot be read; 2 the command line is wrong, or Rich is not
installed; 130 interrupted by Ctrl-C
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Give a parser the arguments and the help of the command."""
    parser.description = "Show circuits, calls, failures, rejections, retries and limits of a running app, by part."
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("url", type=_address, metavar="URL", help="address of the metrics, such as localhost:9464")
    parser.add_argument("--once", action="store_true", help="print one table after one interval, and exit")
    parser.add_argument(
        "--interval", type=_interval, default=2.0, metavar="SECONDS", help="seconds between two readings (default: 2)"
    )
    parser.add_argument("--token-file", type=_token, metavar="FILE", help="file with a bearer token")


def run(options: argparse.Namespace) -> int:
    """Run the command with its parsed options, and return the exit code."""
    try:
        from rich.console import Console

        from cqox.resilience.top.live import View
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "rich":
            raise
        sys.stderr.write("top needs rich, which is not installed: pip install 'cqox[top]'\n")
        return USAGE
    terminal = sys.stdout.isatty()
    view = View(
        partial(fetch, options.url, timeout=_TIMEOUT, token=options.token_file or ""),
        address=options.url,
        interval=options.interval,
        # What is not a terminal has no width to keep to.
        console=Console(width=None if terminal else 200, highlight=False),
    )
    before = signal.signal(signal.SIGTERM, _end)
    try:
        if options.once:
            view.once()
        else:
            view.run()
    except Unreachable as error:
        sys.stderr.write(f"{error}\n")
        return UNREACHABLE
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)
    return FINE


def _end(number: int, frame: object) -> None:
    # An exception lets the view give the terminal back as it was.
    raise SystemExit(TERMINATED)


def _address(text: str) -> str:
    try:
        return metrics_url(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _interval(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"must be from 0.1 to 3600 seconds, and is {text!r}")
    return seconds


def _token(path: str) -> str:
    try:
        token = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"cannot read {path}: {error}") from None
    if not re.fullmatch("[!-~]+", token):
        raise argparse.ArgumentTypeError(f"{path} holds no token of printable ASCII without spaces")
    return token
