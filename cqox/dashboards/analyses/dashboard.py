"""The rows of the dashboard of analyses, in their order."""

from collections.abc import Mapping

from cqox.contract.messages import Message
from cqox.dashboards.analyses import data, decisions, effects, estimators, ledger, verdicts
from cqox.dashboards.analyses.shapes import Asked
from cqox.dashboards.panels import Dashboard, Row

__all__ = ["ANALYSIS", "PANELS"]


def _row(name: str, title: Message, asked: tuple[Asked, ...]) -> Row:
    return Row(id=name, title=title, panels=tuple(each.panel for each in asked))


ANALYSIS = Dashboard(
    id="analysis",
    title=Message("studies.title"),
    rows=(
        _row("verdicts", Message("studies.row-verdicts"), verdicts.PANELS),
        _row("decisions", Message("studies.row-decisions"), decisions.PANELS),
        _row("ledger", Message("studies.row-ledger"), ledger.PANELS),
        _row("estimators", Message("studies.row-estimators"), estimators.PANELS),
        _row("effects", Message("studies.row-effects"), effects.PANELS),
        _row("data", Message("studies.row-data"), data.PANELS),
    ),
)
"""Figures of the reports of one tenant, from its result store."""

PANELS: Mapping[str, Asked] = {
    each.panel.id: each
    for each in (*verdicts.PANELS, *decisions.PANELS, *ledger.PANELS, *estimators.PANELS, *effects.PANELS, *data.PANELS)
}
"""Each panel with its questions, by its id."""
