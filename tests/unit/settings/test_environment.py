"""Variables that are ours, those that were meant to be, and those of Kubernetes."""

from __future__ import annotations

import logging

import pytest

from scylla_store import ConfigurationError
from scylla_store.settings import Settings, load


@pytest.mark.parametrize(
    ("variable", "suggested"),
    [
        ("SCYLLA_STORE_PAHT", "SCYLLA_STORE_PATH"),
        ("SCYLLA_STORE_PATHS", "SCYLLA_STORE_PATH"),
        ("SCYLLA_STORE_ENCODR", "SCYLLA_STORE_ENCODER"),
        ("SCYLLA_STORE_SETTING_FILE", "SCYLLA_STORE_SETTINGS_FILE"),
        ("SCYLLA_STORE_DATABASE_KEYSPACE", "SCYLLA_STORE_DATABASE__KEYSPACE"),
        ("SCYLLA_STORE_DATABASE_PORT", "SCYLLA_STORE_DATABASE__PORT"),
        ("SCYLLA_STORE_DATABASE_TLS_CA_FILE", "SCYLLA_STORE_DATABASE__TLS__CA_FILE"),
        ("SCYLLA_STORE_BROKER_URL", "SCYLLA_STORE_CELERY__BROKER_URL"),
        ("SCYLLA_STORE_KEYSPACE", "SCYLLA_STORE_DATABASE__KEYSPACE"),
        ("SCYLLA_STORE_database__keyspace", "SCYLLA_STORE_DATABASE__KEYSPACE"),
        ("SCYLLA_STORE_DATABASE__KEYSPCE", "SCYLLA_STORE_DATABASE__KEYSPACE"),
        ("SCYLLA_STORE_DATABSE__TLS__VERIFY", "SCYLLA_STORE_DATABASE__TLS__VERIFY"),
        ("SCYLLA_STORE_DATABASE__TLS_VERIFY", "SCYLLA_STORE_DATABASE__TLS__VERIFY"),
    ],
)
def test_a_name_that_is_near_to_one_of_ours_is_refused_with_it(
    variable: str, suggested: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "9142")

    with pytest.raises(ConfigurationError) as failure:
        load()

    assert str(failure.value) == f"A setting is wrong: {variable} is no option; did you mean {suggested}?"


def test_a_name_that_is_built_like_ours_is_refused_even_if_none_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCYLLA_STORE_WEATHER__COLOUR", "grey")

    with pytest.raises(ConfigurationError, match=r"SCYLLA_STORE_WEATHER__COLOUR is no option$"):
        load()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SCYLLA_STORE_SERVICE_HOST", "10.0.0.11"),
        ("SCYLLA_STORE_SERVICE_PORT", "6379"),
        ("SCYLLA_STORE_SERVICE_PORT_REDIS", "6379"),
        ("SCYLLA_STORE_PORT", "tcp://10.0.0.11:6379"),
        ("SCYLLA_STORE_PORT_6379_TCP", "tcp://10.0.0.11:6379"),
        ("SCYLLA_STORE_PORT_6379_TCP_PROTO", "tcp"),
        ("SCYLLA_STORE_PORT_6379_TCP_PORT", "6379"),
        ("SCYLLA_STORE_PORT_6379_TCP_ADDR", "10.0.0.11"),
        ("SCYLLA_STORE_DATABASE_PORT", "tcp://10.0.0.12:9042"),
        ("SCYLLA_STORE_DATABASE_SERVICE_PORT", "9042"),
        ("SCYLLA_STORE_INDEX_PORT_6334_UDP_ADDR", "10.0.0.13"),
        ("SCYLLA_STORE_A__B_SERVICE_HOST", "10.0.0.14"),
    ],
)
def test_kubernetes_variables_are_left_alone(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)

    assert load() == Settings()


@pytest.mark.parametrize(
    "name",
    ["TEST_CQL", "TEST_PATH", "TEST_DATABASE__PORT", "IMAGE", "VERSION", "LOG_LEVEL", "HOME", "REPLICAS", "HOST"],
)
def test_other_variables_and_those_for_tests_are_ignored(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"SCYLLA_STORE_{name}", "something")

    assert load() == Settings()


def test_what_is_ignored_is_logged_without_its_value(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SCYLLA_STORE_IMAGE", "geheim")

    with caplog.at_level(logging.INFO, logger="scylla_store"):
        load()

    assert caplog.messages == ["SCYLLA_STORE_IMAGE is no option of scylla_store and is ignored."]


def test_lists_numbers_and_truth_are_read_from_text(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DATABASE__CONTACT_POINTS": " db1 , db2:9142,[::1]:9042",
        "INDEX__FIELDS": '["title", "sections[*].text"]',
        "DATABASE__PORT": "9142",
        "SYNC__MARGIN": "12",
        "DATABASE__TABLETS": "Yes",
        "DATABASE__LOCAL_DATACENTER": "",
    }.items():
        monkeypatch.setenv(f"SCYLLA_STORE_{name}", value)

    settings = load(database__local_datacenter=None)

    assert settings.database.contact_points == ("db1", "db2:9142", "[::1]:9042")
    assert settings.index.fields == ("title", "sections[*].text")
    assert (settings.database.port, settings.sync.margin, settings.database.tablets) == (9142, 12.0, True)
    assert settings.database.local_datacenter is None
