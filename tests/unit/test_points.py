"""What points say of a row, whatever became of its document."""

from __future__ import annotations

import pytest

from scylla_store.errors import DamagedRow
from scylla_store.filters.facts import UNSAID, facts_of
from scylla_store.points import Recipe, drafts, fingerprint
from scylla_store.rows import Head, Row, encode_body, row_hash
from scylla_store.settings.options import ChunkingSettings
from tests.unit.core import ITEM, START

CUT = ChunkingSettings(unit="characters", size=12, overlap=0)
RECIPE = Recipe("model", CUT, (), ("year",))


def row(body: bytes = b'{"text": "one and then another", "year": 5}') -> Row:
    """A live row."""
    head = Head(b"w" * 16, START, row_hash=row_hash(body))
    return Row(ITEM, START, head, None, encode_body(head.write_id, body), None)


def test_each_point_of_a_row_says_all_that_filters_ask() -> None:
    made = drafts(row(), RECIPE)

    expected = facts_of({"text": "one and then another", "year": 5}, ITEM.key, ("year",))
    assert len(made) > 1
    assert [{name: draft.payload[name] for name in expected} for draft in made] == [expected] * len(made)
    assert expected.keys() >= {"facts", "tokens", "facts_digest", "rank_0_0", "rank_0_3"}


def test_an_anchor_says_it_too_and_one_of_a_damaged_document_says_nothing() -> None:
    (anchor,) = drafts(row(), RECIPE, anchor_only=True)
    (damaged,) = drafts(row(b"\xff"), RECIPE, anchor_only=True)

    assert anchor.payload["tokens"] == drafts(row(), RECIPE)[0].payload["tokens"]
    assert damaged.payload["tokens"] == [UNSAID]
    with pytest.raises(DamagedRow):
        drafts(row(b"\xff"), RECIPE)


def test_other_range_fields_make_other_points() -> None:
    marks = {fingerprint(row(), Recipe("model", CUT, (), ranges)) for ranges in ((), ("year",), ("year", "a"), ("a", "year"))}

    assert len(marks) == 4
