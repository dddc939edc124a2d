"""Several operations in one call: reads see what was there before the writes of the same call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Union

from scylla_store.arguments import checked_flag, checked_list
from scylla_store.errors import BatchFailed, StoreError, ValidationError
from scylla_store.filters import parse_filter
from scylla_store.identity import ItemId, checked_key, checked_namespace
from scylla_store.items import Put
from scylla_store.pipeline import outcomes
from scylla_store.search import Terms

if TYPE_CHECKING:
    from scylla_store.patterns import LabelPattern
    from scylla_store.store import ScyllaStore
    from scylla_store.writes import Change


@dataclass(frozen=True)
class Get:
    """Reads an item: the arguments of `get`."""

    namespace: Sequence[str]
    key: str
    refresh_ttl: bool = False


@dataclass(frozen=True)
class Delete:
    """Deletes an item: the arguments of `delete`."""

    namespace: Sequence[str]
    key: str


@dataclass(frozen=True)
class Search:
    """Finds items by meaning: the arguments of `search`."""

    prefix: Sequence[str]
    query: str | None = None
    vector: Sequence[float] | None = field(default=None, repr=False)
    filter: dict[str, Any] | None = None
    limit: int = 10
    offset: int = 0
    min_score: float | None = None
    with_value: bool = True
    refresh_ttl: bool = False


@dataclass(frozen=True)
class Find:
    """A page of items in an order: the arguments of `find`."""

    prefix: Sequence[str]
    filter: dict[str, Any] | None = None
    order_by: str = "-$updated_at"
    limit: int = 100
    cursor: str | None = None


@dataclass(frozen=True)
class List:
    """A page of items: the arguments of `list`."""

    prefix: Sequence[str]
    filter: dict[str, Any] | None = None
    limit: int = 100
    cursor: str | None = None


@dataclass(frozen=True)
class ListNamespaces:
    """A page of namespaces: the arguments of `list_namespaces`."""

    prefix: Sequence[LabelPattern] = ()
    suffix: Sequence[LabelPattern] = ()
    max_depth: int | None = None
    limit: int = 100
    cursor: str | None = None


Operation = Union[Put, Get, Delete, Search, Find, List, ListNamespaces]

_KINDS = (Put, Get, Delete, Search, Find, List, ListNamespaces)


def run(store: ScyllaStore, operations: Iterable[Operation]) -> list[Any]:
    """See `ScyllaStore.batch`."""
    chosen = _checked(operations)
    writes = {at: _change(store, at, one) for at, one in enumerate(chosen) if isinstance(one, (Put, Delete))}
    gets = {at: one for at, one in enumerate(chosen) if isinstance(one, Get)}
    ids = {at: _id(at, one) for at, one in gets.items()}
    results: list[Any] = [None] * len(chosen)
    lists = {at: one for at, one in enumerate(chosen) if isinstance(one, (Search, Find, List, ListNamespaces))}
    granting = [at for at, one in enumerate(chosen) if isinstance(one, Search) and _is_granting(store, at, one)]
    for at in [at for at in lists if at not in granting]:
        results[at] = _listed(store, at, lists[at])
    plain = [at for at, one in gets.items() if not one.refresh_ttl]
    for at, item in zip(plain, store.get_many([ids[at] for at in plain]) if plain else (), strict=True):
        results[at] = item
    for at in granting:  # last of all reads, because they write
        results[at] = _listed(store, at, lists[at])
    for at, one in gets.items():
        if one.refresh_ttl:
            results[at] = store.get(*ids[at], refresh_ttl=True)
    if writes:
        _write(store, writes, results)
    return results


def _checked(operations: Iterable[Operation]) -> list[Operation]:
    chosen = checked_list(operations, "operations", "operations")
    for at, one in enumerate(chosen):
        if not isinstance(one, _KINDS):
            names = ", ".join(kind.__name__ for kind in _KINDS)
            raise ValidationError(f"operations[{at}] must be one of {names}, not {type(one).__name__}")
    return chosen


def _change(store: ScyllaStore, at: int, one: Put | Delete) -> Change:
    writer, argument = store.parts.writer, f"operations[{at}]."
    if isinstance(one, Put):
        return writer.check_put(one, argument)
    return writer.check_delete(one.namespace, one.key, argument)


def _id(at: int, one: Get) -> ItemId:
    argument = f"operations[{at}]."
    checked_flag(one.refresh_ttl, f"{argument}refresh_ttl")
    return ItemId(
        checked_namespace(one.namespace, argument=f"{argument}namespace"),
        checked_key(one.key, argument=f"{argument}key"),
    )


def _is_granting(store: ScyllaStore, at: int, one: Search) -> bool:
    """Whether the search writes; then it is checked before anything is written."""
    if one.refresh_ttl is False:
        return False
    parts = store.parts
    try:
        where = parse_filter(one.filter, encoder=parts.encoder)
        terms = Terms(where, one.limit, one.offset, one.min_score, one.with_value, one.refresh_ttl)
        parts.searcher.check(one.prefix, one.query, one.vector, terms)
    except ValidationError as exc:
        raise ValidationError(f"operations[{at}].{exc}") from None
    return True


def _listed(store: ScyllaStore, at: int, one: Search | Find | List | ListNamespaces) -> Any:
    arguments = {each.name: getattr(one, each.name) for each in fields(one)}
    prefix = arguments.pop("prefix")
    try:
        if isinstance(one, Search):
            return store.search(prefix, arguments.pop("query"), **arguments)
        if isinstance(one, Find):
            return store.find(prefix, **arguments)
        if isinstance(one, List):
            return store.list(prefix, **arguments)
        return store.list_namespaces(prefix, arguments.pop("suffix"), **arguments)
    except ValidationError as exc:
        raise ValidationError(f"operations[{at}].{exc}") from None


def _write(store: ScyllaStore, writes: dict[int, Change], results: list[Any]) -> None:
    errors: list[StoreError | None] = [None] * len(results)
    receipts, failures = outcomes(store.parts.writer, list(writes.values()))
    for at, receipt, error in zip(writes, receipts, failures, strict=True):
        results[at], errors[at] = receipt, error
    if any(errors):
        raise BatchFailed(results, errors)
