"""An object store that keeps what it has acknowledged when it is killed, as one on disks."""

from pathlib import Path

from tests.servers.object_store import ObjectStore

__all__ = ["DurableObjectStore"]


class DurableObjectStore(ObjectStore):
    """One server, whose writes are in a log; it is started again at the same address with all of them."""

    def _command(self) -> list[str]:
        program = Path(__file__).with_name("moto_with_log.py")
        return [
            str(self._program.with_name("python")),
            str(program),
            str(self.port),
            str(self._folder / "writes.jsonl"),
        ]
