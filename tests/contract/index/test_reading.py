"""Points of items, vectors, queries, counts and slices."""

from __future__ import annotations

import itertools
import random

import pytest

from scylla_store.conditions import OneOf
from scylla_store.identity import item_slice, namespace_digest
from scylla_store.index.base import NEVER, Index, Question
from tests.contract.index.points import NOW, angled, count, digest, keys, numbered, point, stored
from tests.contract.test_isolation import hostile_namespaces


def test_all_points_of_items_are_found_however_many(index: Index) -> None:
    # Given an item with more points than a page has, one with one, and one that nobody asks for
    index.upsert([point("many", part) for part in range(1100)] + [point("one"), point("other")], at_most=NOW)
    # When items are asked for, one of them without points
    found = index.points_of([digest("many"), digest("one"), digest("none")])
    # Then each has all of its own
    assert {item: len(points) for item, points in found.items()} == {digest("many"): 1100, digest("one"): 1}
    assert {seen.id for seen in found[digest("many")]} == {point("many", part).id for part in range(1100)}
    assert index.points_of([]) == {}


def test_a_seen_point_has_its_whole_payload(index: Index) -> None:
    wanted = point("key \0 \U0001d54f", namespace=("a", "\uffff"), path='$["x"]', start=3, end=9, write="00ff")
    index.upsert([wanted], at_most=NOW)

    (seen,) = index.points_of([wanted.payload["item"]])[wanted.payload["item"]]

    assert (seen.id, seen.item, seen.payload) == (wanted.id, wanted.payload["item"], wanted.payload)


def test_without_tokens_points_that_have_none_are_left_out(index: Index) -> None:
    # Given points of one item: with tokens, without any, and with something else in their place
    tokens: list[object] = [["x", "y"], ["z"], [], [""], 7, None]
    wanted = [point("a", part, tokens=said) for part, said in enumerate(tokens)] + [point("a", len(tokens))]
    index.upsert(wanted, at_most=NOW)
    # When they are asked for without
    [found] = index.points_of([digest("a")], tokens=False).values()
    # Then those with tokens are there, and all of what else they say
    assert {seen.id for seen in found} == {point("a", part).id for part in (0, 1)}
    assert [{**seen.payload, "tokens": 0} for seen in found] == [
        {**one.payload, "tokens": 0} for seen in found for one in wanted if one.id == seen.id
    ]
    assert len(index.points_of([digest("a")])[digest("a")]) == len(wanted)


def test_vectors_come_back_as_directions_and_anchors_have_none(index: Index) -> None:
    # Given a vector that is not of length 1, and an anchor
    index.upsert([point("a", vector=[3.0, 4.0, 0.0, 0.0]), point("b", vector=None)], at_most=NOW)
    # When both and an unknown one are asked for
    found = index.vectors([(point(key).id, "f") for key in "abc"])
    # Then the one that exists is there, and writing it again changes nothing
    assert list(found) == [point("a").id]
    assert list(found[point("a").id]) == pytest.approx([0.6, 0.8, 0.0, 0.0])
    index.upsert([point("a", vector=found[point("a").id])], at_most=NOW)
    assert list(index.vectors([(point("a").id, "f")])[point("a").id]) == pytest.approx([0.6, 0.8, 0.0, 0.0])


def test_points_without_a_vector_are_named(index: Index) -> None:
    # Given points of three items: with vectors, without, and one that lost its own
    with_one = [point("a", part) for part in range(3)]
    without = [point("a", 3, vector=None), point("b", vector=None), numbered(7, "b", vector=None)]
    index.upsert([*with_one, *without, point("c"), point("d", vector=None)], at_most=NOW)
    index.upsert([point("c", vector=None)], at_most=NOW)
    # When they are asked for by item
    found = index.without_vector([digest(key) for key in "abce"])
    # Then those are named, and no others
    assert found == {without[0].id, without[1].id, "7", point("c").id}
    assert index.without_vector([]) == set()


def test_a_point_is_found_by_its_id_whatever_it_says(index: Index) -> None:
    sound, other, anchor = point("a"), point("b", item="f" * 32), point("c", vector=None, fingerprint=None)
    index.upsert([sound, other, anchor], at_most=NOW)

    found = index.at([sound.id, other.id, anchor.id, point("absent").id])

    assert {ident: (seen.item, seen.version) for ident, seen in found.items()} == {
        sound.id: (digest("a"), NOW),
        other.id: ("f" * 32, NOW),
        anchor.id: (digest("c"), 0),
    }
    assert found[other.id].payload == other.payload
    assert index.at([]) == {}


