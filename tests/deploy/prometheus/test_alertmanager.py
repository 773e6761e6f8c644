"""The configuration of Alertmanager: who is notified, and what is silenced by what."""

import re
import subprocess
import textwrap
from pathlib import Path

import pytest
import yaml

from deploy.prometheus.alert import Alert
from deploy.prometheus.alerts import ALERTS
from tests.servers.prometheus import program

ROOT = Path(__file__).parents[3]
FILE = ROOT / "deploy" / "prometheus" / "alertmanager.yml"
CONFIGURATION = yaml.safe_load(FILE.read_text(encoding="utf-8"))
BY_NAME = {each.name: each for each in ALERTS}
RECEIVERS = {"page": "page", "ticket": "ticket", "none": "watchdog"}


def amtool(*arguments: str) -> str:
    run = subprocess.run([program("amtool"), *arguments], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def alerts_in(matchers: list[str]) -> list[Alert]:
    """The alerts that matchers name."""
    [names] = [found[1] for each in matchers if (found := re.fullmatch(r'alertname=~?"([\w|]+)"', each))]
    return [BY_NAME[name] for name in names.split("|")]


def test_alertmanager_takes_it() -> None:
    assert "3 receivers" in amtool("check-config", str(FILE))


@pytest.mark.parametrize("alert", ALERTS, ids=lambda each: each.name)
def test_an_alert_is_routed_by_its_severity(alert: Alert) -> None:
    labels = [f"alertname={alert.name}", f"severity={alert.severity}"]
    routed = amtool("config", "routes", "test", f"--config.file={FILE}", *labels)
    assert routed.strip() == RECEIVERS[alert.severity]


def test_an_alert_without_a_severity_pages() -> None:
    assert amtool("config", "routes", "test", f"--config.file={FILE}", "alertname=Other").strip() == "page"


def test_no_ticket_silences_a_page_and_nothing_silences_itself_or_the_watchdog() -> None:
    for rule in CONFIGURATION["inhibit_rules"]:
        sources, targets = alerts_in(rule["source_matchers"]), alerts_in(rule["target_matchers"])
        assert not set(sources) & set(targets)
        for target in targets:
            assert target.name != "Watchdog"
            assert target.severity == "ticket" or all(source.severity == "page" for source in sources)


def test_nothing_silences_that_a_restart_would_lose_reports() -> None:
    silenced = [alert.name for rule in CONFIGURATION["inhibit_rules"] for alert in alerts_in(rule["target_matchers"])]
    assert "CqoxPoolExhausted" in silenced
    assert "CqoxReportsUnstored" not in silenced


def test_every_receiver_reads_its_address_from_a_file_that_compose_has() -> None:
    for each in CONFIGURATION["receivers"]:
        [hook] = each["webhook_configs"]
        assert hook["url_file"] == f"/etc/alertmanager/receivers/{each['name']}"
        assert (
            (ROOT / "deploy" / "compose" / "no-receivers" / each["name"]).read_text().startswith("http://127.0.0.1:9/")
        )


def test_the_receiver_that_the_page_of_operations_shows_is_one_that_alertmanager_takes(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"  ```yaml\n(  - name: page\n.*?)  ```\n", page, re.DOTALL)
    [receiver] = yaml.safe_load(textwrap.dedent(shown))
    others = [each for each in CONFIGURATION["receivers"] if each["name"] != "page"]
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump(CONFIGURATION | {"receivers": [receiver, *others]}), encoding="utf-8")
    assert "3 receivers" in amtool("check-config", str(file))
