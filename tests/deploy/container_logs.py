"""Logs of containers that outlast them, for a request that was not answered as it should be."""

import json
import threading
from pathlib import Path

__all__ = ["Logs"]

_LOOK_SECONDS = 0.3


class Logs:
    """Every log file of a Docker engine, kept from the first look at it.

    Compose removes a container that it replaces, and its log with it, which is just the one that says why a request
    failed. A hard link keeps the file.
    """

    def __init__(self, data: Path) -> None:
        """Take the folder that the engine was given as --data-root."""
        self._containers = data / "containers"
        self._kept = data / "kept-logs"
        self._kept.mkdir(exist_ok=True)
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        over = threading.Event()
        while not over.wait(_LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Keep the log files that are new."""
        for file in self._containers.glob("*/*-json.log*"):
            try:
                name = json.loads((file.parent / "config.v2.json").read_text())["Name"].strip("/")
                kept = self._kept / f"{name}.{file.parent.name[:8]}.{file.stat().st_ino}.log"
                if not kept.exists():
                    kept.hardlink_to(file)
            except (OSError, ValueError):
                # It is being written, or gone again.
                continue

    def saying(self, word: str) -> list[str]:
        """Return what all containers said with a word in it, by time, as `TIME CONTAINER LINE`."""
        self.look()
        found = []
        for file in self._kept.iterdir():
            container = file.name.split(".")[0]
            for line in file.read_text(errors="replace").splitlines():
                if word in line:
                    said = json.loads(line)
                    found.append(f"{said['time'][11:23]} {container} {said['log'].rstrip()}")
        return sorted(found)

    def save(self, folder: Path) -> None:
        """Copy everything into a folder."""
        self.look()
        folder.mkdir(parents=True, exist_ok=True)
        for file in self._kept.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
