"""The dashboard of analyses after a mixed workload of a real engine: every panel has data, those of the reports."""

import json
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from pydantic import JsonValue

from cqox import clock
from cqox.analysis.bounds import Bounds
from cqox.analysis.key import canonical_json, digest
from cqox.analysis.service import Analyses
from cqox.analysis.stores import StoreAddresses
from cqox.analysis.study_panels import StudyPanels
from cqox.analysis.tenant import TenantAnalyses
from cqox.contract import AnalyzeRequest, file_digest, parse_model
from cqox.dashboards import PanelAnswer, Span
from cqox.dashboards.analyses import ANALYSIS
from cqox.dashboards.views import VIEWS, ViewQuery
from cqox.storage import DEFAULT_TENANT, DatasetRecord
from tests.servers import Postgres, running
from tests.storage.sealings import sealing_in

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300), pytest.mark.xdist_group("servers")]
BOUNDS = Bounds(
    analyses=2, threads=1, worker_memory_bytes=0, file_limits={}, reserve_bytes=0, share_days=7.0, originals_bytes=10**6
)
ROLES: Mapping[str, JsonValue] = {"y": "sales", "treatment": "campaign", "covariates": ["age"]}
FEW: Mapping[str, JsonValue] = {"estimators": ["difference_in_means", "ols_adjustment", "iv_2sls", "lin_interacted"]}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "trio"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running(Postgres()) as made:
        yield made


@pytest.fixture(params=["sqlite", "sealed", "postgres"])
async def analyses(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Analyses]:
    addresses = StoreAddresses()
    if request.param == "postgres":
        addresses = StoreAddresses(postgres_url=request.getfixturevalue("server").fresh())
    elif request.param == "sealed":
        addresses = StoreAddresses(sealing=sealing_in(tmp_path))
    async with Analyses.open(tmp_path / "data", BOUNDS, addresses, samples=False) as opened:
        yield opened


def shop(seed: int, *, level: float, lift: float = 2.0, unlike: bool = False, copies: bool = False) -> str:
    """A trial in a shop; unlike arms differ in age, copies repeat rows."""
    rng, lines = random.Random(seed), ["sales,campaign,age,visits"]
    for _ in range(120):
        campaign = rng.random() < 0.5
        age = rng.gauss(40, 8) + (25 if unlike and campaign else 0)
        sales = max(0.1, level + lift * campaign + rng.gauss(0, 1.5))
        lines.append(f"{sales:.4f},{int(campaign)},{age:.2f},{rng.randrange(9)}")
    return "\n".join([*lines, *(lines[1:20] if copies else [])]) + "\n"


async def uploaded(tenant: TenantAnalyses, folder: Path, content: str, name: str = "shop.csv") -> DatasetRecord:
    path = folder / name
    await anyio.Path(path).write_text(content)
    content_digest, size_bytes = file_digest(path)
    return await tenant.datasets.add(path, name=name, content_digest=content_digest, size_bytes=size_bytes, options={})


async def asked(
    tenant: TenantAnalyses, record: DatasetRecord, mapping: Mapping[str, JsonValue], **options: JsonValue
) -> str:
    body = {"dataset_id": record.dataset_id, "mapping": dict(mapping), "options": {**FEW, **options}}
    return (await tenant.analyze(parse_model(AnalyzeRequest, body))).analysis_id


async def out_of_memory(tenant: TenantAnalyses, key: str) -> None:
    """Store the report once more as if its estimator had failed, as it does where memory runs out."""
    found = await tenant.report(key)
    report = json.loads(found.report)
    report["estimates"][0] |= {"status": "failed", "reason": "Out of memory."}
    report["messages"]["/estimates/0/reason"] = {"code": "estimators.out-of-memory", "params": {}}
    content = canonical_json(report)
    await tenant.store.save(
        replace(
            found, analysis_id=digest(content), report=content, digest=digest(content), created_at=clock.timestamp()
        )
    )


async def worked(tenant: TenantAnalyses, folder: Path) -> None:
    """Analyse several data sets in several ways."""
    first = await uploaded(tenant, folder, shop(1, level=10.0))
    second = await uploaded(tenant, folder, shop(2, level=15.0), "shop-2.csv")
    unlike = await uploaded(tenant, folder, shop(3, level=10.0, unlike=True, copies=True), "unlike.csv")
    await asked(tenant, first, ROLES, assignment="randomized", refute=39, minimum_effect=0.5)
    # The same again from the store, another look, and one that is too small for what matters.
    await asked(tenant, first, ROLES, assignment="randomized", refute=39, minimum_effect=0.5)
    await asked(tenant, first, ROLES, assignment="unknown")
    await asked(tenant, second, ROLES, assignment="randomized", minimum_effect=2.0)
    await asked(tenant, unlike, ROLES, assignment="randomized")
    await asked(tenant, unlike, {**ROLES, "covariates": ["visits"]})
    await out_of_memory(tenant, await asked(tenant, first, ROLES, estimators=["iv_2sls"]))
    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(lambda: asked(tenant, second, {**ROLES, "covariates": ["age", "visits"]}))
    await tenant.settle()


