"""Objects of one tenant that are encrypted otherwise: written next to the old ones, and made current in one step."""

from cqox.storage.objects.files import ObjectFiles

__all__ = ["ObjectResealing"]


class ObjectResealing:
    """Resealing of the files of one tenant in an object store; see `Resealing`.

    Args:
        files: the files of the tenant.
    """

    def __init__(self, files: ObjectFiles) -> None:
        self._files = files

    async def dataset(self, dataset_id: str) -> bool:
        """See `Resealing`."""
        return await self._files.reseal(dataset_id)

    async def figures(self) -> int:
        """See `Resealing`."""
        outdated = await self._files.outdated_figures()
        for analysis_id in outdated:
            await self._files.erase(analysis_id)
        return len(outdated)

    async def end(self) -> None:
        """See `Resealing`; former versions of manifests and figures go too, those of data sets went with them."""
        await self._files.drop_former_versions()
