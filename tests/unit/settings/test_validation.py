"""Every option has a rule, options have rules between them, and all that is broken is told at once."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import pytest

from scylla_store import ConfigurationError, ScyllaStore
from scylla_store.settings import (
    CelerySettings,
    ChunkingSettings,
    DatabaseSettings,
    IndexSettings,
    Settings,
    SyncSettings,
    load,
)
from scylla_store.settings.catalogue import Option, catalogue

OPTIONS = catalogue(Settings)
RANGED = [option for option in OPTIONS.values() if option.least is not None]


def broken(**overrides: Any) -> str:
    """What `load` says."""
    with pytest.raises(ConfigurationError) as failure:
        load(**overrides)
    return str(failure.value)


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given mistakes of every kind, in every source
    file = tmp_path / "settings.toml"
    file.write_text("[sync]\nmargn = 3\n[chunking]\noverlap = 200\n")
    monkeypatch.setenv("SCYLLA_STORE_PAHT", "x")
    monkeypatch.setenv("SCYLLA_STORE_DATABASE__PORT", "0")
    # When they are loaded
    message = broken(settings_file=file, colour="red", limits__max_depth="deep", database__tls__ca_file="/no/such.pem")
    # Then one error has them all
    assert message.splitlines() == [
        "8 settings are wrong:",
        f"- sync.margn ({file}) is no option; did you mean sync.margin?",
        "- SCYLLA_STORE_PAHT is no option; did you mean SCYLLA_STORE_PATH?",
        "- colour (argument) is no option",
        "- database.port = '0' (SCYLLA_STORE_DATABASE__PORT) must be a whole number from 1 to 65,535",
        "- limits.max_depth = 'deep' (argument) must be a whole number from 1 to 150",
        "- chunking.overlap = 200 must be less than half of chunking.size = 256",
        "- database.tls.ca_file = '/no/such.pem' must be a file that exists",
        "- database.tls.ca_file is set, so database.tls.enabled must be true: without it nothing is encrypted",
    ]


@pytest.mark.parametrize("option", RANGED, ids=lambda option: option.name)
def test_both_ends_of_a_range_are_inside_and_what_lies_beyond_is_refused(option: Option) -> None:
    assert option.least is not None
    assert option.most is not None
    assert option.least <= option.default <= option.most
    step = 1 if option.kind == "int" else 0.001
    for outside in (option.least - step, option.most + step):
        assert f"{option.name} = " in broken(**{option.argument: outside})
    for end in (option.least, option.most):
        try:
            load(**{option.argument: end})
        except ConfigurationError as exc:  # a rule between options may hold still, but not that of the option
            assert f"must be {option.rule}" not in str(exc)  # noqa: PT017


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_a_value_of_another_type_is_refused_with_the_name_and_the_rule(option: Option) -> None:
    for wrong in (object(), [1], b"bytes", float("inf") if option.kind == "float" else 1.5, 10**400):
        message = broken(**{option.argument: wrong})
        assert f"{option.name} = " in message
        assert option.rule in message


@pytest.mark.parametrize(
    "overrides",
    [
        {"database__keyspace": "1st"},
        {"database__keyspace": "a; DROP"},
        {"database__contact_points": "db:0"},
        {"database__contact_points": "cql://db"},
        {"database__contact_points": ["db", ""]},
        {"database__replication": "0"},
        {"database__replication": "dc1"},
        {"database__consistency": "ONE"},
        {"index__url": "localhost:6333"},
        {"index__url": "http://ann:pass@localhost:6333"},
        {"index__collection": "a/b"},
        {"embedder__name": "word2vec"},
        {"encoder": "no_colon"},
        {"celery__broker_url": "localhost:6379"},
        {"celery__queue": "two words"},
        {"monitoring__sentry_dsn": "https://host/1"},
        {"monitoring__sentry_dsn": "https://key@host"},
        {"monitoring__sentry_dsn": "https://key@host/shop"},
        {"monitoring__sentry_dsn": "https://key@host:99999/1"},
        {"monitoring__sentry_dsn": "https://key@/1"},
        {"monitoring__statsd_host": "http://host"},
        {"path": ""},
        {"path": "  "},
    ],
)
def test_texts_of_another_shape_are_refused(overrides: dict[str, Any]) -> None:
    (name,) = overrides
    option = OPTIONS[name.replace("__", ".")]

    assert f"{option.name} = " in broken(**overrides)
    assert option.rule in broken(**overrides)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"chunking__size": 64}, "chunking.overlap = 32 must be less than half of chunking.size = 64"),
        (
            {"celery__visibility_timeout": 200},
            "celery.visibility_timeout = 200.0 must be at least twice sync.time_limit",
        ),
        ({"index__timeout": 120}, "index.timeout = 120.0 must be less than sync.time_limit = 120.0"),
        ({"embedder__timeout": 120}, "embedder.timeout = 120.0 must be less than sync.time_limit = 120.0"),
        (
            {"sync__margin": 1, "database__contact_points": "db"},
            "sync.margin = 1.0 must be at least twice clock.max_clock_skew = 5.0 on a cluster",
        ),
        ({"sync__backoff_most": 5}, "sync.backoff = 10.0 must not be above sync.backoff_most = 5.0"),
        ({"clock__max_clock_skew": 0.2}, "clock.max_node_clock_difference = 0.5 must not be above"),
        ({"publisher__queue_size": 10}, "publisher.batch_size = 100 must not be above publisher.queue_size = 10"),
        (
            {"database__local_datacenter": "dc3", "database__replication": "dc1:3, dc2:3"},
            "database.local_datacenter = 'dc3' must be one of the data centres of database.replication",
        ),
        ({"index__fields": ["title", "sections[x]"]}, "index.fields: 'sections[x]' is wrong at character 9"),
        ({"index__range_fields": ["year", "a["]}, "index.range_fields: 'a[' is wrong at character 2"),
        ({"index__range_fields": ["year", "a[*].b"]}, "index.range_fields: 'a[*].b' cannot be compared: it must lead to one value"),
        ({"index__range_fields": ["$"]}, "index.range_fields: '$' cannot be compared: it must lead to one value"),
        ({"index__range_fields": ["a", "b", "a"]}, "index.range_fields has a path twice"),
        ({"index__range_fields": [f"n{n}" for n in range(17)]}, "index.range_fields has 17 paths; at most 16 are allowed"),
        ({"database__password": "geheim"}, "database.password needs database.username"),
        ({"index__url": "http://q:6333", "index__tls__enabled": True}, "index.url must begin with https://"),
        (
            {"index__prefer_grpc": True, "index__tls__verify": False},
            "index.tls.verify must be true when index.prefer_grpc",
        ),
        ({"celery__result_backend": "rediss://:geheim@r/1"}, "celery.result_backend needs celery.tls.enabled"),
    ],
)
def test_a_rule_between_options_names_both(overrides: dict[str, Any], message: str) -> None:
    found = broken(**overrides)

    assert message in found
    assert "geheim" not in found
    assert len(found.splitlines()) == 1


@pytest.mark.parametrize(
    "overrides",
    [
        {"chunking__size": 65},
        {"celery__visibility_timeout": 240},
        {"sync__margin": 1},
        {"sync__margin": 10, "database__contact_points": "db"},
        {"database__local_datacenter": "dc2", "database__replication": "dc1:3, dc2:3"},
        {"database__local_datacenter": "dc2"},
        {"database__username": "ann", "database__password": "geheim"},
        {"index__url": "https://q:6333", "index__tls__enabled": True},
        {"index__url": "https://q.example/prefix"},
        {"celery__result_backend": "rediss://r/1", "celery__tls__enabled": True},
        {"celery__result_backend": "rediss://r/1?ssl_cert_reqs=required"},
        {"celery__broker_url": "sentinel://a:26379;sentinel://b:26379"},
        {"celery__broker_url": "redis://"},
        {"celery__broker_url": "sqla+sqlite:///broker.db"},
        {"celery__broker_url": "sqs://key:secret@"},
        {"monitoring__sentry_dsn": "https://key@sentry.example:9000/prefix/12"},
        {"monitoring__sentry_dsn": "http://key:secret@[::1]/1"},
        {"monitoring__statsd_host": "::1"},
    ],
)
def test_what_keeps_the_rules_is_taken(overrides: dict[str, Any]) -> None:
    load(**overrides)


@pytest.mark.parametrize(
    "url",
    ["foo://x", "http://x/1", "redis://x:99999/0", "redis://x:port", "redis://[x", "redis://a;foo://b", "redis://x:0"],
)
def test_a_broker_that_celery_does_not_know_or_with_a_port_that_is_none_is_refused(url: str) -> None:
    assert "celery.broker_url must be the URL of a broker that Celery knows" in broken(celery__broker_url=url)


@pytest.mark.parametrize("section", ["database", "index", "celery"])
def test_the_files_of_tls_exist_belong_together_and_need_tls(section: str, tmp_path: Path) -> None:
    file = tmp_path / "x.pem"
    file.touch()
    tls = f"{section}__tls__"
    enabled = {f"{tls}enabled": True}
    name = tls.replace("__", ".")

    load(**enabled, **{f"{tls}{each}_file": str(file) for each in ("ca", "cert", "key")})
    assert broken(**enabled, **{f"{tls}cert_file": str(file)}).endswith(f"{name}cert_file needs {name}key_file")
    assert broken(**enabled, **{f"{tls}key_file": str(file)}).endswith(f"{name}key_file needs {name}cert_file")
    for gone in (str(tmp_path), str(tmp_path / "gone.pem"), "x\0y", "x" * 5000):
        assert f"{name}ca_file" in broken(**enabled, **{f"{tls}ca_file": gone})
        assert "must be a file that exists" in broken(**enabled, **{f"{tls}ca_file": gone})
    assert f"{name}enabled must be true" in broken(**{f"{tls}ca_file": str(file)})


def test_rules_about_a_wrong_value_wait_until_it_is_right() -> None:
    assert broken(chunking__size="large") == (
        "A setting is wrong: chunking.size = 'large' (argument) must be a whole number from 8 to 100,000"
    )


def test_settings_made_by_hand_are_checked_like_loaded_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"chunking\.overlap = 32 must be less than half") as failure:
        Settings(chunking=ChunkingSettings(size=10), database=DatabaseSettings(port=0), celery=CelerySettings(queue=""))

    assert "3 settings are wrong" in str(failure.value)
    assert "database.port = 0 must be a whole number from 1 to 65,535" in str(failure.value)


@pytest.mark.parametrize("margin", [10**400, float("nan"), float("inf"), True, "30", None])
def test_a_number_made_by_hand_is_finite_and_no_text(margin: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"sync\.margin = .* must be a number from 0\.1 to 3,600$"):
        Settings(sync=SyncSettings(margin=margin))


def test_a_section_of_another_type_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="index must be IndexSettings, not DatabaseSettings"):
        Settings(index=DatabaseSettings())  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"index\.tls must be TlsSettings, not bool"):
        Settings(index=IndexSettings(tls=True))  # type: ignore[arg-type]


def test_changed_settings_are_checked_again_and_a_store_never_has_wrong_ones() -> None:
    settings = Settings()

    with pytest.raises(ConfigurationError):
        ScyllaStore(dataclasses.replace(settings, path=""))
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.path = "elsewhere"  # type: ignore[misc]


def test_settings_are_values() -> None:
    by_hand = Settings(database=DatabaseSettings(contact_points=["db"]))  # type: ignore[arg-type]
    loaded = load(database__contact_points=["db"])

    assert by_hand == loaded
    assert hash(by_hand) == hash(loaded)
    assert pickle.loads(pickle.dumps(loaded)) == loaded
