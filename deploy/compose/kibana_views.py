"""Create the data views of Kibana: `kibana_views.py URL FILE` makes them, and then FILE.

It stays when it is done: `docker compose up --wait` takes a container that has ended for one that has failed.
"""

import json
import signal
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

VIEWS = {"logs": "logs-*", "traces": "traces-*", "metrics": "metrics-*"}
_PAUSE_SECONDS = 5.0


def main(url: str, made: Path) -> None:
    """Create or replace every view as soon as Kibana accepts it."""
    for name, pattern in VIEWS.items():
        view = {"id": f"cqox-{name}", "name": f"CQOx {name}", "title": pattern, "timeFieldName": "@timestamp"}
        body = json.dumps({"data_view": view, "override": True}).encode()
        headers = {"Content-Type": "application/json", "kbn-xsrf": "cqox"}
        while True:
            try:
                with urlopen(Request(f"{url}/api/data_views/data_view", body, headers), timeout=30) as answer:
                    sys.stdout.write(f"CQOx {name}: {answer.status}\n")
                break
            except OSError as error:
                sys.stdout.write(f"CQOx {name}: {error}\n")
                time.sleep(_PAUSE_SECONDS)
    made.touch()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    main(sys.argv[1], Path(sys.argv[2]))
    signal.pause()
