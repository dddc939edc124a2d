"""What the campaign tells its processes while they run: one JSON file, read again when it changes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

VARIABLE = "SCYLLA_TEST_CAMPAIGN"
"""Environment variable: the folder of the campaign."""


def folder() -> Path:
    """The campaign's folder, as its processes know it."""
    return Path(os.environ[VARIABLE])


class Control:
    """A small document that one process writes and others follow."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = 0
        self._told: dict[str, Any] = {}

    def tell(self, **changes: Any) -> None:
        """Changes some of it; readers see all of the change or nothing."""
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps({**self.read(), **changes}))
        fresh.replace(self._path)

    def read(self) -> dict[str, Any]:
        """What was told last."""
        try:
            stamp = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return {}
        if stamp != self._stamp:
            self._told = json.loads(self._path.read_text())
            self._stamp = stamp
        return self._told


def writing(folder: Path) -> Control:
    """Told to writers: `root` of their namespaces, `keys`, `rate` (operations a second of each), `run`."""
    return Control(folder / "writing.json")


def embedding(folder: Path) -> Control:
    """Told to embedders: `seconds` a call takes, `fails_one_in`, `nan`, `kills`."""
    return Control(folder / "embedding.json")
