"""delete_namespace: what lies under the prefix goes, from wherever a call stopped, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from scylla_store import ValidationError
from scylla_store.database.base import Mutation
from scylla_store.deleting import delete_namespace
from scylla_store.errors import TombstoneLimit
from scylla_store.identity import ItemId, Namespace
from scylla_store.rows import Cells
from scylla_store.testing import TestingStore
from scylla_store.walks import PAGE
from scylla_store.wiring import Parts
from tests.unit.core import Core, raises

INSIDE = [ItemId(namespace, key) for namespace in (("docs",), ("docs", "a"), ("docs", "b", "c")) for key in ("1", "2")]
OUTSIDE = [ItemId(namespace, "1") for namespace in (("doc",), ("docs\0",), ("docsa",), ("other", "docs"))]


class Killed(BaseException):
    """The process ends here."""


def filled() -> Core:
    """Documents inside and outside of the prefix, all indexed."""
    core = Core()
    for item in (*INSIDE, *OUTSIDE):
        core.parts.registry.register({item.namespace})
        core.put(item=item)
    core.work(*core.refs())
    return core


def delete(core: Core, *, parts: Parts | None = None, prefix: Namespace = ("docs",)) -> int:
    parts = parts or core.parts
    return delete_namespace(parts.database, parts.reader, parts.writer, prefix)


def living(core: Core, items: Sequence[ItemId]) -> list[ItemId]:
    return [item for item in items if (row := core.row(item)) is not None and not row.head.deleted]


def test_what_lies_under_the_prefix_is_deleted_and_its_points_go_and_nothing_else() -> None:
    core = filled()

    assert delete(core) == len(INSIDE)

    core.work(*core.refs())
    assert (living(core, INSIDE), living(core, OUTSIDE)) == ([], OUTSIDE)
    assert [core.points(item) for item in INSIDE] == [[]] * len(INSIDE)
    assert all(core.points(item) for item in OUTSIDE)


def test_a_second_call_finds_nothing_and_writes_nothing() -> None:
    core = filled()
    delete(core)
    before = core.refs()

    assert delete(core) == 0

    assert core.refs() == before


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", ["keys", "namespaces", "commit"])
def test_killed_beside_any_request_the_next_call_deletes_the_rest_and_no_point_stays(moment: str, call: str) -> None:
    # Given a call that is killed
    core = filled()
    getattr(core.db, moment)[call] = lambda: raises(Killed())
    with pytest.raises(Killed):
        delete(core)
    deleted = len(INSIDE) - len(living(core, INSIDE))
    # When another process calls
    assert delete(core, parts=core.elsewhere) == len(INSIDE) - deleted
    # Then all is gone, from the index too
    core.work(*core.refs())
    assert living(core, INSIDE) == []
    assert [core.points(item) for item in INSIDE] == [[]] * len(INSIDE)


def test_a_put_that_comes_after_the_delete_of_its_row_stays() -> None:
    core = filled()
    core.db.after["commit"] = lambda: core.put("new", INSIDE[0])

    delete(core)

    core.work(*core.refs())
    assert living(core, INSIDE) == [INSIDE[0]]
    assert len(core.points(INSIDE[0])) == 1


def test_expired_and_damaged_rows_go_too_and_do_not_count() -> None:
    core = filled()
    core.put(item=INSIDE[0], ttl=5)
    core.clock.advance(6)
    core.database.write([Mutation(INSIDE[1], core.clock() - 1, b"no head", b"no body")])

    assert delete(core) == len(INSIDE) - 2

    assert living(core, INSIDE) == []


def test_where_the_database_gives_up_the_other_namespaces_go_and_the_error_names_it() -> None:
    core = filled()
    error = TombstoneLimit("Namespace ['docs']: too many")
    error.namespace = ("docs",)
    core.db.before["keys"] = lambda: raises(error)

    with pytest.raises(TombstoneLimit, match=r"4 documents are deleted.*\['docs'\].*Call again later") as raised:
        delete(core)

    assert raised.value.namespace == ("docs",)
    assert living(core, INSIDE) == INSIDE[:2]


def test_one_page_of_rows_is_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given more rows than a page has
    core = Core()
    items = [ItemId(("docs",), f"{number:05}") for number in range(2 * PAGE + 3)]
    core.elsewhere.writer.write([core.elsewhere.writer.check_delete(*item) for item in items[:2]])
    for item in items:
        core.put(item=item)
    sizes: list[int] = []
    keys = core.database.keys

    def counted(*args: object, **options: object) -> list[Cells]:
        found = keys(*args, **options)  # type: ignore[arg-type]
        sizes.append(len(found))
        return found

    monkeypatch.setattr(core.database, "keys", counted)
    told: list[int] = []
    # When they are deleted
    deleted = delete_namespace(core.db, core.parts.reader, core.parts.writer, ("docs",), told.append)  # type: ignore[arg-type]
    # Then each page was done before the next one was read
    assert (deleted, sizes) == (len(items), [PAGE, PAGE, 3])
    assert told == [PAGE, 2 * PAGE, 2 * PAGE + 3]


def test_the_store_refuses_the_empty_prefix(scylla_store: TestingStore) -> None:
    scylla_store.put(("docs", "a"), "k", {"text": "hot tea"}, wait=1)
    for wrong in ((), "docs", None, ("",)):
        with pytest.raises(ValidationError, match="prefix"):
            scylla_store.delete_namespace(wrong)  # type: ignore[arg-type]

    assert scylla_store.delete_namespace(["docs"]) == 1
    scylla_store.drain()
    assert scylla_store.get(("docs", "a"), "k") is None
    assert scylla_store.search((), "tea") == []
    assert scylla_store.count(()) == 0
