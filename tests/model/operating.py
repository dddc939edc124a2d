"""Rules: time passes, the store is drained, dies, is opened again, repaired and moved."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from scylla_store import StoreError
from scylla_store.identity import ItemId, item_digest
from scylla_store.index.base import Point
from scylla_store.moving import Export, Restorer, from_line
from tests.model.cutting import Crash
from tests.model.documents import IDS, PREFIXES
from tests.model.machine import CUTS, Machine, step
from tests.model.model import Document, Id, Write, of_item, shown

_SECONDS = st.sampled_from([0.5, 0.5, 1.0, 1.0, 11.0, 31.0, 3600.0, 4 * 3600.0])
_LATEST = 2**62


class Operating(Machine):
    """Time, drains, crashes, reconciliation, dead letters, export and load."""

    @step(settles=False, cut=st.none() | CUTS)
    def drain(self, cut: Any) -> None:
        self.cut = cut
        self.drain_and_compare()

    @step(settles=False, cut=CUTS)
    def something_will_break(self, cut: Any) -> None:
        """In the next operation that says so."""
        self.cut = cut

    @step(settles=False, seconds=_SECONDS)
    def wait(self, seconds: float) -> None:
        self.world.clock.advance(min(seconds, self.world.longest_wait))

    @step(latest=st.booleans())
    def wait_for_an_end(self, latest: bool) -> None:
        """A document is there to the last microsecond, and not in the next one."""
        reach = self.now + self.world.longest_wait * 1_000_000
        ends = {one.expires_at: one for one in self.model.under((), self.now) if one.expires_at is not None and one.expires_at < reach}
        if not ends:
            return
        end = (max if latest else min)(ends)
        self.world.clock.set(end - 1)
        assert of_item(self.store.get(*ends[end].id)) == shown(ends[end])
        self.world.clock.set(end)
        assert self.store.get(*ends[end].id) is None
        assert self.store.get_many([ends[end].id]) == [None]

    @step(settles=False)
    def open_again(self) -> None:
        self.tally.reopened += 1
        self.reopen()

    @step()
    def heal(self) -> None:
        """Not while something waits: nobody could say what it met. It does not fall ill: a text that was embedded is known."""
        if self.drain_and_compare():
            self.world.is_ill = False

    @step(settles=False, prefix=st.sampled_from(PREFIXES))
    def resync(self, prefix: tuple[str, ...]) -> None:
        filed = self.attempt(lambda: self.store.resync(self.under(prefix)))
        if isinstance(filed, int) and not self.model.unsure:
            assert filed >= len(self.model.under(self.under(prefix), self.now))

    @step(settles=False, full=st.booleans())
    def reconcile(self, full: bool) -> None:
        """It finds what hands have done to the index, and never what is only on its way."""
        if self.is_damaged:
            self.world.clock.advance(20)
        report = self.attempt(lambda: self.store.reconcile(full=full))
        if isinstance(report, (Crash, StoreError)):
            return
        assert self.is_damaged or report.drift == 0, report
        self.model.reconciled(self.now)
        self.is_damaged = False

    @step(item=IDS, how=st.sampled_from(["gone", "other", "all gone"]))
    def damage_the_index(self, item: Id, how: str) -> None:
        index = self.world.index
        items = [self.at(item)] if how != "all gone" else [*self.model.documents]
        digests = [item_digest(ItemId(*one)) for one in items]
        points = [point for some in index.points_of(digests).values() for point in some]
        ids = [(point.id, point.fingerprint) for point in points]
        if how == "other":
            vectors = index.vectors(ids)
            other = {"fingerprint": "other", "write": "00" * 16}
            changed = [Point(point.id, vectors.get(point.id), {**point.payload, **other}) for point in points]
            index.upsert(changed, at_most=_LATEST)
        else:
            self.model.lost.update(items)
            index.delete(ids)
        if points:
            self.is_damaged, self.is_clean = True, False

    @step(settles=False, gives_up=st.booleans())
    def look_after_letters(self, gives_up: bool) -> None:
        """All of them are tried again, or given up. Those that were given up are tried only by name."""
        letters = self.store.dead_letters
        if self.is_damaged:
            return
        result = self.attempt(lambda: letters.discard("all") if gives_up else letters.replay("all"))
        if isinstance(result, (Crash, StoreError)):
            self.drain_and_compare()  # some of them may have been
            self._read_letters()
            return
        for item, (version, is_given_up) in [*self.model.dead.items()]:
            document = self.model.documents.get(item)
            if gives_up and document is not None and document.version == version:
                self.model.dead[item] = version, True
            elif not gives_up and not is_given_up:
                self.model.dirty.add(item)
                self.is_clean = False

    @step(prefix=st.sampled_from(PREFIXES), doomed=st.lists(IDS, max_size=3))
    def export_and_load(self, prefix: tuple[str, ...], doomed: list[Id]) -> None:
        """What was deleted since comes back with its times; what is there stays."""
        prefix, parts = self.under(prefix), self.store.parts
        pages = Export(parts.database, parts.reader, parts.clock.now, prefix).lines()
        stored = [from_line(line) for page in pages for line in page]
        documents = {one.id: one for one in self.model.under(prefix, self.now)}
        assert [(tuple(one.namespace), one.key) for one in stored] == [*documents]
        lost = [item for item in dict.fromkeys(map(self.at, doomed)) if item in documents]
        for receipt in self.store.delete_many(lost):
            self.applied(Write((receipt.namespace, receipt.key), None, self.now), receipt)
        restorer = Restorer(parts.writer, parts.clock.now)
        result = self.attempt(lambda: restorer.write(stored))
        self.is_clean = self.is_clean and not lost
        for item in lost:
            self._restored(documents[item], is_certain=not isinstance(result, (Crash, StoreError)))
        if isinstance(result, int):
            assert (restorer.stored, restorer.kept) == (len(lost), len(stored) - len(lost))

    def _restored(self, document: Document, *, is_certain: bool) -> None:
        item = document.id
        write = Write(item, document.value, self.now, document.index, None, document.expires_at, document.created_at)
        if not is_certain:
            self.model.doubt(item, write)
            return
        found = self.store.get(*item)
        self.model.doubt(item, write)
        self.model.unsure[item].remove(None)
        self.model.decide(item, found, self.now)

    def _read_letters(self) -> None:
        """What became of the letters when looking after them was cut."""
        found = {(letter.item.namespace, letter.item.key): letter for letter in self.store.dead_letters.list(1000).items}
        for item, (version, _) in [*self.model.dead.items()]:
            if item in found:
                self.model.dead[item] = version, found[item].discarded
            else:
                del self.model.dead[item]

