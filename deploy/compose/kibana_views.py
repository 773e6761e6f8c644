"""Tells Kibana what there is to look at: `kibana_views.py URL` makes a view of logs, of traces and of measures."""

import json
import sys
from urllib.request import Request, urlopen

VIEWS = {"logs": "logs-*", "traces": "traces-*", "metrics": "metrics-*"}


def main(url: str) -> None:
    """Make every view, or make it anew."""
    for name, pattern in VIEWS.items():
        view = {"id": f"cqox-{name}", "name": f"CQOx {name}", "title": pattern, "timeFieldName": "@timestamp"}
        body = json.dumps({"data_view": view, "override": True}).encode()
        headers = {"Content-Type": "application/json", "kbn-xsrf": "cqox"}
        with urlopen(Request(f"{url}/api/data_views/data_view", body, headers), timeout=30) as answer:
            sys.stdout.write(f"CQOx {name}: {answer.status}\n")


if __name__ == "__main__":
    main(sys.argv[1])
