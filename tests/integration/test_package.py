"""What is installed: the source distribution and the wheel hold all of the package and nothing else."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("scylla_store", "tasks")
_BUILD = "import sys, setuptools.build_meta as build; print(getattr(build, 'build_' + sys.argv[1])(sys.argv[2]))"


@dataclass(frozen=True)
class Built:
    """What was built: the names of the files by distribution, the wheel's metadata and its entry points."""

    sdist: set[str]
    wheel: set[str]
    metadata: str
    entry_points: str


def build(kind: str, source: Path, target: Path) -> Path:
    """Builds with setuptools, as pip does, but with what is installed here."""
    command = [sys.executable, "-W", "ignore", "-c", _BUILD, kind, str(target)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A wheel that was built from the source distribution."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    for name in ("setup.py", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in (*PACKAGES, "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    with tarfile.open(build("sdist", source, target)) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
        sdist.extraction_filter = getattr(tarfile, "data_filter", None)  # Python before 3.10.12 and 3.11.4 has none
        sdist.extractall(target)
    unpacked = next(path for path in target.iterdir() if path.is_dir())
    with zipfile.ZipFile(build("wheel", unpacked, target)) as wheel:
        info = next(name for name in wheel.namelist() if name.endswith("/METADATA")).rpartition("/")[0]
        return Built(
            names,
            set(wheel.namelist()),
            wheel.read(f"{info}/METADATA").decode(),
            wheel.read(f"{info}/entry_points.txt").decode(),
        )


def files() -> set[str]:
    """All files of our packages, data included."""
    return {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_a_wheel_made_from_the_source_distribution_holds_every_file_of_the_packages(built: Built) -> None:
    assert {name for name in built.wheel if ".dist-info/" not in name} == files()
    assert "scylla_store/py.typed" in built.wheel
    assert any(name.endswith(".cql") for name in built.wheel)


def test_the_source_distribution_holds_what_is_needed_to_install_it(built: Built) -> None:
    assert files() | {"setup.py", "setup.cfg", "README.md", "LICENSE"} <= built.sdist
    assert not any(name.startswith("tests") for name in built.sdist)


def test_the_wheel_brings_the_program_and_the_fixtures(built: Built) -> None:
    points = configparser.ConfigParser()
    points.read_string(built.entry_points)

    assert dict(points["console_scripts"]) == {"scylla-store": "scylla_store.cli:main"}
    assert dict(points["pytest11"]) == {"scylla_store.testing.plugin": "scylla_store.testing.plugin"}


def test_the_metadata_says_licence_pythons_and_what_the_engine_is_pinned_to(built: Built) -> None:
    metadata = Parser().parsestr(built.metadata)

    assert metadata["Name"] == "scylla-store"
    assert set(metadata["Requires-Python"].split(",")) == {">=3.10", "<3.14"}
    assert "Apache-2.0" in (metadata["License-Expression"], metadata["License"])
    assert any(name.endswith("licenses/LICENSE") for name in built.wheel)
    edge = next(line for line in metadata.get_all("Requires-Dist", []) if line.startswith("qdrant-edge-py"))
    assert set(edge.removeprefix("qdrant-edge-py").split(",")) == {">=0.9", "<0.10"}
