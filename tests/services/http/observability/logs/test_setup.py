import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import logging, structlog
from services.http.observability.logs import set_up_logging
set_up_logging(level="info", format="{format}", service="gateway")
structlog.stdlib.get_logger("ours").info("[Gateway] Received signal %s, initiating shutdown...", "SIGTERM", value=1)
logging.getLogger("cqox.resilience").warning("[Retry] Attempt %d/3 failed: %s Retrying in 1.23s...", 1, "あ")
logging.getLogger("cqox.resilience").debug("not this")
try:
    1 / 0
except ZeroDivisionError:
    structlog.stdlib.get_logger("ours").exception("broken")
"""


def lines_of(format: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(format=format)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize("format", ["console", "json", "auto"])
def test_literal_lines_stay_literal_from_every_logger(format):
    text = "\n".join(lines_of(format))
    assert "[Gateway] Received signal SIGTERM, initiating shutdown..." in text
    assert "[Retry] Attempt 1/3 failed: あ Retrying in 1.23s..." in text
    assert "not this" not in text
    assert "ZeroDivisionError: division by zero" in text


def test_a_library_that_logs_each_header_of_each_request_does_not_flood_the_log():
    code = (
        "import hpack\n"
        "from services.http.observability.logs import set_up_logging\n"
        "set_up_logging(level='debug', format='json', service='gateway')\n"
        "hpack.Decoder().decode(hpack.Encoder().encode([('authorization', 'secret')]))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b""


def test_elsewhere_than_on_a_terminal_each_line_is_json():
    first, second, third = map(json.loads, lines_of("auto"))
    assert (first["event"], first["value"], first["level"], first["service"]) == (
        "[Gateway] Received signal SIGTERM, initiating shutdown...",
        1,
        "info",
        "gateway",
    )
    assert (second["level"], second["logger"]) == ("warning", "cqox.resilience")
    assert "ZeroDivisionError" in third["exception"]
    assert first["timestamp"].endswith("Z")


CRASH = """
import logging, threading
from services.http.observability.logs import set_up_logging
set_up_logging(level="info", format="{format}", service="gateway")
logging.getLogger("x").warning("before")
thread = threading.Thread(target=lambda: int("in\\x1bthread"))
thread.start()
thread.join()
raise RuntimeError("password=hunter2 \\x1b[31m")
"""


@pytest.mark.parametrize("format", ["console", "json"])
def test_what_ends_a_process_or_a_thread_is_in_the_log_masked_and_escaped(format):
    done = subprocess.run([sys.executable, "-c", CRASH.format(format=format)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.index("before") < done.stdout.index("ValueError") < done.stdout.index("RuntimeError")
    assert "hunter2" not in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-16"])
def test_an_output_that_is_no_utf_8_raises_nothing(encoding):
    code = (
        (
            "import logging\n"
            "from services.http.observability.logs import set_up_logging\n"
            "set_up_logging(level='info', format='json', service='gateway')\n"
            "logging.getLogger('x').warning('\u3042\U0001f600\ud800')\n"
        )
        .encode("utf-8", "surrogatepass")
        .decode("utf-8", "surrogatepass")
    )
    code = code.replace("\u3042", "\\u3042").replace("\U0001f600", "\\U0001f600").replace("\ud800", "\\ud800")
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
    assert done.stderr == b""
    assert json.loads(done.stdout.decode(encoding))["event"] == "\u3042\U0001f600\\ud800"
