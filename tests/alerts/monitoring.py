"""Prometheus, Alertmanager and a receiver around targets, with the files of `deploy/prometheus` at a scale of time."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deploy.prometheus.alert import duration, seconds_of
from deploy.prometheus.rules import rules
from tests.alerts.receiver import Notification, Receiver
from tests.servers.prometheus import Alertmanager, Prometheus
from tests.waiting import PATIENCE_SECONDS

__all__ = ["RUNBOOK", "Monitoring", "monitoring"]

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
RUNBOOK = "https://docs.example.com/runbook.html"
_PAUSE_SECONDS = 0.05
_LEAST_INTERVAL_SECONDS = 0.5
_TIMES = {"group_wait", "group_interval", "repeat_interval"}


@dataclass
class Monitoring:
    """Prometheus, Alertmanager and the receiver around targets.

    Attributes:
        factor: by how much its times are shorter than those of operation.
        targets: addresses by job; `scrape` changes them.
    """

    folder: Path
    factor: float
    receiver: Receiver
    targets: dict[str, list[str]] = field(default_factory=dict)
    prometheus: Prometheus = field(init=False)
    alertmanager: Alertmanager = field(init=False)

    def scrape(self, job: str, addresses: Sequence[str]) -> None:
        """Scrape these addresses as a job from now on, as where an orchestrator has others behind a name."""
        self.targets[job] = list(addresses)
        file = self.folder / f"{job}.json"
        groups = [{"targets": list(addresses)}] if addresses else []
        (self.folder / "new.json").write_text(json.dumps(groups), encoding="utf-8")
        (self.folder / "new.json").replace(file)

    def of(self, alert: str, status: str = "firing", *, since: float = 0.0, **labels: str) -> list[Notification]:
        """Return the notifications of an alert with these labels since a time of the monotonic clock."""
        return [
            each
            for each in self.receiver.notifications
            if (each.alert, each.status) == (alert, status)
            and each.at >= since
            and labels.items() <= each.labels.items()
        ]

    def wait_for(self, alert: str, status: str, *, since: float, patience: float, **labels: str) -> Notification:
        """Wait for the first such notification."""
        end = time.monotonic() + patience
        while not (found := self.of(alert, status, since=since, **labels)):
            assert time.monotonic() < end, f"{alert} is not {status} after {patience:.0f} s:\n{self.explain()}"
            time.sleep(_PAUSE_SECONDS)
        return found[0]

    def pages(self, since: float = 0.0) -> set[str]:
        """Return the alerts that have paged since a time."""
        return {each.alert for each in self.receiver.notifications if each.receiver == "page" and each.at >= since}

    def explain(self) -> str:
        """Return what Prometheus and the receiver know, for the message of a failure."""
        alerts: Any = self.prometheus.get("alerts")["alerts"]
        known = [f"{each['state']} {each['labels']} {each['value']}" for each in alerts]
        came = [f"{each.receiver} {each.status} {each.labels}" for each in self.receiver.notifications]
        said = [self.prometheus.log, self.alertmanager.log]
        return "\n".join(["Prometheus:", *known, "received:", *came[-30:], *said])


@contextmanager
def monitoring(
    folder: Path,
    targets: Mapping[str, Sequence[str]],
    *,
    factor: float,
    encrypted: Sequence[str] = (),
    expected: Mapping[str, int] | None = None,
    port: int | None = None,
) -> Iterator[Monitoring]:
    """Run them until all targets are up, Prometheus has found its Alertmanager and the watchdog has come once.

    Args:
        folder: for their files.
        targets: addresses by job.
        factor: by how much their times are shorter.
        encrypted: jobs whose targets have TLS.
        expected: how many instances of a job there should be, where it is not one.
        port: that of Prometheus, where somebody has its address already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with Receiver() as receiver:
        made = Monitoring(folder, factor, receiver)
        for job, addresses in targets.items():
            made.scrape(job, addresses)
        made.alertmanager = Alertmanager(_alertmanager_file(folder, receiver.url, factor))
        file = _prometheus_file(folder, targets, made.alertmanager.port, factor, encrypted, expected or {})
        made.prometheus = Prometheus(file, resend_seconds=max(60.0 / factor, 1.0), port=port)
        try:
            made.alertmanager.start()
            made.prometheus.start()
            _wait_until_both_watch(made, sum(map(len, targets.values())))
            yield made
        finally:
            made.prometheus.close()
            made.alertmanager.close()


def _wait_until_both_watch(made: Monitoring, targets: int) -> None:
    end = time.monotonic() + PATIENCE_SECONDS

    def watches() -> bool:
        # An alert that fires before its Alertmanager is known is dropped, and sent again only after a while.
        managers: Any = made.prometheus.get("alertmanagers")["activeAlertmanagers"]
        up = made.prometheus.query("up == 1")
        return len(managers) == 1 and len(up) == targets and bool(made.of("Watchdog"))

    while not watches():
        assert time.monotonic() < end, made.explain()
        time.sleep(_PAUSE_SECONDS)


def _prometheus_file(
    folder: Path,
    jobs: Mapping[str, object],
    port: int,
    factor: float,
    encrypted: Sequence[str],
    expected: Mapping[str, int],
) -> Path:
    text = (FOLDER / "prometheus.yml").read_text(encoding="utf-8")
    configuration = yaml.safe_load(text)
    for name in ("scrape_interval", "evaluation_interval"):
        seconds = seconds_of(configuration["global"][name]) / factor
        configuration["global"][name] = duration(max(seconds, _LEAST_INTERVAL_SECONDS))
    configuration["global"]["scrape_timeout"] = configuration["global"]["scrape_interval"]
    configuration["global"]["external_labels"] = {"cqox_runbook": RUNBOOK}
    configuration["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}]
    configuration["scrape_configs"] = [
        {
            "job_name": job,
            "scheme": "https" if job in encrypted else "http",
            "tls_config": {"insecure_skip_verify": True},
            "file_sd_configs": [{"files": [str(folder / f"{job}.json")], "refresh_interval": "1s"}],
        }
        for job in jobs
    ]
    (folder / "rules.yml").write_text(yaml.safe_dump(rules(factor)), encoding="utf-8")
    numbers = yaml.safe_load((FOLDER / "expected.yml").read_text(encoding="utf-8"))
    for rule in numbers["groups"][0]["rules"]:
        rule["expr"] = f"vector({expected.get(rule['labels']['job'], 1)})"
    (folder / "expected.yml").write_text(yaml.safe_dump(numbers), encoding="utf-8")
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    return file


def _alertmanager_file(folder: Path, url: str, factor: float) -> Path:
    text = (FOLDER / "alertmanager.yml").read_text(encoding="utf-8")
    configuration = _with_shorter_times(yaml.safe_load(text), factor)
    (folder / "receivers").mkdir(exist_ok=True)
    for each in configuration["receivers"]:
        [hook] = each["webhook_configs"]
        assert hook["url_file"] == f"/etc/alertmanager/receivers/{each['name']}"
        address = folder / "receivers" / each["name"]
        address.write_text(f"{url}/{each['name']}\n", encoding="utf-8")
        hook["url_file"] = str(address)
    file = folder / "alertmanager.yml"
    file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    return file


def _with_shorter_times(value: Any, factor: float) -> Any:
    if isinstance(value, list):
        return [_with_shorter_times(each, factor) for each in value]
    if isinstance(value, dict):
        return {
            key: _shorter(each, factor) if key in _TIMES else _with_shorter_times(each, factor)
            for key, each in value.items()
        }
    return value


def _shorter(text: str, factor: float) -> str:
    return duration(seconds_of(text) / factor)
