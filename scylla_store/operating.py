"""Of a store: what an operator does with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scylla_store.dead_letters import DeadLetters
from scylla_store.health import Examination, Health
from scylla_store.identity import checked_namespace
from scylla_store.lifecycle import Lifecycle
from scylla_store.receipts import checked_seconds
from scylla_store.reconcile import Progress, ReconcileReport, check_request, resync
from scylla_store.status import Status, read_status


class Operating(Lifecycle):
    """Schema and collection, how far the index is behind, what could not be indexed, comparing and repairing."""

    def setup(self) -> None:
        """Makes schema, collection and payload indexes; idempotent, never alters what it did not make.

        The schema is made by the database's clock. ClockSkew before anything else while this machine's clock is refused.
        """
        self.parts.database.setup()
        self.parts.guard.check()
        self.parts.set_up_index()
        self.parts.rebuild.set_up()

    @property
    def dead_letters(self) -> DeadLetters:
        """What could not be indexed: list, get, counts, replay, discard."""
        parts = self._started()
        return DeadLetters(parts.database, parts.publisher, parts.clock, parts.settings.sync, parts.guard.check)

    def status(self, exact: bool = False) -> Status:
        """How far the index is behind: the last drain's summary and its age, or exact counts."""
        return read_status(self.parts, exact=exact)

    def reconcile(
        self,
        full: bool = False,
        dry_run: bool = False,
        *,
        max_rate: float | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> ReconcileReport:
        """Compares all documents with the index, and files repairs for what differs; the workers carry them out.

        It goes on where an interrupted one stopped. What is just being written or indexed is no difference.

        Args:
            full: compares all that points say of chunks and values too, without `reconcile.max_rate`.
            dry_run: compares only; changes nothing.
            max_rate: rows and points a second at most (1 or more), instead of the settings' rate.
            on_progress: called after every step.

        Raises:
            LeaseLost: another reconciliation is at work. TransientError: call again, it goes on where it stopped.
        """
        check_request(full=full, dry_run=dry_run, max_rate=max_rate, on_progress=on_progress)
        parts = self._started()
        parts.open_index()
        return parts.reconciler.run(full=full, dry_run=dry_run, max_rate=max_rate, on_progress=on_progress)

    def resync(self, prefix: Sequence[str]) -> int:
        """Has every document under the prefix looked after again; returns how many.

        Points that are right stay as they are, and no text is embedded twice. Dead letters stay: see `dead_letters.replay`.
        ClockSkew while this machine's clock is refused: what it files would be due at another time.
        """
        namespace = checked_namespace(prefix, argument="prefix", prefix=True)
        parts = self._started()
        parts.guard.check()
        return resync(parts.database, parts.reader, parts.clock.now, namespace)

    def health(self) -> dict[str, Health]:
        """One line for each dependency, and for the work in the background: ok, degraded or down, latency, reason."""
        return Examination(self.parts).lines()

    def flush(self, timeout: float = 5.0) -> bool:
        """Hands everything collected to the broker now; False when that took longer than `timeout` seconds."""
        return self.parts.publisher.flush(checked_seconds(timeout, "timeout"))
