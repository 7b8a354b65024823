"""A distribution of somebody else's, built and installed beside ours in an environment of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

ACME = Path(__file__).parents[2] / "docs" / "examples" / "orca-guard-acme"
OURS, THEIRS = "orca-guard", "orca-guard-acme"
Process = subprocess.CompletedProcess[str]


class House(Protocol):
    """As made in conftest.py."""

    @property
    def environment(self) -> Path: ...

    @property
    def folder(self) -> Path: ...

    def __call__(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> Process: ...

    def python(self, *arguments: str | Path) -> Process: ...


def listed(process: Process) -> dict[str, dict[str, Any]]:
    """Plugins by distribution and name."""
    assert process.returncode == 0, process.stderr
    return {f"{row['distribution']}:{row['name']}": row for row in json.loads(process.stdout)["plugins"]}


def test_everything_comes_from_the_wheels(house: House) -> None:
    code = "import orca_guard, orca_guard_acme, orca_guard_direct as d; print(orca_guard.__file__, d.__file__)"
    for path in house.python("-c", code).stdout.split():
        assert Path(path).is_relative_to(house.environment)


def test_it_is_listed(house: House) -> None:
    row = listed(house("plugins", "--json"))[f"{THEIRS}:acme"]
    assert (row["distribution"], row["version"], row["status"]) == (THEIRS, "1.0.0", "loaded")
    assert row["provides"] == {"strategies": ["two-drafts"], "guards": ["email-addresses"]}
    assert "two-drafts" in house("plugins").stdout


def test_it_is_used_with_nothing_changed_in_the_project(house: House) -> None:
    asked = ("run", "--strategy", "two-drafts", "--guard", "email-addresses", "--trace", "--json")
    answered = house(*asked, "What is 2 + 3? Mail it to ada@example.org.")
    assert answered.returncode == 0, answered.stderr
    row = json.loads(answered.stdout)
    assert row["strategy"] == "two-drafts"
    assert [step["name"] for step in row["passes"]] == ["quick draft", "careful draft", "answer"]
    verdicts = {
        (verdict["stage"], verdict["action"]) for verdict in row["verdicts"] if verdict["guard"] == "email-addresses"
    }
    assert verdicts == {("input", "redact"), ("output", "allow")}
    assert "[redacted]" in json.dumps(row["passes"])
    assert "ada@example.org" not in json.dumps(row["passes"])


def test_a_pipeline_file_gives_its_guard_options(house: House) -> None:
    pipeline, questions = house.folder / "acme.toml", house.folder / "questions.jsonl"
    pipeline.write_text(
        'strategies = ["direct"]\n'
        '[[guards]]\nname = "email-addresses"\naction = "block"\noptions = { domains = ["example.org"] }\n'
    )
    people = ("ada@example.org", "bob@example.com")
    questions.write_text("".join(json.dumps({"prompt": f"What is 2 + 3, {who}?", "id": who}) + "\n" for who in people))
    answered = house("run", "--pipeline", pipeline, "--file", questions)
    assert answered.returncode == 0, answered.stderr
    rows = {row["id"]: row for row in map(json.loads, answered.stdout.splitlines())}
    assert {who: rows[who]["action"] for who in people} == {"ada@example.org": "allow", "bob@example.com": "block"}
    assert rows["bob@example.com"]["reason"] == "email-addresses: the user holds an e-mail address"


def test_its_own_tests_pass_beside_our_wheel(house: House, tmp_path: Path) -> None:
    shutil.copytree(ACME / "tests", tmp_path / "tests")
    shutil.copy(ACME / "pyproject.toml", tmp_path)
    tested = house.python("-m", "pytest", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path / "tests")
    assert tested.returncode == 0, tested.stdout + tested.stderr


# --- leaving it out ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["acme", THEIRS, f"{THEIRS}:acme"])
def test_no_plugin_leaves_it_out(house: House, name: str) -> None:
    row = listed(house("--no-plugin", name, "plugins", "--json"))[f"{THEIRS}:acme"]
    assert (row["status"], row["reason"]) == ("blocked", "left out by --no-plugin")
    needed = house("--no-plugin", name, "run", "--strategy", "two-drafts", "What is 2 + 3?")
    assert needed.returncode == 3
    assert f"plugin 'acme' of {THEIRS} 1.0.0 is blocked" in needed.stderr


def test_the_environment_leaves_out_third_parties_alone(house: House) -> None:
    off = {"ORCA_GUARD_NO_PLUGINS": "1"}
    rows = listed(house("plugins", "--json", env=off))
    assert {row["distribution"] for row in rows.values() if row["status"] == "blocked"} == {THEIRS}
    for asked in (("--strategy", "two-drafts"), ("--guard", "email-addresses")):
        needed = house("run", *asked, "What is 2 + 3?", env=off)
        assert needed.returncode == 3, needed.stderr
        assert "ORCA_GUARD_NO_PLUGINS" in needed.stderr


# --- the allow-list ----------------------------------------------------------------------------


@pytest.fixture
def digest(house: House) -> str:
    row = listed(house("plugins", "--json", "--details"))[f"{THEIRS}:acme"]
    assert isinstance(row["digest"], str)
    return row["digest"]


def test_a_pin_lets_it_in(house: House, digest: str, tmp_path: Path) -> None:
    pins = tmp_path / "pins.txt"
    pins.write_text(f"# ours need no pin\nOrca_Guard.Acme==1.0.0 {digest}  # looked at\n")
    rows = listed(house("--allow-plugins", pins, "plugins", "--json"))
    assert rows[f"{THEIRS}:acme"]["status"] == "loaded"


@pytest.mark.parametrize(
    ("pin", "reason"),
    [
        ("", "it is not on the allow-list"),
        ("somebody-else==1.0.0", "it is not on the allow-list"),
        (f"{THEIRS}==1.0.1", "the allow-list has version 1.0.1"),
        (f"{THEIRS}==1.0.0 sha256:{'0' * 64}", "its files are not those of the allow-list"),
    ],
)
def test_a_pin_that_does_not_match_keeps_it_out(house: House, pin: str, reason: str, tmp_path: Path) -> None:
    pins = tmp_path / "pins.txt"
    pins.write_text(pin)
    rows = listed(house("plugins", "--json", env={"ORCA_GUARD_ALLOW_PLUGINS": str(pins)}))
    assert rows[f"{THEIRS}:acme"]["status"] == "blocked"
    assert rows[f"{THEIRS}:acme"]["reason"].startswith(reason)
    assert {row["status"] for row in rows.values() if row["distribution"] == OURS} == {"loaded"}
    needed = house("--allow-plugins", pins, "run", "--strategy", "two-drafts", "What is 2 + 3?")
    assert needed.returncode == 3
    assert reason in needed.stderr


def test_changed_files_are_kept_out(house: House, digest: str, tmp_path: Path) -> None:
    """One byte more in one file of the plugin, and the pin no longer holds."""
    site = house.python("-c", "import orca_guard_acme; print(orca_guard_acme.__file__)").stdout.strip()
    module = Path(site).parent / "two_drafts.py"
    source = module.read_text()
    pins = tmp_path / "pins.txt"
    pins.write_text(f"{THEIRS}==1.0.0 {digest}")
    try:
        module.write_text(source + "\n")
        rows = listed(house("--allow-plugins", pins, "plugins", "--json"))
    finally:
        module.write_text(source)
    assert rows[f"{THEIRS}:acme"]["status"] == "blocked"


def test_an_allow_list_that_cannot_be_read_stops_everything(house: House, tmp_path: Path) -> None:
    pins = tmp_path / "pins.txt"
    assert house("--allow-plugins", pins, "plugins").returncode == 2
    pins.write_text("orca-guard-acme")
    refused = house("--allow-plugins", pins, "plugins")
    assert refused.returncode == 2
    assert "write distribution==version" in refused.stderr