def test_a_point_that_was_replaced_lends_its_vector_to_nobody(index: Index) -> None:
    # Given two points, one of which is replaced after it was seen
    index.upsert([point("a"), point("b")], at_most=NOW)
    index.upsert([point("a", fingerprint="g")], at_most=NOW)
    # When their vectors are asked for as they were seen
    found = index.vectors([(point("a").id, "f"), (point("b").id, "f")])
    # Then only that of the unchanged one comes
    assert list(found) == [point("b").id]


def test_a_query_finds_the_nearest_first_with_its_cosine(index: Index) -> None:
    # Given points at several angles, in any order
    index.upsert([point(str(angle), vector=angled(angle)) for angle in (90, 0, 180, 45)], at_most=NOW)
    # When the nearest to the first axis are asked for
    [found] = index.query([Question([2.0, 0.0, 0.0, 0.0], None, NOW, 10)])
    # Then they come by their angle
    assert [match.payload["key"] for match in found] == ["0", "45", "90", "180"]
    assert [match.score for match in found] == pytest.approx([1.0, 0.5**0.5, 0.0, -1.0], abs=1e-6)
    assert found[0].payload == point("0").payload
    assert found[0].id == point("0").id


def test_the_nearest_come_first_as_many_as_the_limit_says(index: Index) -> None:
    index.upsert([point(str(angle), vector=angled(angle)) for angle in range(10)], at_most=NOW)

    found = [keys(index, limit=limit) for limit in (1, 4, 10, 12)]

    assert found == [list("0123456789")[:limit] for limit in (1, 4, 10, 10)]


def test_each_of_several_questions_has_its_own_answer(index: Index) -> None:
    # Given points at several angles under two prefixes, of which one expires
    index.upsert(
        [point(str(angle), vector=angled(angle), namespace=(name,), tokens=[name]) for angle in (0, 60, 90) for name in ("a", "b")]
        + [point("mortal", vector=angled(90), namespace=("a",), expires_at=NOW)],
        at_most=NOW,
    )
    under = namespace_digest(("a",))
    # When questions are asked together that differ in everything
    answers = index.query(
        [
            Question(angled(0), under, NOW, 10),
            Question(angled(90), under, NOW, 1),
            Question(angled(90), under, NOW, 10, min_score=0.8),
            Question(angled(90), under, NOW - 1, 10, min_score=0.9),
            Question(angled(0), None, NOW, 10, where=OneOf("tokens", ("b",))),
        ]
    )
    # Then each has the answer that it has alone
    assert [[match.payload["key"] for match in found] for found in answers[:3]] == [["0", "60", "90"], ["90"], ["90", "60"]]
    assert {match.payload["key"] for match in answers[3]} == {"90", "mortal"}
    assert [match.payload["namespace"] for match in answers[4]] == [["b"]] * 3
    assert index.query([]) == []


def test_many_questions_with_many_matches_are_answered_in_order(index: Index) -> None:
    index.upsert([point(str(angle), vector=angled(angle)) for angle in range(0, 90, 3)], at_most=NOW)

    answers = index.query([Question(angled(angle), None, NOW, 1000) for angle in range(0, 90, 3)])

    assert [found[0].payload["key"] for found in answers] == [str(angle) for angle in range(0, 90, 3)]
    assert {len(found) for found in answers} == {30}


def test_min_score_keeps_what_reaches_it(index: Index) -> None:
    index.upsert([point(str(angle), vector=angled(angle)) for angle in (0, 45, 90)], at_most=NOW)

    assert keys(index, min_score=0.7) == ["0", "45"]
    assert keys(index, min_score=1.0) == ["0"]
    assert keys(index, min_score=0.0) == ["0", "45", "90"]
    assert keys(index, min_score=-1.0, limit=2) == ["0", "45"]


def test_equally_near_points_are_all_found_by_a_limit_that_holds_them(index: Index) -> None:
    names = {str(number) for number in range(60)}
    index.upsert([point(name) for name in names], at_most=NOW)

    assert set(keys(index, limit=60)) == names


def test_anchors_are_counted_and_never_found(index: Index) -> None:
    index.upsert([point("text"), point("anchor", vector=None)], at_most=NOW)

    assert (keys(index), count(index)) == (["text"], 2)


def test_an_item_of_several_points_counts_once(index: Index) -> None:
    index.upsert([point("a", part) for part in range(3)] + [point("b")], at_most=NOW)

    assert count(index) == 2


def test_an_item_expires_at_its_microsecond(index: Index) -> None:
    # Given an item that expires
    index.upsert([point("mortal", expires_at=NOW), point("immortal", expires_at=NEVER)], at_most=NOW)
    # When a query and a count ask one microsecond before, and at that time
    found = [(set(keys(index, now=now)), count(index, now=now)) for now in (NOW - 1, NOW, NOW + 1)]
    # Then it is there until then
    assert found == [({"mortal", "immortal"}, 2), ({"immortal"}, 1), ({"immortal"}, 1)]


