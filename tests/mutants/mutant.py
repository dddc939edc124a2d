"""A mutant: one plausible mistake in the protocol, as a change of the real source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class DoesNotApply(Exception):
    """The source changed: adapt the mutant in tests/mutants to what the line is now."""


@dataclass(frozen=True)
class Edit:
    """`old` stands in the file exactly once; `new` takes its place."""

    file: str
    old: str
    new: str

    def applied(self, root: Path) -> str:
        """The file's new text; raises DoesNotApply."""
        text = (root / self.file).read_text()
        if text.count(self.old) != 1:
            raise DoesNotApply(f"{self.file} holds {text.count(self.old)} times, not once: {self.old!r}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    Attributes:
        why: why somebody could make it.
        tests: what runs after the schedules, in this order: arguments of pytest.
        unseen: why no schedule can find it, where that is so; then none are run and the tests have to.
        kind: the kind of world that its schedules are of (`tests.simulation.shape`), all kinds when it is empty.
    """

    name: str
    why: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]
    unseen: str = ""
    kind: str = ""

    @property
    def files(self) -> list[str]:
        return list(dict.fromkeys(edit.file for edit in self.edits))

    def apply(self, root: Path) -> None:
        """Changes the files under `root`; raises DoesNotApply, and then changes nothing there any more."""
        for edit in self.edits:
            changed = edit.applied(root)
            (root / edit.file).write_text(changed)


def mutant(name: str, why: str, file: str, old: str, new: str, *tests: str, unseen: str = "", kind: str = "") -> Mutant:
    """A mutant of one edit."""
    return Mutant(name, why, (Edit(f"scylla_store/{file}", old, new),), tests, unseen, kind)