async def panels(tenant: TenantAnalyses) -> dict[str, PanelAnswer]:
    now = clock.wall_time()
    # Reuses are counted at the beginning of their day.
    span, source = Span(start=now - 2 * 86_400, end=now, step=3600), StudyPanels(tenant.store)
    return {panel.id: await source.answer(panel, span, language="ja") for panel in ANALYSIS.panels}


async def rows(tenant: TenantAnalyses, view: str) -> list[dict[str, object]]:
    columns = tuple(name for name in VIEWS[view] if name != "tenant_id")
    query = ViewQuery(view=view, columns=columns, order=("analysis_id",), most_rows=10_000)
    found = await tenant.store.view_rows(query, start=0, end=10**11)
    return [dict(zip(columns, row, strict=True)) for row in found.rows]


def part(found: Mapping[str, object], *names: str) -> tuple[object, ...]:
    return tuple(found.get(name) for name in names)


async def check_facts(tenant: TenantAnalyses) -> None:
    """Compare the facts of every report with its bytes."""
    summaries = await tenant.store.summaries()
    every = {view: await rows(tenant, view) for view in VIEWS}
    assert len(every["dashboard_analyses"]) == len(summaries.items) == 8
    for summary in summaries.items:
        stored = await tenant.report(summary.analysis_id)
        report, provenance = json.loads(stored.report), json.loads(stored.provenance)
        mine = {
            view: [row for row in found if row["analysis_id"] == summary.analysis_id] for view, found in every.items()
        }
        (whole,) = mine["dashboard_analyses"]
        assert part(whole, "status", "verdict", "primary_name", "estimate", "outcome", "treatment") == part(
            {**report, **report["decision"], "primary_name": stored.primary, "estimate": stored.estimate}
            | {"outcome": "sales", "treatment": "campaign"},
            "status", "verdict", "primary_name", "estimate", "outcome", "treatment",
        )  # fmt: skip
        assert part(whole, "dataset_rows", "rows_used") == part(provenance, "rows", "rows_used")
        assert whole["seconds"] == pytest.approx(sum(provenance["seconds"].values()))
        assert whole["baseline"] == (report["effect"] or {}).get("baseline")
        numbers = ("name", "family", "estimand", "status", "estimate", "standard_error", "ci_lower", "ci_upper")
        assert sorted(part(row, *numbers, "p_value", "rows_used") for row in mine["dashboard_estimators"]) == sorted(
            part(each, *numbers, "p_value", "n") for each in report["estimates"]
        )
        assert {part(row, "name", "status", "value", "threshold") for row in mine["dashboard_gates"]} == {
            (name, *part(gate, "status", "value", "threshold")) for name, gate in report["gates"].items()
        }
        ledger = (report["identification"] or {}).get("assumptions", [])
        assert {part(row, "name", "status", "caps") for row in mine["dashboard_assumptions"]} == {
            (each["name"], each["status"], int(each["caps"])) for each in ledger
        }
        assert sorted(part(row, "name", "severity") for row in mine["dashboard_findings"]) == sorted(
            part(each, "code", "severity") for each in report["findings"]
        )
        refuted = report["diagnostics"]["refutations"]
        assert {part(row, "name", "mean", "p_value") for row in mine["dashboard_refuters"]} == {
            (name, *part(tried, "mean", "p_value")) for name, tried in refuted.items() if isinstance(tried, dict)
        }
        mapped = {row["name"]: row["mapped"] for row in mine["dashboard_roles"] if row["mapped"]}
        assert mapped == {
            role: 1 if isinstance(value, str) else len(value) for role, value in report["mapping"].items()
        }


async def test_every_panel_has_data_after_a_mixed_workload_and_none_after_its_erasure(
    analyses: Analyses, tmp_path: Path
) -> None:
    tenant, other = analyses.within(DEFAULT_TENANT), analyses.within("acme")
    await worked(tenant, tmp_path)
    await check_facts(tenant)
    shown = await panels(tenant)
    assert {name: answer.reason for name, answer in shown.items() if answer.reason is not None} == {}
    assert all(answer.rows or any(line.points for line in answer.lines) for answer in shown.values())
    for answer in shown.values():
        assert all(len(row) == len(answer.columns or ()) for row in answer.rows or ())
    # Nobody else sees any of it, and each panel says why it is empty.
    assert all(answer.reason and not answer.lines and not answer.rows for answer in (await panels(other)).values())
    for record in list(await tenant.datasets.all()):
        await tenant.retention.delete_dataset(record.dataset_id, reports=True)
    for view in VIEWS:
        assert await rows(tenant, view) == [], view
    assert all(answer.reason for answer in (await panels(tenant)).values())


async def test_a_panel_of_another_dashboard_is_refused(analyses: Analyses) -> None:
    panel = ANALYSIS.panel("looks")
    with pytest.raises(KeyError):
        await StudyPanels(analyses.within(DEFAULT_TENANT).store).answer(
            replace(panel, id="unknown"), Span(start=0, end=1, step=1)
        )
