from __future__ import annotations

import re
import tomllib
import zipfile
from configparser import ConfigParser
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("orca_guard", "plugins", "strategies")


@pytest.fixture(scope="session")
def files(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packages() -> list[Path]:
    plugins = [p.parent for folder in ("plugins", "strategies") for p in (ROOT / folder).glob("*/__init__.py")]
    return sorted([ROOT / "orca_guard", *plugins])


@pytest.mark.parametrize("package", packages(), ids=lambda p: p.name)
def test_holds_every_module(package: Path, files: dict[str, bytes]) -> None:
    modules = {p.relative_to(package.parent).as_posix() for p in package.rglob("*.py")}
    assert modules <= files.keys()


@pytest.mark.parametrize("package", packages(), ids=lambda p: p.name)
def test_holds_the_promise_of_types(package: Path, files: dict[str, bytes]) -> None:
    assert f"{package.name}/py.typed" in files


@pytest.mark.parametrize(
    "name",
    [
        "orca_guard/pipeline.toml",
        "orca_guard/policies/basics.toml",
        "orca_guard/reports/coverage.toml",
        "orca_guard/reports/page/report.html.j2",
        "orca_guard/reports/page/style.css",
        "orca_guard/reports/report.schema.json",
        "orca_guard/policies/safety.toml",
        "orca_guard/testing/reading_vectors.toml",
        "orca_guard_hf/profiles/chatml.toml",
        "orca_guard_hf/profiles/orca2.toml",
        "orca_guard_hf/profiles/own.toml",
        "orca_guard_hf/profiles/plain.toml",
        "orca_guard_nano/weights/config.json",
        "orca_guard_nano/weights/model.safetensors",
        "orca_guard_nano/weights/profile.toml",
        "orca_guard_nano/weights/tokenizer.json",
        "orca_guard_toxicity/weights/config.json",
        "orca_guard_toxicity/weights/figures.json",
        "orca_guard_toxicity/weights/model.safetensors",
        "orca_guard_toxicity/weights/ngrams.safetensors",
        "orca_guard_toxicity/weights/operating-point.json",
        "orca_guard_toxicity/weights/operating-point-ngrams.json",
        "orca_guard_toxicity/weights/tokenizer.json",
        "orca_guard_toxicity/weights/tokenizer_config.json",
    ],
)
def test_holds_what_is_read_at_run_time(name: str, files: dict[str, bytes]) -> None:
    assert len(files.get(name, b"")) > 0


@pytest.mark.parametrize("package", packages(), ids=lambda p: p.name)
def test_leaves_out_no_data_file(package: Path, files: dict[str, bytes]) -> None:
    """A data file that git ignores would be missing without a word."""
    data = {
        p.relative_to(package.parent).as_posix()
        for p in package.rglob("*")
        if p.is_file() and p.suffix in {".toml", ".json", ".safetensors", ".jinja", ".txt", ".j2", ".css", ".js"}
    }
    assert data <= files.keys()


def test_holds_packages_and_nothing_else(files: dict[str, bytes]) -> None:
    """`plugins` and `strategies` are folders of the project; as packages any other wheel could overwrite them."""
    tops = {PurePosixPath(name).parts[0] for name in files}
    (info,) = (top for top in tops if top.endswith(".dist-info"))
    assert tops - {info} == {package.name for package in packages()}
    cards = {f"{package.name}/weights/README.md" for package in packages()}  # what a model directory says of itself
    assert not [name for name in files.keys() - cards if name.endswith(".md") or "/tests/" in name or ".pyc" in name]


def test_names_every_plugin(files: dict[str, bytes]) -> None:
    (name,) = (name for name in files if name.endswith(".dist-info/entry_points.txt"))
    points = ConfigParser()
    points.read_string(files[name].decode())
    named = {value.partition(":")[0] for value in points["orca_guard"].values()}
    assert named == {package.name for package in packages()} - {"orca_guard"}
    assert points["console_scripts"]["orca-guard"] == "orca_guard.cli:main"
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]["orca_guard"]
    assert dict(points["orca_guard"]) == stated


def test_tells_nothing_of_where_it_was_built(files: dict[str, bytes]) -> None:
    telling = re.compile(rb"/(?:home|root|work|tmp|Users)/[\w.-]+|" + re.escape(str(ROOT).encode()))
    found = {name: match[0] for name, data in files.items() if (match := telling.search(data))}
    assert not found
