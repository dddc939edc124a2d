"""The store: everything an application does with documents, on one page.

What it does under a condition (`put_if_not_exists`, `compare_and_set`, `update` and the others) is in conditional_writes.py, what an
operator does (`setup`, `status`, `reconcile`, `dead_letters` and the others) in operating.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from scylla_store.arguments import checked_flag
from scylla_store.batch import Operation
from scylla_store.batch import run as run_batch
from scylla_store.clock import Clock, system_clock
from scylla_store.conditional_writes import ConditionalWrites, Index_
from scylla_store.database.base import Database
from scylla_store.deleting import delete_namespace
from scylla_store.dispatch import Dispatcher
from scylla_store.embedders.base import Embedder, EmbedFunction
from scylla_store.filters import parse_filter
from scylla_store.identity import Namespace, checked_namespace, namespace_digest
from scylla_store.index.base import Index
from scylla_store.items import Hits, Item, Page, Put
from scylla_store.operating import Operating
from scylla_store.patterns import LabelPattern
from scylla_store.pipeline import Pipeline, put_stream
from scylla_store.reads import checked_limit
from scylla_store.receipts import Receipt, checked_wait
from scylla_store.search import Terms
from scylla_store.settings.options import Settings
from scylla_store.ttls import DEFAULT_TTL, Ttl
from scylla_store.wiring import Parts
from scylla_store.writes import Change

Receipts = list[Receipt]
Items = list[Item | None]
Answers = list[Hits]


class ScyllaStore(ConditionalWrites, Operating):
    """A document store that can be searched by meaning.

    `put` writes to the database and returns; embedding and indexing follow in the background. Safe to share between
    threads, safe to create at module level (it connects at first use), safe to use on both sides of a fork.

        with ScyllaStore.from_settings() as store:
            store.put(("docs", "alice"), "k1", {"title": "Tea", "text": "How to brew it"})
            hits = store.search(("docs",), "brewing tea")

    Args:
        settings: what `scylla_store.settings.load` returns, or None for the defaults.
        database, index, embedder, dispatcher: collaborators to use instead of those that the settings describe; they
            are not closed with the store.
        clock: time in microseconds since the epoch.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        database: Database | None = None,
        index: Index | None = None,
        embedder: Embedder | EmbedFunction | None = None,
        dispatcher: Dispatcher | None = None,
        clock: Clock = system_clock,
    ) -> None:
        parts = Parts(
            settings or Settings(),
            database=database,
            index=index,
            embedder=embedder,
            dispatcher=dispatcher,
            clock=clock,
        )
        super().__init__(parts)

    @classmethod
    def from_settings(cls, **overrides: Any) -> ScyllaStore:
        """A store from defaults, settings file, SCYLLA_STORE_* variables and keyword arguments, the later ones winning.

        Args:
            overrides: options by name, with `__` between section and name: `path="…"`, `database__keyspace="x"`.

        Raises:
            ConfigurationError: everything that is wrong, at once.
        """
        from scylla_store.settings import load

        return cls(load(**overrides))

    @property
    def settings(self) -> Settings:
        """The effective settings, frozen."""
        return self._parts.settings

    # -- writing

    def put(
        self,
        namespace: Sequence[str],
        key: str,
        value: dict[str, Any],
        *,
        index: Index_ = None,
        ttl: Ttl = DEFAULT_TTL,
        wait: float | None = None,
    ) -> Receipt:
        """Stores a document, replacing what was there.

        Args:
            namespace: labels, outermost first: `("docs", "alice")`.
            key: 1 to 1,024 bytes.
            value: a JSON object, at most `limits.max_document_bytes`.
            index: what is embedded: None for the configured fields, False for nothing, or paths such as "sections[*].text".
            ttl: seconds until it expires, a number > 0; None: never; not given: what the setting `ttl.defaults` says, else never.
            wait: seconds to wait until it is searchable; None: not at all.

        Raises:
            ValidationError: an argument is wrong; nothing was written.
            DatabaseUnavailable: the database did not take it. OutcomeUnknown: it may have.
            SyncTimeout, DeadLettered: only with `wait`; it is stored.
        """
        writer = self._started().writer
        return self._write([writer.check_put(Put(namespace, key, value, index, ttl))], wait)[0]

    def put_many(
        self,
        puts: Iterable[Put],
        *,
        wait: float | None = None,
        on_progress: Callable[[int, Receipts], None] | None = None,
    ) -> Receipts:
        """Stores up to 100,000 documents; receipts come in input order, the last put of a key wins. `wait` is for all of them.

        Args:
            on_progress: for any number of documents: a thousand at a time (fewer when those have 8 MB) are taken, checked, stored and
                forgotten. It is told how many are stored so far, and their receipts; the list that is returned is empty.

        Raises:
            ValidationError: any of them is wrong; nothing was written (with `on_progress`: none of its thousand and those after).
            PartialFailure: some were not stored; it says which, and has the receipts of the others.
            Backlogged: too many writes wait for the index, see `bulk.max_pending`.
        """
        parts = self._started()
        if on_progress is not None:
            return put_stream(parts.writer, parts.pressure, puts, on_progress, wait)
        changes = parts.writer.check_puts(puts)
        parts.pressure.admit(len(changes))
        return self._write(changes, wait)

    def delete(self, namespace: Sequence[str], key: str, *, wait: float | None = None) -> Receipt:
        """Deletes a document; `receipt.existed` says whether there was one. `wait`: until its points are gone too."""
        return self._write([self._started().writer.check_delete(namespace, key)], wait)[0]

    def delete_many(self, keys: Iterable[tuple[Sequence[str], str]], *, wait: float | None = None) -> Receipts:
        """Deletes up to 100,000 documents; receipts come in input order."""
        return self._write(self._started().writer.check_deletes(keys), wait)

    def delete_namespace(self, prefix: Sequence[str], *, on_progress: Callable[[int], None] | None = None) -> int:
        """Deletes every document whose namespace begins with these labels; returns how many there were.

        Stopped anywhere, a second call deletes the rest. A put that comes meanwhile wins or loses as beside any delete.

        Args:
            prefix: at least one label: nothing deletes everything.
            on_progress: called after some hundred rows, with the documents deleted so far.

        Raises:
            PartialFailure: some were not deleted: call again. TombstoneLimit: the rest is deleted, but not what it names.
        """
        namespace = checked_namespace(prefix, argument="prefix")
        parts = self._started()
        return delete_namespace(parts.database, parts.reader, parts.writer, namespace, on_progress)

    def pipeline(self, *, size: int = 1000) -> Pipeline:
        """Collects puts and deletes in a `with` block, stores `size` at a time (1 to 10,000; at 8 MB), and reports on each."""
        parts = self._started()
        return Pipeline(parts.writer, parts.pressure, checked_limit(size, "size"))

    def batch(self, operations: Iterable[Operation]) -> Sequence[Any]:
        """Runs operations (`Get`, `Put`, `Delete`, `Search`, `Find`, `List`, `ListNamespaces`) and returns their results in input order.

        All reads see what was there before the writes of the batch; of several writes of one item the last one wins.
        Writes of several items are no transaction: each is stored or not.

        Raises:
            ValidationError: any of them is wrong; nothing was written.
            TransientError: a read failed; nothing was written. BatchFailed: some writes failed; it has all other results.
        """
        return run_batch(self, operations)

    def _write(self, changes: list[Change], wait: float | None) -> Receipts:
        timeout = checked_wait(wait)
        receipts = self._started().writer.write(changes) if changes else []
        if timeout is not None:
            self._wait_for(receipts, timeout)
        return receipts

    # -- reading

    def get(self, namespace: Sequence[str], key: str, *, refresh_ttl: bool = False) -> Item | None:
        """The document, or None. `refresh_ttl` grants it its whole TTL again, from now."""
        return self._started().reader.get(namespace, key, refresh_ttl=refresh_ttl)

    def get_many(self, keys: Iterable[tuple[Sequence[str], str]]) -> Items:
        """The documents (or None) in the order of the keys, up to 100,000 of them."""
        return self._started().reader.get_many(keys)

    def search(
        self,
        prefix: Sequence[str],
        query: str | None = None,
        *,
        vector: Sequence[float] | None = None,
        filter: dict[str, Any] | None = None,
        limit: int = 10,
        offset: int = 0,
        min_score: float | None = None,
        with_value: bool = True,
        refresh_ttl: bool = False,
    ) -> Hits:
        """Items under the prefix whose text is nearest in meaning, best first, one hit per item.

        The index may lag behind the database by what is pending; items are read from the database, so that a deleted
        or expired one never appears and a value is always the current one (`hit.fresh` says whether it is the indexed one).

        Args:
            prefix: the first labels of the namespaces to search; `()` for all.
            query: text; or `vector`: finite numbers, as many as the embedder has dimensions.
            filter: what the items must match as they are now: docs/reference/filters.md. One that the index cannot answer alone
                makes it look at more points, `limits.max_scanned` at most; `hits.is_partial` says when that was not enough.
            limit: 1 to 10,000 items, after `offset` of them.
            min_score: smallest cosine similarity.
            with_value: False: documents are left where they are (`hit.item.value` and `hit.text` are None), which is
                cheaper when they are large. Deleted, expired and not matching ones do not appear all the same.
            refresh_ttl: grants the items of the hits their whole TTL again, from now.

        Raises:
            IndexUnavailable, EmbedderUnavailable, EmbeddedIndexBusy, EmbedderBusy: try again later.
        """
        parts = self._started()
        where = parse_filter(filter, encoder=parts.encoder)
        terms = Terms(where, limit, offset, min_score, with_value, refresh_ttl)
        return parts.searcher.search(prefix, query, vector, terms)

    def search_many(
        self, prefix: Sequence[str], queries: Iterable[str | Sequence[float]], *,
        filter: dict[str, Any] | None = None, limit: int = 10, offset: int = 0, min_score: float | None = None,
        with_value: bool = True, refresh_ttl: bool = False,
    ) -> Answers:  # fmt: skip
        """As `search`, for up to 100 texts or vectors at once: one request each to embedder, index and database for all.

        Returns:
            The hits of each, in the order of the queries. `limit` and all the rest hold for each of them.
        """
        parts = self._started()
        where = parse_filter(filter, encoder=parts.encoder)
        terms = Terms(where, limit, offset, min_score, with_value, refresh_ttl)
        return parts.searcher.search_many(prefix, queries, terms)

    def find(
        self, prefix: Sequence[str], *, filter: dict[str, Any] | None = None, order_by: str = "-$updated_at",
        limit: int = 100, cursor: str | None = None,
    ) -> Page[Item]:  # fmt: skip
        """Documents under the prefix in an order, from the index, and read from the database: what changed a moment ago follows.

        What was stored with `index=False` is not there. Items that compare equal keep one order among themselves.

        Args:
            filter: what they must match as they are now, with the bound of `search`: a page may be short, or empty, and still
                have a cursor.
            order_by: `$updated_at`, `$created_at`, `$version`, or a path of `index.range_fields`: numbers, then text by code
                point, then documents that have neither there. "-" before it turns the order of numbers and text around.
            cursor: of the last page, for the same prefix, filter and order.

        Raises:
            IndexUnavailable, EmbeddedIndexBusy: try again later.
        """
        parts = self._started()
        where = parse_filter(filter, encoder=parts.encoder)
        return parts.finder.find(prefix, where=where, order_by=order_by, limit=limit, cursor=cursor)

    def list(
        self,
        prefix: Sequence[str],
        *,
        filter: dict[str, Any] | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Item]:
        """Documents under the prefix, by namespace and key, from the database: exact.

        One call looks at `limits.max_scanned` rows at most, deleted and expired ones included (without a filter at `limit` rows
        at least). So a page may be short, or empty, and still have a cursor: only a page without one is the last.

        Args:
            filter: what the documents must match: docs/reference/filters.md.
            cursor: of the last page, for the same prefix and filter.
        """
        parts = self._started()
        where = parse_filter(filter, encoder=parts.encoder)
        return parts.reader.page(prefix, limit=limit, cursor=cursor, where=where)

    def list_namespaces(
        self,
        prefix: Sequence[LabelPattern] = (),
        suffix: Sequence[LabelPattern] = (),
        *,
        max_depth: int | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Namespace]:
        """Namespaces that begin and end with these labels, cut to `max_depth` labels, each one once; in order.

        `ANY_LABEL` among the labels stands for any one of them. One call looks at `limits.max_scanned` namespaces at most, so
        a page may be short, or empty, and still have a cursor.
        """
        return self._started().reader.list_namespaces(prefix, suffix, max_depth=max_depth, limit=limit, cursor=cursor)

    def count(self, prefix: Sequence[str], *, filter: dict[str, Any] | None = None, exact: bool = False) -> int:
        """How many documents are under the prefix: those that the index knows, or exactly (reads them all).

        With a filter it is always exact, from the database; without `exact` it looks at `limits.max_scanned` rows at most.

        Raises:
            ScanLimitReached: there are more rows than that; the message says what to do.
        """
        namespace = checked_namespace(prefix, argument="prefix", prefix=True)
        parts = self._started()
        where = parse_filter(filter, encoder=parts.encoder)
        if checked_flag(exact, "exact"):
            return parts.reader.count(namespace, where)
        if where is not None:
            return parts.reader.count_some(namespace, where)
        parts.open_index()
        digest = namespace_digest(namespace) if namespace else None
        return parts.index.count(prefix=digest, now=parts.clock.now())
