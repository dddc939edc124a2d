"""Making a collection, opening one, and refusing another's."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from scylla_store.conditions import Within
from scylla_store.errors import CollectionMismatch, IndexUnavailable, StoreClosed
from scylla_store.index.base import Index, IndexSpecification
from tests.contract.index.points import DIMENSIONS, NOW, SPECIFICATION, count, keys, point, stored


def test_setup_may_be_repeated_and_keeps_what_is_there(index: Index) -> None:
    index.upsert([point()], at_most=NOW)

    index.setup(SPECIFICATION)

    assert keys(index) == ["k"]


@pytest.mark.parametrize(
    "other",
    [IndexSpecification(DIMENSIONS + 1, SPECIFICATION.model), IndexSpecification(DIMENSIONS, "another model")],
    ids=["size", "model"],
)
def test_a_collection_made_for_something_else_is_refused(index: Index, other: IndexSpecification) -> None:
    # Given a collection with a point
    index.upsert([point()], at_most=NOW)
    # When it is set up for something else, then both are named
    with pytest.raises(CollectionMismatch) as caught:
        index.setup(other)
    named = str(caught.value)
    different = ("model", SPECIFICATION.model, other.model) if other.model != SPECIFICATION.model else ("4", "5")
    assert all(re.search(re.escape(str(word)), named) for word in different), named
    # And it is as it was
    index.setup(SPECIFICATION)
    assert keys(index) == ["k"]


def test_whether_there_is_a_collection_is_known_before_it_is_made(make_index: Callable[[], Index]) -> None:
    index = make_index()
    assert not index.exists()

    index.setup(SPECIFICATION)

    assert index.exists()


def test_without_a_collection_every_request_says_what_to_do(make_index: Callable[[], Index]) -> None:
    # Given an index that nobody has set up
    index = make_index()
    requests: list[Callable[[], object]] = [
        lambda: index.points_of(["x"]),
        lambda: index.vectors([(point().id, "f")]),
        lambda: index.upsert([point()], at_most=1),
        lambda: index.delete([(point().id, "f")]),
        lambda: keys(index),
        lambda: count(index),
        lambda: index.slices(range(4), after=None, limit=1),
        lambda: index.first_points(prefix=None, now=NOW, limit=1),
        lambda: index.ping(),
    ]
    # When it is used, then the error is one that waits for setup
    for request in requests:
        with pytest.raises(IndexUnavailable, match="setup"):
            request()
    # And after setup it works
    index.setup(SPECIFICATION)
    assert count(index) == 0


def test_close_may_be_repeated_and_leaves_no_thread(make_index: Callable[[], Index]) -> None:
    # Given an index that was used
    before = set(threading.enumerate())
    index = make_index()
    index.setup(SPECIFICATION)
    index.upsert([point()], at_most=NOW)
    # When it is closed twice
    index.close()
    index.close()
    # Then no thread of it is left, and it says so when it is used
    assert set(threading.enumerate()) - before == set()
    with pytest.raises(StoreClosed):
        stored(index)
    with pytest.raises(StoreClosed):
        index.connect()


def test_an_index_that_never_connected_can_be_closed(make_index: Callable[[], Index]) -> None:
    index = make_index()
    index.close()
    index.close()


def test_the_parent_goes_on_after_a_fork(index: Index) -> None:
    # Given a child that uses what it can and ends
    index.upsert([point()], at_most=NOW)
    child = os.fork()
    if child == 0:
        status = 3
        try:
            stored(index)
            status = 0
        except IndexUnavailable:
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    # Then the parent reads and writes as before
    index.upsert([point("after")], at_most=NOW)
    assert set(keys(index)) == {"k", "after"}


def test_range_fields_that_are_declared_later_can_be_asked_after_the_next_setup(
    make_index: Callable[[], Index],
) -> None:
    # Given a collection that was made before any was declared, with a point
    index = make_index()
    assert index.setup(IndexSpecification(DIMENSIONS, SPECIFICATION.model)) is True
    index.upsert([point("a", rank_1_3=5), point("b", rank_1_3=6)], at_most=NOW)
    # When it is set up with two of them
    assert index.setup(IndexSpecification(DIMENSIONS, SPECIFICATION.model, ranges=2)) is False
    # Then the last part of the second one is a field that requests may ask for
    assert keys(index, where=Within("rank_1_3", above=5)) == ["b"]


def test_a_collection_belongs_to_the_store_that_set_it_up(make_index: Callable[[], Index]) -> None:
    # Given a collection of one store, with a point
    index = make_index()
    index.setup(replace(SPECIFICATION, store="one"))
    index.setup(replace(SPECIFICATION, store="one"))
    # When another one sets it up, then it is refused, and told what to do
    with pytest.raises(
        CollectionMismatch, match=r"store one.*this database is other.*index\.collection.*delete the collection"
    ):
        index.setup(replace(SPECIFICATION, store="other"))
    # And it is the first one's as before
    assert index.setup(replace(SPECIFICATION, store="one")) is False


def test_a_collection_from_before_there_were_owners_is_taken_by_the_next_setup(make_index: Callable[[], Index]) -> None:
    # Given a collection that belongs to none, with a point
    index = make_index()
    index.setup(SPECIFICATION)
    # When a store sets it up
    assert index.setup(replace(SPECIFICATION, store="one")) is False
    # Then it keeps what it is, and is that one's
    index.setup(replace(SPECIFICATION, store="one"))
    with pytest.raises(CollectionMismatch, match="another store"):
        index.setup(replace(SPECIFICATION, store="other"))
