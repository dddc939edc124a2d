"""Defaults, then the file, then the environment, then arguments; each store has settings of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from scylla_store import ConfigurationError, ScyllaStore
from scylla_store.settings import DatabaseSettings, Settings, TlsSettings, load, load_with_origins
from scylla_store.settings.catalogue import catalogue


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "settings.toml"
    file.write_text(
        'path = "from-file"\n[database]\nkeyspace = "from_file"\nport = 1\n[database.tls]\nverify = false\n'
    )
    return file


def test_without_any_settings_the_store_is_embedded() -> None:
    settings = load()

    assert settings == Settings()
    assert (settings.database.contact_points, settings.index.url, settings.celery.broker_url) == ((), None, None)


def test_arguments_win_over_environment_over_file_over_defaults(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a file, and an environment and an argument that each name one option less
    monkeypatch.setenv("SCYLLA_STORE_SETTINGS_FILE", str(file))
    monkeypatch.setenv("SCYLLA_STORE_DATABASE__PORT", "2")
    monkeypatch.setenv("SCYLLA_STORE_DATABASE__KEYSPACE", "from_environment")
    # When settings are loaded
    loaded = load_with_origins(database__keyspace="from_argument")
    # Then the last one that names an option has the say, and is told as its origin
    database = loaded.settings.database
    assert (database.keyspace, database.port, loaded.settings.path) == ("from_argument", 2, "from-file")
    names = ("database.keyspace", "database.port", "path", "database.tls.verify", "database.timeout")
    assert [loaded.origins[name] for name in names] == [
        "argument", "SCYLLA_STORE_DATABASE__PORT", str(file), str(file), "default",
    ]  # fmt: skip
    assert set(loaded.origins) == set(catalogue(Settings))


def test_an_inner_section_keeps_what_a_later_source_does_not_name(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca_file = str(file)
    monkeypatch.setenv("SCYLLA_STORE_DATABASE__TLS__CA_FILE", ca_file)

    settings = load(settings_file=file, database__tls__enabled=True)

    assert settings.database.tls == TlsSettings(enabled=True, ca_file=ca_file, verify=False)
    assert settings.database.keyspace == "from_file"


def test_the_argument_names_another_file_or_none(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text('path = "other"')
    monkeypatch.setenv("SCYLLA_STORE_SETTINGS_FILE", str(file))

    assert [load(settings_file=each).path for each in (None, other, "")] == ["from-file", "other", "scylla_store_data"]


def test_a_section_may_be_a_dictionary() -> None:
    settings = load(database={"port": 9142, "tls": {"enabled": True}})

    assert settings.database == DatabaseSettings(port=9142, tls=TlsSettings(enabled=True))


def test_the_encoder_may_be_a_function_and_the_path_a_path(tmp_path: Path) -> None:
    settings = load(encoder=str, path=tmp_path)

    assert (settings.encoder, settings.path) == (str, str(tmp_path))


@pytest.mark.parametrize(
    "password", ["@int 7", "@format {env[HOME]}", "@jinja {{ 1 }}", "007", "true", "1e5", "[1]", " x "]
)
def test_values_are_taken_as_they_are(password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(f'[index]\napi_key = "{password}"\n')
    monkeypatch.setenv("SCYLLA_STORE_DATABASE__PASSWORD", password)

    settings = load(settings_file=file, database__username=password)

    assert (settings.database.password, settings.index.api_key, settings.database.username) == (password,) * 3


def test_the_dynaconf_of_the_application_has_no_say_and_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an application with a dynaconf of its own, its variables, and a hook and a .local file beside our settings file
    from dynaconf import Dynaconf

    times = tmp_path / "times"
    foreign = tmp_path / "foreign.py"
    foreign.write_text(
        f"with open({str(times)!r}, 'a') as file:\n    file.write('x')\nPATH = 'foreign'\nNAME = 'shop'\n"
    )
    file = tmp_path / "ours" / "settings.toml"
    file.parent.mkdir()
    file.write_text('[database]\nkeyspace = "ours"\n')
    (file.parent / "settings.local.toml").write_text('path = "local"\n')
    (file.parent / "dynaconf_hooks.py").write_text('def post(settings):\n    return {"PATH": "hook"}\n')
    for name, value in {
        "SETTINGS_FILE": str(foreign), "MERGE_ENABLED": "true", "NESTED_SEPARATOR": "false", "DOTTED_LOOKUP": "false",
        "INDEX_SEPARATOR": "_",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"{name}_FOR_DYNACONF", value)
    monkeypatch.setenv("DYNACONF_PATH", "dynaconf")
    of_application = Dynaconf()
    before = of_application.as_dict()
    assert before["NAME"] == "shop"
    loaded_before = times.read_text()
    # When our settings are loaded
    settings = load(settings_file=file, database__port=1)
    # Then they are those of the file and the argument, and the application's are as before and were not read again
    assert settings == Settings(database=DatabaseSettings(keyspace="ours", port=1))
    assert of_application.as_dict() == before
    assert times.read_text() == loaded_before


def test_several_stores_with_different_settings_live_in_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [f"keyspace_{number}" for number in range(20)]

    with ThreadPoolExecutor(4) as threads:
        loaded = list(threads.map(lambda name: load(database__keyspace=name, path=name), names))

    assert [settings.database.keyspace for settings in loaded] == names
    assert [settings.path for settings in loaded] == names
    assert load() == Settings()
    with ScyllaStore(loaded[0]) as one, ScyllaStore(loaded[1]) as other:
        assert (one.settings.path, other.settings.path) == (names[0], names[1])


def test_importing_the_library_does_not_import_dynaconf() -> None:
    code = "import sys, scylla_store, scylla_store.settings; print('dynaconf' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("given", "suggested"),
    [
        ({"database__keyspce": "x"}, "database.keyspace"),
        ({"keyspace": "x"}, "database.keyspace"),
        ({"databse": {"port": 1}}, "database.port"),
        ({"databse": {}}, "database"),
        ({"sync__drain_interval": 1}, "celery.drain_interval"),
        ({"paht": "x"}, "path"),
    ],
)
def test_an_unknown_argument_is_refused_with_the_near_one(given: dict[str, Any], suggested: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"is no option; did you mean {suggested}\?$"):
        load(**given)


def test_an_unknown_argument_without_a_near_one_is_refused_too() -> None:
    with pytest.raises(ConfigurationError, match=r"^A setting is wrong: colour \(argument\) is no option$"):
        load(colour="red")


def test_a_section_has_no_value() -> None:
    with pytest.raises(ConfigurationError, match=r"database \(argument\) is a section"):
        load(database="redis")


def test_from_settings_gives_the_store_its_settings(tmp_path: Path) -> None:
    with ScyllaStore.from_settings(path=str(tmp_path), sync__margin=7) as store:
        assert store.settings == load(path=os.fspath(tmp_path), sync__margin=7.0)
