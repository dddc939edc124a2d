"""Broker URLs."""

from __future__ import annotations

import ssl

import pytest

from scylla_store.contrib.celery.brokers import same_broker, tls_options
from scylla_store.settings.masking import masked
from scylla_store.settings.options import TlsSettings


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:geheim@cache:6379/0", "redis://:**@cache:6379/0"),
        ("redis://ann:geheim@cache/0", "redis://ann:**@cache/0"),
        ("amqp://ann:p@ss@rabbit//", "amqp://ann:**@rabbit//"),
        ("sentinel://:geheim@a:1;sentinel://:geheim@b:2", "sentinel://:**@a:1;sentinel://:**@b:2"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert shown == masked(url)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("redis://localhost", "redis://localhost:6379/0"),
        ("redis://localhost/0", "redis://127.0.0.1:6379"),
        ("redis://:secret@cache:6380/2", "redis://ann:other@cache:6380/2"),
        ("amqp://rabbit", "pyamqp://guest:guest@rabbit:5672"),
    ],
)
def test_two_ways_to_write_one_broker_are_the_same(one: str, other: str) -> None:
    assert same_broker(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("redis://localhost/0", "redis://localhost/1"),
        ("redis://localhost:6379/0", "redis://localhost:6380/0"),
        ("redis://cache/0", "redis://queue/0"),
        ("redis://localhost", "amqp://localhost"),
    ],
)
def test_other_hosts_ports_databases_and_kinds_are_other_brokers(one: str, other: str) -> None:
    assert not same_broker(one, other)


def test_tls_options_have_the_names_that_each_client_wants() -> None:
    # Given TLS with a client certificate
    tls = TlsSettings(enabled=True, ca_file="ca.pem", cert_file="me.pem", key_file="me.key", verify=True)
    # When it is translated
    redis, amqp = tls_options(tls, "redis://cache"), tls_options(tls, "amqp://rabbit")
    # Then Redis gets prefixed names, AMQP plain ones
    assert redis == {
        "ssl_cert_reqs": ssl.CERT_REQUIRED,
        "ssl_ca_certs": "ca.pem",
        "ssl_certfile": "me.pem",
        "ssl_keyfile": "me.key",
        "ssl_check_hostname": True,
    }
    assert amqp is not None
    assert amqp["ca_certs"] == "ca.pem"


def test_without_verification_any_certificate_is_taken() -> None:
    options = tls_options(TlsSettings(enabled=True, verify=False), "redis://cache")
    assert options == {"ssl_cert_reqs": ssl.CERT_NONE, "ssl_check_hostname": False}


def test_without_tls_there_are_no_options() -> None:
    assert tls_options(TlsSettings(), "redis://cache") is None
