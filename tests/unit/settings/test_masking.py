"""No secret shows: not in repr, not in errors, not in what is listed."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as some

from scylla_store import ConfigurationError
from scylla_store.settings import CelerySettings, DatabaseSettings, IndexSettings, MonitoringSettings, Settings
from scylla_store.settings.catalogue import catalogue, sections
from scylla_store.settings.masking import masked, shown

OPTIONS = catalogue(Settings)
SECTIONS: dict[str, Any] = {name: section for name, section in sections(Settings).items() if name}
SECRETS = [option for option in OPTIONS.values() if option.secret]
_LETTERS = some.text(string.ascii_letters + string.digits, min_size=1, max_size=8)
# Marked, so that it can be found; "@", "/", ";" and whatever else people forget to quote may stand in it.
_PASSWORDS = some.text(some.characters(exclude_categories=("Cs",)), max_size=12).map(lambda text: f"geheim{text}")


def test_these_are_the_secrets() -> None:
    assert {option.name for option in SECRETS} == {
        "database.password", "index.api_key", "celery.broker_url", "celery.result_backend", "monitoring.sentry_dsn",
    }  # fmt: skip


@hypothesis_settings(deadline=None)
@given(password=_PASSWORDS, user=some.one_of(some.just(""), _LETTERS), host=_LETTERS)
def test_the_password_in_a_url_never_shows(password: str, user: str, host: str) -> None:
    url = f"redis://{user}:{password}@{host}.example:6379/0"

    assert "geheim" not in masked(url)
    assert masked(url).endswith(f"@{host}.example:6379/0")
    assert "geheim" not in masked(f"{url};{url}")
    assert "geheim" not in masked(f"redis://a:1/0;{url}")


@hypothesis_settings(deadline=None)
@given(password=_PASSWORDS)
def test_a_secret_of_any_content_never_shows_in_errors_or_repr(password: str) -> None:
    for name, value in (
        ("celery__broker_url", f"redis://:{password}@host/0"),
        ("celery__broker_url", f"redis:{password}"),
        ("celery__result_backend", f"db+postgresql://ann:{password}@host/x"),
        ("database__password", password),
        ("index__url", f"http://ann:{password}@host:6333"),
        ("index__url", f"ann:{password}@host:6333"),
        ("database__contact_points", [f"ann:{password}@db"]),
        ("monitoring__statsd_host", f"ann:{password}@statsd"),
        ("monitoring__sentry_dsn", f"ftp://{password}@host/1"),
    ):
        section, _, option = name.partition("__")
        made = SECTIONS[section](**{option: value})
        assert "geheim" not in repr(made)
        try:
            Settings(**{section: made})
        except ConfigurationError as exc:
            assert "geheim" not in str(exc)  # noqa: PT017


@pytest.mark.parametrize("option", SECRETS, ids=lambda option: option.name)
@pytest.mark.parametrize("value", ["geheim", 5.25, ["geheim"], {"a": "geheim"}, b"geheim", "", " "])
def test_a_secret_of_a_wrong_type_does_not_show_in_the_error(option: Any, value: Any) -> None:
    text = shown(option, value)

    assert "geheim" not in text
    assert "5.25" not in text


def test_settings_and_their_sections_hide_secrets_in_repr() -> None:
    settings = Settings(
        database=DatabaseSettings(username="ann", password="geheim"),
        index=IndexSettings(api_key="geheim"),
        celery=CelerySettings(broker_url="redis://:geheim@cache:6379/0", result_backend="redis://ann:geheim@cache/1"),
        monitoring=MonitoringSettings(sentry_dsn="https://geheim@sentry.example/1"),
    )

    for shown_settings in (settings, settings.database, settings.index, settings.celery, settings.monitoring):
        assert "geheim" not in repr(shown_settings)
        assert "geheim" not in f"{shown_settings}"
    assert "broker_url='redis://:**@cache:6379/0'" in repr(settings)
    assert "password='**', consistency='LOCAL_QUORUM'" in repr(settings)
    assert "geheim" not in repr(IndexSettings(url="http://ann:geheim@qdrant"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://cache:6379/0", "redis://cache:6379/0"),
        ("redis://token@cache/0", "redis://**@cache/0"),
        ("redis://cache/0?password=geheim&ssl_cert_reqs=none", "redis://cache/0?password=**&ssl_cert_reqs=none"),
        ("redis://cache/0?password=ge@heim", "redis://**@heim"),
        ("redis://cache/0?password=ge:h@eim", "redis://**@eim"),
        ("redis://ann:g;e@cache/0", "redis://ann:**@cache/0"),
        ("redis://ann:g;x://e@cache/0", "redis://**;x://**@cache/0"),
        ("sentinel://a:1;sentinel://b:2", "sentinel://a:1;sentinel://b:2"),
        ("ann:geheim@cache", "**@cache"),
        ("cache", "cache"),
    ],
)
def test_the_rest_of_a_url_shows(url: str, expected: str) -> None:
    assert masked(url) == expected


def test_values_are_shown_shortly() -> None:
    assert shown(OPTIONS["path"], "/data/a@b") == "'/data/a@b'"
    assert shown(OPTIONS["database.username"], "ann@example") == "'ann@example'"
    assert shown(OPTIONS["index.url"], None) == "none"
    assert shown(OPTIONS["encoder"], len) == "builtins:len"
    assert len(shown(OPTIONS["path"], "x" * 10_000)) < 200
