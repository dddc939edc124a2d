"""docker-compose.yml, as far as it can be checked without an engine: `tox -e lint` holds it against the specification's schema."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from scylla_store.cli import main
from scylla_store.settings import load

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
APPLICATION = ["setup", "worker", "beat", "flower"]
SERVERS = {"scylla": 9042, "qdrant": 6333, "redis": 6379}


def command(service: str) -> list[str]:
    """What a service starts."""
    return shlex.split(SERVICES[service]["command"])


def test_everything_that_a_cluster_needs_is_there() -> None:
    assert set(SERVICES) == {*SERVERS, *APPLICATION}


@pytest.mark.parametrize("service", SERVICES)
def test_versions_are_pinned_to_the_last_digit(service: str) -> None:
    assert re.search(r":v?\d+\.\d+\.\d+$", SERVICES[service]["image"])


@pytest.mark.parametrize("service", sorted(set(SERVICES) - {"setup"}))
def test_what_goes_on_running_tells_its_health(service: str) -> None:
    check = SERVICES[service]["healthcheck"]

    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "timeout", "retries"} <= set(check)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_waits_for_what_can_come_true(service: str) -> None:
    for name, wanted in SERVICES[service].get("depends_on", {}).items():
        if wanted["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[name]
        else:
            assert wanted["condition"] == "service_completed_successfully"
            assert SERVICES[name]["restart"] == "on-failure"


def test_what_the_servers_store_stays() -> None:
    kept = {volume.partition(":")[0] for name in SERVERS for volume in SERVICES[name]["volumes"]}

    assert kept == set(COMPOSE["volumes"])


def test_ports_are_open_for_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("service", APPLICATION)
def test_the_settings_of_the_application_lead_to_the_servers(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given the environment of its container
    for name, value in SERVICES[service]["environment"].items():
        monkeypatch.setenv(name, value)

    # When its settings are read
    settings = load()

    # Then every address is a service and its port
    urls = [
        urlsplit(url or "") for url in (settings.index.url, settings.celery.broker_url, settings.celery.result_backend)
    ]
    found = [(url.hostname, url.port) for url in urls]
    found += [(point, settings.database.port) for point in settings.database.contact_points]
    assert [one for one in found if one not in SERVERS.items()] == []
    assert len(found) == 4


@pytest.mark.parametrize("service", ["setup", "worker", "beat"])
def test_the_commands_exist(service: str) -> None:
    program, name, *arguments = command(service)

    assert program == "scylla-store"
    with main.commands[name].make_context(name, list(arguments)) as context:
        assert context.params.get("arguments", ()) == tuple(arguments)


def test_flower_watches_the_ready_made_app() -> None:
    assert command("flower")[:4] == ["celery", "-A", "tasks", "flower"]


@pytest.mark.parametrize("service", APPLICATION)
def test_the_image_is_made_of_what_is_here(service: str) -> None:
    lines = SERVICES[service]["build"]["dockerfile_inline"].splitlines()
    sources = [source for line in lines if line.startswith("COPY") for source in line.split()[1:-1]]
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")

    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert {"setup.py", "setup.cfg", "README.md", "LICENSE", "scylla_store", "tasks"} == set(sources)
    assert "flower" in setup["options.extras_require"]
    python = re.search(r"FROM python:(\d+\.\d+)", lines[0])
    assert python is not None
    assert f"Python :: {python[1]}\n" in setup["metadata"]["classifiers"]
    assert SERVICES[service]["image"] == f"scylla-store:{setup['metadata']['version']}"
