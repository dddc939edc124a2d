"""The judge sees what is wrong, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scylla_store.identity import ItemId, item_digest, item_slice, namespace_digest, point_id, prefix_digests
from scylla_store.points import text_hash
from tests.acceptance import record
from tests.acceptance.cells import HEAD, NOT_INDEXED, PATHS, REFRESH, StoredRow
from tests.acceptance.judge import judge
from tests.acceptance.operations import Plan
from tests.acceptance.points import NEVER, StoredPoint
from tests.acceptance.record import SECOND, Record, Write, digest_of
from tests.acceptance.sources import State, Waiting

NAMESPACE = ("docs", "alice")
NOW = 1_000_000 * SECOND
VERSION = NOW - 100 * SECOND
VALUE = {"text": "one two three four"}
HOUR = 3600 * SECOND


class World:
    """A record and a state that fit: one item with two chunks."""

    def __init__(self) -> None:
        self.record = [written(VALUE)]
        self.state = State(rows=[row(VALUE)], points=[point(0), point(1)], dimensions=2)

    def judged(self) -> dict[str, int]:
        return {kind: len(found) for kind, found in judge(self.record, self.state, now=NOW).findings.items()}


def written(
    value: dict[str, Any] | None,
    *,
    key: str = "k",
    version: int | None = VERSION,
    ttl: float | None = None,
    at: int = VERSION,
) -> Write:
    start = (version or at) - 10
    digest = None if value is None else digest_of(value)
    return Write(NAMESPACE, key, digest, ttl, True, version, start, None if version is None else start + 20)


def row(
    value: dict[str, Any] | None,
    *,
    key: str = "k",
    version: int = VERSION,
    write_id: bytes = b"w" * 16,
    flags: int = 0,
    expires_at: int = -1,
) -> StoredRow:
    body = json.dumps(value).encode()
    flags |= value is None
    flags |= PATHS
    head = HEAD.pack(write_id, 1, flags, version, expires_at, hashlib.blake2b(body, digest_size=16).digest())
    head += b'["text"]'
    return StoredRow(NAMESPACE, key, version, head, None if value is None else write_id + body)


def point(ordinal: int, *, count: int = 2, key: str = "k", **changes: Any) -> StoredPoint:
    start, end = (0, 9) if ordinal == 0 else (9, 18)
    text = VALUE["text"][start:end]
    item = item_digest(ItemId(NAMESPACE, key))
    payload = {
        "namespace": list(NAMESPACE), "key": key, "item": item, "slice": item_slice(item),
        "tenant": namespace_digest(NAMESPACE[:1]), "prefixes": prefix_digests(NAMESPACE),
        "version": VERSION, "write": (b"w" * 16).hex(),
        "fingerprint": "f", "model": "m", "expires_at": NEVER, "ordinal": ordinal, "count": count, "path": "text",
        "start": start, "end": end, "text_hash": text_hash(text),
    }  # fmt: skip
    return StoredPoint(point_id(item, ordinal), {**payload, **changes}, has_vector=True, vector=(0.6, 0.8))


def passage(ordinal: int, start: int, end: int, **changes: Any) -> StoredPoint:
    """A chunk that holds what it says, from `start` to `end`."""
    return point(ordinal, start=start, end=end, text_hash=text_hash(VALUE["text"][start:end]), **changes)


def test_a_state_that_fits_the_record_is_clean() -> None:
    assert World().judged() == {}


def lost(world: World) -> None:
    world.state = State()


def lost_behind_an_older_version(world: World) -> None:
    world.record.append(written({"text": "newer"}, version=VERSION + 5))


def other_value(world: World) -> None:
    world.record = [written({"text": "another"})]


def other_expiry(world: World) -> None:
    world.record = [written(VALUE, ttl=3600)]


def lost_delete(world: World) -> None:
    world.record.append(written(None, version=VERSION + 5))


def revived(world: World) -> None:
    world.record = [written(None, version=VERSION - 5)]


def written_by_nobody(world: World) -> None:
    world.record = []


def gone_after_an_unknown_delete_that_ended_before(world: World) -> None:
    world.record.append(written(None, version=None, at=VERSION - HOUR))
    world.state = State()


def revived_by_an_unknown_put_that_ended_before(world: World) -> None:
    value = {"text": "unknown"}
    world.record.append(written(value, version=None, at=VERSION - HOUR))
    world.state = State(rows=[row(value, version=VERSION + 5, flags=NOT_INDEXED)])
    world.record[-1] = replace(world.record[-1], indexed=False)


def gone_without_the_head_of_its_delete(world: World) -> None:
    world.record.append(written(None, version=VERSION + 5))
    world.state = State()


def gone_without_the_head_of_an_unknown_delete(world: World) -> None:
    world.record.append(written(None, version=None))
    world.state = State()


def gone_without_the_head_of_its_expiry(world: World) -> None:
    world.record = [written(VALUE, ttl=10)]
    world.state = State()


def torn(world: World) -> None:
    stored = world.state.rows[0]
    world.state.rows = [replace(stored, body=b"x" * 16 + (stored.body or b"")[16:])]


def damaged_body(world: World) -> None:
    stored = world.state.rows[0]
    world.state.rows = [replace(stored, body=(stored.body or b"").replace(b"two", b"owt"))]


def expired_and_not_cleaned(world: World) -> None:
    world.record = [written(VALUE, ttl=10)]
    world.state = State(rows=[row(VALUE, expires_at=VERSION + 10 * SECOND)])


def missing(world: World) -> None:
    world.state.points = []


def missing_chunk(world: World) -> None:
    world.state.points = [point(1)]


def surplus_chunk(world: World) -> None:
    world.state.points.append(point(2))


def wrong_count(world: World) -> None:
    world.state.points = [point(0, count=1), point(1)]


def stale_version(world: World) -> None:
    world.state.points[1] = point(1, version=VERSION - 1)


def stale_write(world: World) -> None:
    world.state.points[1] = point(1, write="00" * 16)


def stale_expiry(world: World) -> None:
    world.state.points = [point(0, expires_at=5), point(1, expires_at=5)]


def another_text(world: World) -> None:
    world.state.points[1] = point(1, text_hash="00")


def no_vector(world: World) -> None:
    world.state.points[0] = replace(point(0), has_vector=False)


def another_prefix(world: World) -> None:
    prefixes = [*prefix_digests(NAMESPACE)[:1], namespace_digest(("docs", "bob"))]
    world.state.points = [point(0, prefixes=prefixes), point(1, prefixes=prefixes)]


def a_prefix_less(world: World) -> None:
    world.state.points[1] = point(1, prefixes=prefix_digests(NAMESPACE)[1:])


def another_tenant(world: World) -> None:
    world.state.points[0] = point(0, tenant=namespace_digest(("other",)))


def another_slice(world: World) -> None:
    world.state.points[0] = point(0, slice=(point(0).payload["slice"] + 1) % 4096)


def another_item(world: World) -> None:
    world.state.points = [point(0, item="0" * 32), point(1, item="0" * 32)]


def another_id(world: World) -> None:
    world.state.points[0] = replace(point(0), id=point_id(point(0).payload["item"], 7))


def a_gap_between_chunks(world: World) -> None:
    world.state.points[1] = passage(1, 13, 18)


def the_end_is_in_no_chunk(world: World) -> None:
    world.state.points[1] = passage(1, 9, 13)


def the_beginning_is_in_no_chunk(world: World) -> None:
    world.state.points[0] = passage(0, 4, 9)


def a_text_is_in_no_chunk(world: World) -> None:
    world.state.points = [passage(0, 0, 9, count=1)]


def a_chunk_beyond_the_text(world: World) -> None:
    world.state.points[1] = passage(1, 9, 19)


def a_chunk_of_no_text(world: World) -> None:
    world.state.points[1] = point(1, path="summary")


def a_short_vector(world: World) -> None:
    world.state.points[1] = replace(point(1), vector=(1.0,))


def no_number_in_a_vector(world: World) -> None:
    world.state.points[1] = replace(point(1), vector=(0.6, float("nan")))


def nothing_in_a_vector(world: World) -> None:
    world.state.points[1] = replace(point(1), vector=(0.6, None))


def anchor_for_text(world: World) -> None:
    world.state.points = [replace(point(0, count=1, text_hash="", path=None), has_vector=False)]


def orphan_of_no_row(world: World) -> None:
    world.state.points.append(point(0, key="nobody", count=1))


def orphan_of_a_deleted_row(world: World) -> None:
    world.record = [written(None)]
    world.state.rows = [row(None)]


def orphan_of_an_expired_row(world: World) -> None:
    world.record = [written(VALUE, ttl=10)]
    world.state.rows = [row(None)]


def orphan_of_an_unindexed_row(world: World) -> None:
    world.record = [replace(written(VALUE), indexed=False)]
    world.state.rows = [row(VALUE, flags=4)]


def nameless_point(world: World) -> None:
    world.state.points.append(StoredPoint("x", {"version": 1}, has_vector=True))


def intent_left(world: World) -> None:
    world.state.outbox = [Waiting((NAMESPACE, "k"), "write", NOW + 60 * SECOND)]


def expiry_overdue(world: World) -> None:
    world.state.outbox = [Waiting((NAMESPACE, "k"), "expiry", NOW - 60 * SECOND)]


def dead_letter(world: World) -> None:
    world.state.letters = ["id"]


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (lost, {"lost": 1}),
        (lost_behind_an_older_version, {"lost": 1}),
        (other_value, {"wrong": 1}),
        (other_expiry, {"wrong": 1}),
        (lost_delete, {"lost": 1}),
        (revived, {"unexplained": 1}),
        (written_by_nobody, {"unexplained": 1}),
        (gone_after_an_unknown_delete_that_ended_before, {"lost": 1}),
        (revived_by_an_unknown_put_that_ended_before, {"unexplained": 1}),
        (gone_without_the_head_of_its_delete, {"lost": 1}),
        (gone_without_the_head_of_an_unknown_delete, {"lost": 1}),
        (gone_without_the_head_of_its_expiry, {"lost": 1}),
        (torn, {"torn": 1, "lost": 1, "orphan": 1}),
        (damaged_body, {"torn": 1, "lost": 1, "orphan": 1}),
        (expired_and_not_cleaned, {"uncleaned": 1}),
        (missing, {"missing": 1}),
        (missing_chunk, {"incomplete": 1}),
        (surplus_chunk, {"incomplete": 1}),
        (wrong_count, {"incomplete": 1}),
        (stale_version, {"stale": 1}),
        (stale_write, {"stale": 1}),
        (stale_expiry, {"stale": 1}),
        (another_text, {"unembedded": 1}),
        (no_vector, {"unembedded": 1}),
        (another_prefix, {"wrong": 1}),
        (a_prefix_less, {"wrong": 1}),
        (another_tenant, {"wrong": 1}),
        (another_slice, {"wrong": 1}),
        (another_item, {"wrong": 1}),
        (another_id, {"wrong": 1}),
        (a_gap_between_chunks, {"wrong": 1}),
        (the_end_is_in_no_chunk, {"wrong": 1}),
        (the_beginning_is_in_no_chunk, {"wrong": 1}),
        (a_text_is_in_no_chunk, {"wrong": 1}),
        (a_chunk_beyond_the_text, {"wrong": 1}),
        (a_chunk_of_no_text, {"wrong": 1}),
        (a_short_vector, {"wrong": 1}),
        (no_number_in_a_vector, {"wrong": 1}),
        (nothing_in_a_vector, {"wrong": 1}),
        (anchor_for_text, {"unembedded": 1}),
        (orphan_of_no_row, {"orphan": 1}),
        (orphan_of_a_deleted_row, {"orphan": 1}),
        (orphan_of_an_expired_row, {"orphan": 1}),
        (orphan_of_an_unindexed_row, {"orphan": 1}),
        (nameless_point, {"orphan": 1}),
        (intent_left, {"outbox": 1}),
        (expiry_overdue, {"outbox": 1}),
        (dead_letter, {"dead": 1}),
    ],
)
def test_a_planted_defect_is_found(plant: Callable[[World], None], found: dict[str, int]) -> None:
    # Given a world that fits
    world = World()
    # When one thing in it is broken
    plant(world)
    # Then exactly that is found
    assert world.judged() == found


def test_an_unknown_write_may_have_won_or_not() -> None:
    # Given an acknowledged write and a later one whose answer was lost
    world = World()
    world.record.append(written({"text": "unknown"}, version=None))
    # Then the first one is fine as it is
    assert world.judged() == {}
    # And the second one too, when it is newer
    world.state = State(rows=[row({"text": "unknown"}, version=VERSION + 7)], points=[])
    assert world.judged() == {"missing": 1}


def test_an_unknown_write_that_never_happened_leaves_nothing() -> None:
    world = World()
    world.record = [written(VALUE, version=None)]
    world.state = State()
    assert world.judged() == {}


def test_an_expired_item_may_be_gone_or_a_deleted_head_at_its_own_version() -> None:
    # Given one whose cleaned up head stays for an hour
    world = World()
    world.record = [written(VALUE, ttl=10)]
    world.state = State(rows=[row(None)])
    assert world.judged() == {}
    # And one of some time ago, whose head may be gone too
    world.record = [written(VALUE, ttl=10, version=VERSION - 2 * HOUR)]
    for rows in ([], [row(None, version=VERSION - 2 * HOUR)]):
        world.state = State(rows=rows)
        assert world.judged() == {}


@pytest.mark.parametrize(("late", "found"), [(0, {}), (2, {"wrong": 1})])
def test_a_ttl_counts_from_a_version_that_lies_ahead_of_its_writer(late: int, found: dict[str, int]) -> None:
    world = World()
    wrote = replace(written(VALUE, ttl=3600), started_at=VERSION - 3 * SECOND, finished_at=VERSION - 3 * SECOND)
    world.record = [wrote]
    expires_at = VERSION + (3600 + late) * SECOND
    points = [point(0, expires_at=expires_at), point(1, expires_at=expires_at)]
    world.state = State(rows=[row(VALUE, expires_at=expires_at)], points=points)
    assert world.judged() == found


def test_a_deleted_item_may_be_gone_or_a_deleted_head() -> None:
    world = World()
    long_ago = VERSION - 2 * HOUR
    world.record = [written(VALUE, version=long_ago), written(None, version=long_ago + 5)]
    for rows in ([], [row(None, version=long_ago + 5)]):
        world.state = State(rows=rows)
        assert world.judged() == {}


@pytest.mark.parametrize("seconds", [1, 5, 600])
def test_an_unknown_write_excuses_what_it_may_have_done_after_the_acknowledged_one_however_long_it_took(
    seconds: int,
) -> None:
    # Given a writer that was stopped in mid-delete before the put, and went on after it
    world = World()
    doomed = replace(written(None, version=None, at=VERSION - seconds * SECOND), ended_at=VERSION + SECOND)
    world.record.append(doomed)
    world.state = State(rows=[row(None, version=VERSION + 7)])
    # Then the delete may have won
    assert world.judged() == {}


def test_a_record_says_when_an_operation_was_over_also_where_its_writer_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "writer.log"
    log = Record(path)
    log.intend(0, [written(VALUE, key="killed")])
    log.intend(1, [written(VALUE, key="failed")])
    log.fail(1, TimeoutError("late"))
    log.intend(2, [written(VALUE, key="open")])
    # Then the next operation ends one that was killed, and nothing the last
    killed, failed, last = record.writes([path])
    assert killed.ended_at == failed.started_at
    assert failed.ended_at is not None
    assert last.ended_at is None
    assert failed.started_at <= failed.ended_at <= last.started_at


def test_an_item_with_an_expiry_ahead_has_it_in_its_points_and_waits_in_the_outbox() -> None:
    world = World()
    ends = VERSION + 3600 * SECOND
    world.record = [written(VALUE, ttl=3600)]
    world.state.rows = [row(VALUE, expires_at=ends)]
    world.state.points = [point(0, expires_at=ends), point(1, expires_at=ends)]
    world.state.outbox = [Waiting((NAMESPACE, "k"), "expiry", ends)]
    assert world.judged() == {}


def test_a_refresh_counts_only_for_the_write_that_it_names() -> None:
    world = World()
    ends = VERSION + 3600 * SECOND
    world.record = [written(VALUE, ttl=3600)]
    stored = row(VALUE, expires_at=ends)
    world.state.points = [point(0, expires_at=ends), point(1, expires_at=ends)]
    world.state.rows = [replace(stored, refresh=REFRESH.pack(b"o" * 16, ends + 9))]
    assert world.judged() == {}
    world.state.rows = [replace(stored, refresh=REFRESH.pack(b"w" * 16, ends + 9))]
    assert world.judged() == {"stale": 1}


def test_of_two_writers_with_one_version_either_may_have_won() -> None:
    world = World()
    world.record.append(written({"text": "the other"}))
    assert world.judged() == {}


def test_a_record_survives_a_torn_line_and_goes_on(tmp_path: Path) -> None:
    # Given a record whose writer was killed in the middle of a line
    path = tmp_path / "writer.log"
    first = Record(path)
    first.intend(0, [written(VALUE), written(None, key="gone")])
    first.acknowledge(0, [5, None])
    with path.open("a") as file:
        file.write('{"event": "intent", "n": 1, "wri')
    # When it is opened again and goes on
    second = Record(path)
    second.intend(1, [written(VALUE, key="next")])
    second.fail(1, TimeoutError("late"))
    # Then everything that was said is known
    assert record.progress(path) == record.Progress(next_operation=2, documents=2)
    assert [(write.key, write.version) for write in record.writes([path])] == [("k", 5), ("gone", None), ("next", None)]
    assert record.errors([path]) == {"TimeoutError": 1}


def test_an_operation_is_the_same_each_time_and_all_kinds_occur() -> None:
    plan = Plan(seed=3, keys=50)
    operations = [plan.operation(number) for number in range(500)]
    assert operations == [Plan(seed=3, keys=50).operation(number) for number in range(500)]
    assert {operation.name for operation in operations} == {"put", "put_many", "delete", "delete_many"}
    documents = [document for operation in operations for document in operation.documents]
    assert {document.indexed for document in documents} == {True, False}
    assert {document.ttl is None or document.ttl > 60 for document in documents} == {True, False}