def test_a_prefix_shows_exactly_what_begins_with_its_labels(index: Index) -> None:
    # Given a point in each of many hostile namespaces
    namespaces = hostile_namespaces(60, 7)
    index.upsert([point(repr(namespace), namespace=namespace) for namespace in namespaces], at_most=NOW)
    for prefix in (*namespaces, ("docs",), ("",), None):
        # When each of them is a prefix
        found = keys(index, prefix=prefix)
        # Then it shows those that begin with it, label by label
        expected = {repr(namespace) for namespace in namespaces if prefix is None or namespace[: len(prefix)] == prefix}
        assert set(found) == expected
        assert count(index, prefix=prefix) == len(expected)


def test_a_slice_is_read_in_pages_by_id(index: Index) -> None:
    # Given 25 points of one slice and others
    number = item_slice(digest())
    mine = [point("k", part) for part in range(25)]
    others = [point(str(key)) for key in range(50) if item_slice(digest(str(key))) != number]
    written = mine + others
    random.Random(1).shuffle(written)
    index.upsert(written, at_most=NOW)
    # When it is read in pages
    seen, sizes, after = [], [], None
    for _ in itertools.count():
        page, after = index.slices(range(number, number + 1), after=after, limit=10)
        seen += [one.id for one in page]
        sizes.append(len(page))
        if after is None:
            break
    # Then each point comes once, by id, and the end is known
    assert (seen, sizes) == (sorted(one.id for one in mine), [10, 10, 5])
    assert index.slices(range(number, number + 1), after=None, limit=25)[1] is None


def test_a_page_begins_after_a_point_that_is_gone(index: Index) -> None:
    # Given the first page of a slice
    number = item_slice(digest())
    ids = sorted(point("k", part).id for part in range(6))
    index.upsert([point("k", part) for part in range(6)], at_most=NOW)
    page, after = index.slices(range(number, number + 1), after=None, limit=3)
    assert ([one.id for one in page], after) == (ids[:3], ids[2])
    # When its last point goes
    index.delete([(ids[2], "f")])
    # Then the next page begins where it was
    page, after = index.slices(range(number, number + 1), after=after, limit=3)
    assert ([one.id for one in page], after) == (ids[3:], None)


def test_damaged_points_are_seen_in_their_slice(index: Index) -> None:
    damaged = point(item=None, version=None)  # type: ignore[arg-type]
    index.upsert([damaged], at_most=NOW)

    page, _ = index.slices(range(item_slice(digest()), item_slice(digest()) + 1), after=None, limit=10)

    assert [(one.id, one.item, one.version, one.fingerprint) for one in page] == [(damaged.id, "", 0, "")]


def test_points_of_slices_say_in_which_they_are(index: Index) -> None:
    here = point("k", 0, slice=7)
    index.upsert([here], at_most=NOW)

    page, _ = index.slices(range(4, 8), after=None, limit=10)

    assert [(one.id, one.item, one.payload["slice"]) for one in page] == [(here.id, digest("k"), 7)]


def test_an_empty_index_answers(index: Index) -> None:
    assert (keys(index), count(index), stored(index)) == ([], 0, {})
    assert index.slices(range(4096), after=None, limit=10) == ([], None)
    assert index.vectors([(point().id, "f")]) == {}
    assert index.vectors([]) == {}
    assert 0.0 <= index.ping() < 60.0


def test_points_that_are_in_no_slice_are_found_apart(index: Index) -> None:
    # Given a point without slice, one with a slice that is none, one without payload, and sound ones
    sound = [point(str(number)) for number in range(5)]
    lost, odd, bare = point("lost"), point("odd"), point("bare")
    del lost.payload["slice"]
    odd.payload["slice"] = "three"
    bare.payload.clear()
    index.upsert([*sound, lost, odd, bare], at_most=NOW)
    # When those in no slice are read page by page
    first, after = index.slices(None, after=None, limit=2)
    assert after is not None
    second, end = index.slices(None, after=after, limit=2)
    # Then the three come, by id
    assert end is None
    assert [seen.id for seen in (*first, *second)] == sorted([lost.id, odd.id, bare.id])


def test_slices_side_by_side_meet_every_point_once(index: Index) -> None:
    points = [point(str(key)) for key in range(300)]
    index.upsert(points, at_most=NOW)

    met = [
        seen.id
        for which in (range(1000), range(1000, 1001), range(1001, 4000), range(4000, 2**53))
        for seen in index.slices(which, after=None, limit=1000)[0]
    ]

    assert sorted(met) == sorted(one.id for one in points)
