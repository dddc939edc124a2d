"""Files that cannot be used say so, without their content."""

from __future__ import annotations

from pathlib import Path

import pytest

from scylla_store import ConfigurationError
from scylla_store.settings import load


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'path = "a"\npassword = geheim\n', r"is not TOML \(at line 2, column \d+\)"),
        (b'[index]\napi_key = "geheim\n', r"is not TOML \(at line 2, column \d+\)"),
        (b"[database]\nport = 1\nport = 2\n", "is not TOML"),
        (b'path = "\xff"\n', "is not UTF-8"),
        (b"[database]\nkeyspce = 'x'\n", r"database\.keyspce \(.*\) is no option; did you mean database\.keyspace\?"),
        (b"[databse]\n", r"databse \(.*\) is no option; did you mean database\?"),
        (b"path = {}\n", r"path = \{\} \(.*\) must be a text"),
        (b"database = 3\n", r"database \(.*\) is a section"),
        (b"[sync]\nmargin = 1979-05-27\n", r"sync\.margin = .* must be a number from"),
        (b"[sync]\nmargin = nan\n", r"sync\.margin = nan \(.*\) must be a number from"),
        (b"[database]\nport = true\n", r"database\.port = True \(.*\) must be a whole number from 1 to 65,535"),
        (b"[database]\ncontact_points = ['a', 1]\n", r"database\.contact_points = .* must be a list of texts"),
    ],
)
def test_a_file_that_is_wrong_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_bytes(content)

    with pytest.raises(ConfigurationError, match=message) as failure:
        load(settings_file=file)

    assert str(file) in str(failure.value)
    assert "geheim" not in str(failure.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"gone\.toml cannot be read: No such file"):
        load(settings_file=tmp_path / "gone.toml")

    monkeypatch.setenv("SCYLLA_STORE_SETTINGS_FILE", str(tmp_path))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load()


def test_a_byte_order_mark_and_a_home_are_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop.toml").write_bytes(b'\xef\xbb\xbfpath = "here"\r\n')
    monkeypatch.setenv("HOME", str(tmp_path))

    assert load(settings_file="~/shop.toml").path == "here"
