"""The committed reference files are what the options say, and the file loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scylla_store.settings import Settings, load, load_with_origins
from scylla_store.settings.catalogue import catalogue
from scylla_store.settings.reference import settings_file, settings_page

ROOT = Path(__file__).parents[3]
FILE = ROOT / "config" / "settings.toml"
PAGE = ROOT / "docs" / "reference" / "settings.md"


def test_the_settings_file_is_made_of_the_options() -> None:
    assert FILE.read_text(encoding="utf-8") == settings_file()


def test_the_reference_page_is_made_of_the_options() -> None:
    assert PAGE.read_text(encoding="utf-8") == settings_page()


def test_the_settings_file_loads_as_it_is_and_equals_the_defaults() -> None:
    loaded = load_with_origins(settings_file=FILE)

    assert loaded.settings == Settings() == load()
    assert set(loaded.origins.values()) == {str(FILE)}


def test_both_show_every_option_with_its_meaning_and_the_page_its_variable() -> None:
    for option in catalogue(Settings).values():
        assert f"\n# {option.meaning}" in settings_file()
        assert f"| `{option.name}` | {option.meaning} |" in settings_page()
        assert f"`{option.variable}`" in settings_page()


def test_the_module_prints_either() -> None:
    command = [sys.executable, "-m", "scylla_store.settings.reference"]
    printed = [
        subprocess.run([*command, kind], capture_output=True, encoding="utf-8", check=True).stdout
        for kind in ("toml", "markdown")
    ]

    assert printed == [settings_file(), settings_page()]
    assert subprocess.run(command, capture_output=True, encoding="utf-8").returncode == 1
