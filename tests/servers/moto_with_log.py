"""Run the server of moto with a log of its writes, which are done again at the next start: `PORT LOG`.

Moto keeps objects in memory. Here every write that has succeeded is in the log before its answer leaves, so that a
killed server has lost nothing that it acknowledged, as a store on disks. Writes are done one after another, in the
order of the log. It runs with the interpreter of the environment that `object_store.sh` makes.
"""

import base64
import json
import sys
import threading
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple
from werkzeug.test import run_wsgi_app

_READS = ("GET", "HEAD", "OPTIONS")
_REDIRECTED = 300

type _Environ = dict[str, Any]
type _Start = Callable[[str, list[tuple[str, str]]], object]


class Durable:
    """A WSGI application whose successful writes are logged.

    Args:
        app: the application.
        log: the file.
    """

    def __init__(self, app: Any, log: Path) -> None:
        self._app = app
        self._log = log
        self._lock = threading.Lock()

    def repeat(self) -> None:
        """Do the writes of the log; a last line that was cut off is a write that was not acknowledged."""
        if not self._log.exists():
            return
        for line in self._log.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                written = json.loads(line)
                body = base64.b64decode(written["body"])
                _, status, _ = run_wsgi_app(self._app, _environ(written["environ"], body), buffered=True)
                assert int(status.split()[0]) < _REDIRECTED, (status, written["environ"])

    def __call__(self, environ: _Environ, start: _Start) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in _READS:
            return self._app(environ, start)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        plain = {name: value for name, value in environ.items() if isinstance(value, str)}
        with self._lock:
            content, status, headers = run_wsgi_app(self._app, _environ(plain, body), buffered=True)
            if int(status.split()[0]) < _REDIRECTED:
                with self._log.open("a") as log:
                    log.write(json.dumps({"environ": plain, "body": base64.b64encode(body).decode()}) + "\n")
        start(status, list(headers))
        return content


def _environ(plain: dict[str, str], body: bytes) -> _Environ:
    return {
        **plain,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


if __name__ == "__main__":
    port, log = int(sys.argv[1]), Path(sys.argv[2])
    durable = Durable(DomainDispatcherApplication(create_backend_app), log)
    # Before anybody can ask.
    durable.repeat()
    run_simple("127.0.0.1", port, durable, threaded=True, request_handler=MotoRequestHandler)
