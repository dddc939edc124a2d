"""What the CQL database makes of its settings and statement files, without a server."""

from __future__ import annotations

import struct

import pytest

from scylla_store.database.cql.cluster import contact_point
from scylla_store.database.cql.connection import check_version
from scylla_store.database.cql.encoding import labels, texts
from scylla_store.database.cql.items import allowed_ttl
from scylla_store.database.cql.schema import replication
from scylla_store.database.cql.statements import migrations, statements
from scylla_store.errors import ConfigurationError, SchemaMismatch

YEAR = 365 * 24 * 3600


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ("db", ("db", 9042)),
        ("db:9142", ("db", 9142)),
        ("10.0.0.1:19042", ("10.0.0.1", 19042)),
        ("::1", ("::1", 9042)),
        ("[::1]", ("::1", 9042)),
        ("[::1]:9142", ("::1", 9142)),
    ],
)
def test_contact_points_may_carry_a_port(point: str, expected: tuple[str, int]) -> None:
    assert contact_point(point, 9042) == expected


@pytest.mark.parametrize("point", ["db:", "db:x", "db:0", "db:70000"])
def test_a_contact_point_with_a_wrong_port_is_refused(point: str) -> None:
    with pytest.raises(ConfigurationError, match=r"database\.contact_points"):
        contact_point(point, 9042)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("3", "'replication_factor': 3"), ("dc1:3,dc2:2", "'dc1': 3, 'dc2': 2"), (" dc1:3 , dc2:1", "'dc1': 3, 'dc2': 1")],
)
def test_replication_is_a_number_or_one_per_data_centre(setting: str, expected: str) -> None:
    assert replication(setting) == expected


@pytest.mark.parametrize("setting", ["", "0", "-1", "dc1", "dc1:x", "d'c:1", "dc1:3,"])
def test_another_replication_is_refused(setting: str) -> None:
    with pytest.raises(ConfigurationError, match=r"database\.replication"):
        replication(setting)


def test_every_statement_has_a_name_a_meaning_and_one_command() -> None:
    assert len(statements()) > 30
    for statement in statements().values():
        assert statement.cql.split()[0] in {"SELECT", "UPDATE", "INSERT", "DELETE"}
        assert statement.meaning


def test_conditional_statements_are_told_apart() -> None:
    conditional = {statement.name for statement in statements().values() if statement.is_conditional}
    assert conditional == {
        "create_if_absent", "replace_if_same", "bar_if_absent", "delete_if_same", "take_lease", "take_lease_over", "release_lease",
        "first_state",
    }  # fmt: skip


def test_every_write_names_its_time_or_is_conditional() -> None:
    # Then no write gets the time of a machine whose clock nobody looked at. The note of a migration is never replaced.
    silent = {
        statement.name
        for statement in statements().values()
        if not statement.cql.startswith("SELECT")
        and not statement.is_conditional
        and "USING TIMESTAMP ?" not in statement.cql
    }
    assert silent == {"record_migration"}


def test_a_newer_schema_is_refused_and_an_older_one_says_how_to_cure_it() -> None:
    check_version(len(migrations()))
    with pytest.raises(SchemaMismatch, match="newer"):
        check_version(len(migrations()) + 1)
    with pytest.raises(SchemaMismatch, match="scylla-store setup"):
        check_version(len(migrations()) - 1)


@pytest.mark.parametrize(
    ("seconds", "year", "expected"),
    [
        (3600, 2026, 3600),
        (10 * YEAR, 2026, 10 * YEAR),
        (20 * YEAR, 2026, 0),
        (10 * YEAR, 2030, 0),
        (100 * YEAR, 2026, 0),
    ],
)
def test_a_granted_expiry_has_no_ttl_that_servers_refuse(seconds: int, year: int, expected: int) -> None:
    assert allowed_ttl(seconds, (year - 1970) * YEAR) == expected


def test_our_encoding_is_that_of_the_driver() -> None:
    from cassandra.cqltypes import ListType, UTF8Type

    words = ["a", "\0", "żółw", "😀"]
    assert labels(words) == ListType.apply_parameters([UTF8Type]).serialize(words, 4)
    assert texts([]) == struct.pack(">i", 0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("head", True), ("rows", True), ("write_item", True), ("ack_intent", True),
        ("replace_if_same", False), ("take_lease", False), ("scan", False), ("intents", False), ("count_intents", False),
    ],
)  # fmt: skip
def test_another_node_is_asked_for_what_takes_milliseconds_and_is_not_conditional(name: str, expected: bool) -> None:
    assert statements()[name].is_quick is expected
