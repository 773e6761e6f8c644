"""Kibana gets its views as soon as it accepts them; a server that behaves like its API stands in for it."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "compose" / "kibana_views.py"


class Kibana(BaseHTTPRequestHandler):
    """Accepts views only with the `kbn-xsrf` field, as Kibana does."""

    taken: list[dict[str, object]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        allowed = self.path == "/api/data_views/data_view" and "kbn-xsrf" in self.headers and body["override"] is True
        self.send_response(200 if allowed else 400)
        self.end_headers()
        if allowed:
            self.taken.append(body["data_view"])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def kibana() -> Iterator[HTTPServer]:
    Kibana.taken = []
    with HTTPServer(("127.0.0.1", 0), Kibana) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_every_view_is_made_and_then_the_file_that_says_so(kibana: HTTPServer, tmp_path: Path) -> None:
    made = tmp_path / "made"
    command = [sys.executable, "-I", SCRIPT, f"http://127.0.0.1:{kibana.server_port}", made]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        wait_until(lambda: made.exists() or process.poll() is not None)
        assert made.exists()
        assert process.poll() is None, "it has to stay"
        process.terminate()
        assert process.wait(10) == 0
    assert [view["title"] for view in Kibana.taken] == ["logs-*", "traces-*", "metrics-*"]
    assert all(view["timeFieldName"] == "@timestamp" for view in Kibana.taken)
