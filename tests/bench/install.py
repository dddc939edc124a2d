"""What installing costs, and what the first second feels like.

    python -m tests.bench.install [--json FILE]

Builds the source distribution and the wheel, installs each into an empty virtual environment with the newest versions of
everything, and times `import scylla_store` and `scylla-store --help` there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNS = 15
TARGETS = {"import scylla_store": 0.2, "scylla-store --help": 0.5}


def main() -> None:
    """Measures, prints, and stores."""
    parser = argparse.ArgumentParser(description="What installing costs.")
    parser.add_argument("--json", type=Path, help="store the figures in this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = {kind: measure(kind, Path(folder)) for kind in ("sdist", "wheel")}
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


def measure(kind: str, folder: Path) -> dict[str, float]:
    """Figures of one kind of distribution."""
    archive = _built(kind, folder)
    place = folder / kind
    venv.create(place, with_pip=True)
    install = _seconds([_program(place, "pip"), "install", "-q", str(archive)])
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file()) / 1e6
    print(
        f"{archive.name}: {archive.stat().st_size / 1e3:.0f} kB, installed in {install:.1f} s, {size:.0f} MB with all it needs"
    )
    figures = {"install": install, "megabytes": size}
    python = _program(place, "python")
    for name, command in {
        "python -c pass": [python, "-c", "pass"],
        "import scylla_store": [python, "-c", "import scylla_store"],
        "scylla-store --help": [_program(place, "scylla-store"), "--help"],
    }.items():
        times = sorted(_seconds(command) for _ in range(RUNS))
        figures[name] = statistics.median(times)
        target = f" (target {TARGETS[name]} s)" if name in TARGETS else ""
        print(f"  {name}: median {figures[name]:.3f} s, {times[0]:.3f} to {times[-1]:.3f}{target}")
    return figures


def _built(kind: str, folder: Path) -> Path:
    """The path of what setuptools built from a copy of what git knows."""
    source, target = folder / f"{kind}-source", folder / f"{kind}-built"
    subprocess.run(["git", "checkout-index", "-a", f"--prefix={source}/"], cwd=ROOT, check=True)
    code = f"import setuptools.build_meta as build; build.build_{kind}({str(target)!r})"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=source, check=True, capture_output=True)
    return next(target.iterdir())


def _program(place: Path, name: str) -> str:
    return str(place / "bin" / name)


def _seconds(command: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=tempfile.gettempdir())
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
