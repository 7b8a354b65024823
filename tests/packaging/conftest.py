"""The wheels, built once, and environments to install them in."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ACME = ROOT / "docs" / "examples" / "orca-guard-acme"

Process = subprocess.CompletedProcess[str]


def clean(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without what would change how plugins or modules are found."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ORCA_GUARD_", "PYTHON"))}
    return kept | {"COLUMNS": "200", "HF_HUB_OFFLINE": "1", **(more or {})}


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> Process:
    """Run a command and hand back what it said."""
    return subprocess.run(command, cwd=cwd, env=clean(env), capture_output=True, text=True, check=False)


def build(project: Path, folder: Path) -> Path:
    """The wheel of a project, built with the suite's own tools, into an empty folder."""
    command = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, project)
    made = run(*command, cwd=folder)
    assert made.returncode == 0, made.stdout + made.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def acme_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ACME, tmp_path_factory.mktemp("acme"))


@dataclass(frozen=True)
class House:
    """A virtual environment with orca-guard in it, and an empty folder to work in."""

    environment: Path
    folder: Path

    def __call__(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> Process:
        return run(self.environment / "bin" / "orca-guard", *arguments, cwd=self.folder, env=env)

    def python(self, *arguments: str | Path) -> Process:
        return run(self.environment / "bin" / "python", *arguments, cwd=self.folder)


@pytest.fixture(scope="session")
def house(wheel: Path, acme_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> House:
    """Both wheels, installed beside the suite's other packages; the project's folder is not on the path.

    A `.pth` in the new environment adds the suite's site-packages at the end of the path. Its own `.pth`, which makes
    the project importable there, is not read on the way.
    """
    environment = tmp_path_factory.mktemp("house") / "venv"
    made = run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=environment.parent)
    assert made.returncode == 0, made.stderr
    python = environment / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python, "install", "--no-index")
    installed = run(*pip, "--no-deps", wheel, acme_wheel, cwd=environment.parent)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    (site,) = (environment / "lib").glob("python*/site-packages")
    borrowed = dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
    (site / "suite.pth").write_text("\n".join(borrowed) + "\n")
    return House(environment, tmp_path_factory.mktemp("elsewhere"))


Install = Callable[..., Path]


def put(site: Path, source: str, *, name: str = "acme-broken", version: str = "1.2.3", entry: str = "") -> Path:
    """Put a distribution of one module where `PYTHONPATH` makes it an installed one, and return that folder."""
    module = name.replace("-", "_")
    info = site / f"{module}-{version}.dist-info"
    info.mkdir(parents=True)
    (site / f"{module}.py").write_text(source)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[orca_guard]\n{entry or f'broken = {module}'}\n")
    return site


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Distributions for one test."""
    return partial(put, tmp_path / "site")


@pytest.fixture(scope="module")
def install_all(tmp_path_factory: pytest.TempPathFactory) -> Install:
    """Distributions for all tests of a module."""
    return partial(put, tmp_path_factory.mktemp("all") / "site")
