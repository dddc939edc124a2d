"""Default TTLs: which one holds for a write, how they are written in the settings, and what never takes one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from scylla_store import DEFAULT_TTL, ConfigurationError, Put, Settings
from scylla_store.moving import Restorer, Stored
from scylla_store.settings import load
from scylla_store.settings.options import EmbedderSettings, TtlSettings
from scylla_store.testing import TestingStore
from scylla_store.ttls import Defaults, broken_defaults, parse_default

DEFAULTS = ("sessions=3600", "sessions/kept=never", "chat/alice=60", 'chat/alice/drafts = 0.5', "chat/al=5")
VALUE = {"text": "tea"}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("sessions=3600", (("sessions",), 3600.0)),
        (" chat/alice = 0.5 ", (("chat", "alice"), 0.5)),
        ("a\\/b=1e3", (("a/b",), 1000.0)),
        ("a=b=60", (("a=b",), 60.0)),
        ('["a,b", "c"]=60', (("a,b", "c"), 60.0)),
        ("kept=never", (("kept",), None)),
        ("/=60", ((), 60.0)),
        ("hundred years=3155760000", (("hundred years",), 3_155_760_000.0)),
    ],
)
def test_an_entry_is_a_prefix_and_seconds(entry: str, expected: object) -> None:
    assert parse_default(entry) == expected
    assert broken_defaults([entry]) == []


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        (["sessions"], "'sessions' must be written as prefix=seconds"),
        (["sessions="], "'sessions=' must end with seconds"),
        (["sessions=0"], "must end with seconds"),
        (["sessions=-1"], "must end with seconds"),
        (["sessions=nan"], "must end with seconds"),
        (["sessions=inf"], "must end with seconds"),
        (["sessions=1h"], "must end with seconds"),
        (["sessions=3155760001"], "up to 3,155,760,000"),
        (["a//b=1"], "has an empty label"),
        (["[1]=1"], "must be a JSON list of strings"),
        ([f"{'x' * 513}=1"], r"\[0\] has 513 bytes"),
        (["a/b=1", '["a", "b"]=2'], "the prefix a/b comes twice"),
    ],
)
def test_what_is_wrong_with_an_entry_is_said(entries: list[str], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as failure:
        Settings(ttl=TtlSettings(defaults=tuple(entries)))
    assert "ttl.defaults: " in str(failure.value)


def test_all_that_is_wrong_with_entries_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as failure:
        load(ttl__defaults=["a=0", "b=60", "c", "b=never"], sync__backoff=100, sync__backoff_most=1)

    assert len(str(failure.value).splitlines()) == 5


def test_a_variable_has_entries_with_commas_or_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCYLLA_STORE_TTL__DEFAULTS", "sessions=3600, chat/alice=60")
    assert load().ttl.defaults == ("sessions=3600", "chat/alice=60")
    monkeypatch.setenv("SCYLLA_STORE_TTL__DEFAULTS", r'["a=1", "[\"b,c\"]=2"]')
    assert load().ttl.defaults == ("a=1", '["b,c"]=2')


@pytest.mark.parametrize(
    ("namespace", "seconds"),
    [
        (("sessions",), 3600),
        (("sessions", "x", "y"), 3600),
        (("sessions", "kept", "y"), None),
        (("sessions2",), None),
        (("chat",), None),
        (("chat", "alice"), 60),
        (("chat", "alice", "drafts"), 0.5),
        (("chat", "alice", "drafts2"), 60),
        (("chat", "ali"), None),
        (("chat", "al"), 5),
        (("alice",), None),
    ],
)
def test_the_longest_prefix_holds_by_whole_labels(namespace: tuple[str, ...], seconds: float | None) -> None:
    assert Defaults(DEFAULTS).chosen(DEFAULT_TTL, namespace) == seconds
    assert Defaults(reversed(DEFAULTS)).chosen(DEFAULT_TTL, namespace) == seconds


def test_what_a_write_says_itself_wins() -> None:
    defaults = Defaults(["/=60"])

    assert defaults.chosen(5.0, ("a",)) == 5.0
    assert defaults.chosen(None, ("a",)) is None
    assert defaults.chosen(DEFAULT_TTL, ("a",)) == 60
    assert Defaults([]).chosen(DEFAULT_TTL, ("a",)) is None


def pipelined(store: TestingStore, key: str, options: dict[str, Any]) -> None:
    with store.pipeline() as pipeline:
        pipeline.put(("sessions",), key, VALUE, **options)


def compared(store: TestingStore, key: str, options: dict[str, Any]) -> None:
    version = store.put(("sessions",), key, VALUE, ttl=None).version
    assert version is not None
    assert store.compare_and_set(("sessions",), key, VALUE, expected_version=version, **options)


def updated(store: TestingStore, key: str, options: dict[str, Any]) -> None:
    store.put(("sessions",), key, VALUE, ttl=7)
    assert store.update(("sessions",), key, {"a": 1}, **(options or {"ttl": DEFAULT_TTL}))


def replaced(store: TestingStore, key: str, options: dict[str, Any]) -> None:
    store.put(("sessions",), key, VALUE, ttl=None)
    assert store.update_if_exists(("sessions",), key, VALUE, **options)


WAYS: dict[str, Callable[[TestingStore, str, dict[str, Any]], Any]] = {
    "put": lambda store, key, options: store.put(("sessions",), key, VALUE, **options),
    "put_many": lambda store, key, options: store.put_many([Put(("sessions",), key, VALUE, **options)]),
    "stream": lambda store, key, options: store.put_many(
        [Put(("sessions",), key, VALUE, **options)], on_progress=lambda *_: None
    ),
    "batch": lambda store, key, options: store.batch([Put(("sessions",), key, VALUE, **options)]),
    "pipeline": pipelined,
    "put_if_not_exists": lambda store, key, options: store.put_if_not_exists(("sessions",), key, VALUE, **options),
    "update_if_exists": replaced,
    "compare_and_set": compared,
    "update": updated,
}


@pytest.mark.parametrize("way", WAYS)
def test_every_write_takes_the_default_unless_it_says_otherwise(tmp_path: Path, way: str) -> None:
    with _store(tmp_path, *DEFAULTS) as store:
        for key, options, seconds in (("default", {}, 3600), ("own", {"ttl": 5}, 5), ("never", {"ttl": None}, None)):
            WAYS[way](store, key, options)
            item = store.get(("sessions",), key)
            assert item is not None
            assert _lives(item.expires_at, item.updated_at) == (None if seconds is None else pytest.approx(seconds, abs=0.1))


def test_an_update_keeps_what_it_finds_whatever_the_default_is(tmp_path: Path) -> None:
    with _store(tmp_path, *DEFAULTS) as store:
        store.put(("sessions",), "mortal", VALUE, ttl=7)
        store.put(("sessions",), "immortal", VALUE, ttl=None)
        before = store.get_many([(("sessions",), "mortal"), (("sessions",), "immortal")])

        after = [store.update(("sessions",), key, {"a": 1}).current for key in ("mortal", "immortal")]

    assert [item and item.expires_at for item in after] == [item and item.expires_at for item in before]


def test_what_is_loaded_keeps_what_it_had(tmp_path: Path) -> None:
    with _store(tmp_path, "/=60") as store:
        now = store.clock()
        ends = now + 5_000_000
        documents = [
            Stored(("sessions",), "immortal", VALUE, None, created_at=now, expires_at=None),
            Stored(("sessions",), "mortal", VALUE, None, created_at=now, expires_at=ends),
        ]
        assert Restorer(store.parts.writer, store.clock).write(documents) == 2

        items = {item.key: item.expires_at for item in store.list(()).items}

    assert items["immortal"] is None
    assert items["mortal"] is not None
    assert round(items["mortal"].timestamp() * 1_000_000) == ends


def _store(path: Path, *defaults: str) -> TestingStore:
    settings = Settings(embedder=EmbedderSettings(name="hashing"), ttl=TtlSettings(defaults=defaults))
    return TestingStore(path, settings=settings)


def _lives(expires_at: datetime | None, updated_at: datetime) -> float | None:
    return None if expires_at is None else (expires_at - updated_at).total_seconds()
