"""A data set that one client alone has: it uploads and analyses it, deletes the report or all of it, and begins again.

Whether something deleted may come back is certain only where no earlier request can still be under way: where each of
them was answered, at its first attempt, while no fault was in force.
"""

from dataclasses import dataclass

from services.simulation.asking import ANALYSIS_SECONDS, READ_SECONDS, Asking
from services.simulation.catalog import OWN_ANALYSES, OWN_FILES

__all__ = ["OwnData"]


@dataclass(slots=True)
class OwnData:
    """The data set of one client.

    Attributes:
        name: of its file.
        is_certain: whether nothing that was asked for is still under way.
    """

    name: str
    is_certain: bool = True

    async def use(self, client: Asking) -> None:
        """Do the next thing."""
        expected = client.expected
        dataset_id = expected.datasets.get(self.name)
        if dataset_id is None:
            await self._upload(client)
            return
        reports = [each for each in expected.reports if expected.dataset_of.get(each) == dataset_id]
        if not reports:
            await self._analyze(client)
            return
        kind = client.draw.random()
        if kind < 0.4:
            await client.read_report(reports[0])
        elif kind < 0.5:
            await client.read_figure(reports[0])
        elif kind < 0.8:
            await self._delete_report(client, reports[0])
        else:
            await self._delete_all(client, dataset_id, reports[0])

    async def _upload(self, client: Asking) -> None:
        began = client.site.world.now
        client.expected.comes_back(self.name)
        done = await client.upload(self.name, OWN_FILES[self.name])
        self._learn(client, began, done=done)

    async def _analyze(self, client: Asking) -> None:
        asked, began = client.asked(OWN_ANALYSES[self.name]), client.site.world.now
        assert asked is not None
        client.expected.comes_back(f"report of {self.name}")
        done = await client.analyze(asked, most=ANALYSIS_SECONDS, fields={})
        self._learn(client, began, done=done)

    async def _delete_report(self, client: Asking, analysis_id: str) -> None:
        target = f"/api/analyses/{analysis_id}"
        # From now on it may be gone.
        client.expected.withdraw(analysis_id)
        done = await client.ask("delete_analysis", "DELETE", target, most=READ_SECONDS)
        if done is None:
            client.expected.doubtful.add(analysis_id)
        elif self.is_certain:
            client.expected.delete(f"report of {self.name}", "read_analysis", target)

    async def _delete_all(self, client: Asking, dataset_id: str, analysis_id: str) -> None:
        target = f"/api/datasets/{dataset_id}"
        client.expected.withdraw(analysis_id)
        client.expected.datasets.pop(self.name)
        done = await client.ask("delete_dataset", "DELETE", f"{target}?erase=reports", most=READ_SECONDS)
        if done is None:
            client.expected.doubtful |= {dataset_id, analysis_id}
        elif self.is_certain:
            client.expected.delete(self.name, "read_dataset", target)
            client.expected.delete(f"report of {self.name}", "read_analysis", f"/api/analyses/{analysis_id}")

    def _learn(self, client: Asking, began: float, *, done: bool) -> None:
        if not done or client.site.has_faults(began):
            self.is_certain = False
