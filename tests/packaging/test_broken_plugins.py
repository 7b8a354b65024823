"""Whatever is wrong with somebody's plugin, it is named, the command line lives, and what needs it refuses to run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Install = Callable[..., Path]
Process = subprocess.CompletedProcess[str]

SOUND = """
from dataclasses import dataclass
from orca_guard.hookspecs import hookimpl
from orca_guard.passes import one_pass

ORCA_GUARD_API = 1

@dataclass
class Mine:
    name: str = "mine"
    summary: str = "one pass"
    system: str = ""
    chooses_inside_model: bool = False

    def answer(self, question, /):
        return one_pass(question, marked=False)

@hookimpl
def strategies():
    return [Mine()]
"""


def instead(old: str, new: str) -> str:
    assert old in SOUND
    return SOUND.replace(old, new)


BROKEN = {
    "import": ("import no_such_module\n" + SOUND, "it does not import: ModuleNotFoundError: No module named"),
    "syntax": ("def\n" + SOUND, "it does not import: SyntaxError"),
    "exit at import": ("raise SystemExit(0)\n" + SOUND, "it does not import: SystemExit"),
    "no version": (instead("ORCA_GUARD_API = 1", ""), "it does not state the API version it was written for"),
    "next version": (instead("ORCA_GUARD_API = 1", "ORCA_GUARD_API = 2"), "it was written for API version 2"),
    "worded version": (instead("ORCA_GUARD_API = 1", "ORCA_GUARD_API = '1'"), "it was written for API version '1'"),
    "unknown hook": (
        instead("def strategies", "def strategy"),
        "there is no hook 'strategy': did you mean 'strategies'?",
    ),
    "no hook": (instead("@hookimpl\n", ""), "it implements no hook: mark its functions with @hookimpl"),
    "async hook": (instead("def strategies", "async def strategies"), "strategies() is async"),
    "async generator": (
        instead("def strategies():\n    return [Mine()]", "async def strategies():\n    yield Mine()"),
        "strategies() is async",
    ),
    "argument": (instead("def strategies()", "def strategies(host)"), "host"),
    "raises": (instead("return [Mine()]", "raise OSError('no disk')"), "strategies() raised OSError: no disk"),
    "exit in hook": (instead("return [Mine()]", "raise SystemExit(0)"), "strategies() raised SystemExit: 0"),
    "nothing": (instead("return [Mine()]", "pass"), "strategies() returned NoneType, not a list"),
    "text": (instead("return [Mine()]", "return 'mine'"), "strategies() returned str, not a list"),
    "one": (instead("return [Mine()]", "return Mine()"), "strategies() returned Mine, not a list"),
    "class": (instead("return [Mine()]", "return [Mine]"), "it is a class, return an instance of it"),
    "wrong type": (instead("return [Mine()]", "return [3]"), "strategies() returned 3, which is no Strategy"),
    "lacks a member": (instead('    system: str = ""\n', ""), "it lacks system"),
    "async method": (instead("    def answer", "    async def answer"), "answer() of 'mine' is async"),
    "number as name": (instead('name: str = "mine"', "name: int = 7"), "strategies() returned something called 7"),
    "no name": (instead('name: str = "mine"', 'name: str = ""'), "strategies() returned something called ''"),
    "odd name": (instead('name: str = "mine"', 'name: str = "a b"'), "strategies() returned something called 'a b'"),
}


def orca_guard(site: Path, *arguments: str, **more: str) -> Process:
    """The command line of the suite's own environment, with one folder of distributions more."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ORCA_GUARD_", "PYTHON"))}
    env = {**kept, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200", **more}
    command = (str(Path(sys.executable).parent / "orca-guard"), *arguments)
    return subprocess.run(command, cwd=site, env=env, capture_output=True, text=True, check=False)


def row(process: Process, distribution: str) -> dict[str, Any]:
    assert process.returncode == 0, process.stderr
    (found,) = (row for row in json.loads(process.stdout)["plugins"] if row["distribution"] == distribution)
    assert isinstance(found, dict)
    return found


def test_a_sound_one_is_loaded(install: Install) -> None:
    """So that what is wrong with the others is what they were made to have wrong."""
    site = install(SOUND, name="acme-sound")
    assert row(orca_guard(site, "plugins", "--json"), "acme-sound")["provides"] == {"strategies": ["mine"]}


@pytest.fixture(scope="module")
def all_broken(install_all: Install) -> Path:
    """One distribution for every fault, each with a strategy of its own name, all installed at once."""
    for fault, (source, _) in BROKEN.items():
        site = install_all(source, name=named(fault))
    return site


def named(fault: str) -> str:
    return f"acme-{fault.replace(' ', '-')}"


@pytest.fixture(scope="module")
def listing(all_broken: Path) -> Process:
    return orca_guard(all_broken, "plugins", "--json")


@pytest.fixture(scope="module")
def table(all_broken: Path) -> Process:
    return orca_guard(all_broken, "plugins")


@pytest.mark.parametrize("fault", BROKEN)
def test_it_is_named_with_its_reason(listing: Process, table: Process, fault: str) -> None:
    told = row(listing, named(fault))
    assert (told["name"], told["version"], told["status"]) == ("broken", "1.2.3", "failed")
    assert BROKEN[fault][1] in told["reason"]
    assert f"failed: plugin 'broken' of {named(fault)} 1.2.3: " in table.stderr
    assert named(fault) in table.stdout


def test_the_command_line_lives(all_broken: Path, table: Process) -> None:
    assert table.returncode == 0
    assert "Traceback" not in table.stdout + table.stderr
    helped = orca_guard(all_broken, "--help")
    assert (helped.returncode, helped.stderr) == (0, "")


@pytest.mark.parametrize("fault", BROKEN)
def test_what_needs_it_refuses_to_run(install: Install, fault: str) -> None:
    source, reason = BROKEN[fault]
    needed = orca_guard(install(source), "run", "--strategy", "mine", "What is 2 + 3?")
    assert needed.returncode == 3, needed.stderr
    assert "plugin 'broken' of acme-broken 1.2.3 is failed: " in needed.stderr
    assert reason in needed.stderr
    assert "Traceback" not in needed.stderr


def test_details_have_the_traceback(install: Install) -> None:
    shown = orca_guard(install(BROKEN["raises"][0]), "plugins", "--details")
    assert shown.returncode == 0
    assert "OSError: no disk" in shown.stderr
    assert "Traceback" in shown.stderr


def test_everything_else_answers(all_broken: Path) -> None:
    answered = orca_guard(all_broken, "run", "--strategy", "direct", "What is 2 + 3?")
    assert answered.returncode == 0, answered.stderr
    assert answered.stdout.strip()


def test_left_out_it_is_not_even_imported(install: Install) -> None:
    site = install("from pathlib import Path\nPath('imported').touch()\n" + SOUND)
    assert orca_guard(site, "--no-plugin", "acme-broken", "plugins").returncode == 0
    assert orca_guard(site, "plugins", ORCA_GUARD_NO_PLUGINS="1").returncode == 0
    assert not (site / "imported").exists()
    assert orca_guard(site, "plugins").returncode == 0
    assert (site / "imported").exists()


def test_a_panic_is_a_failure_too(install: Install) -> None:
    """Extensions written in Rust panic with something that is no `Exception`."""
    site = install("class Panic(BaseException): pass\nraise Panic('at the disco')\n" + SOUND)
    assert orca_guard(site, "--help").returncode == 0
    assert "Panic: at the disco" in row(orca_guard(site, "plugins", "--json"), "acme-broken")["reason"]


def test_a_plugin_of_one_module_has_a_digest(install: Install) -> None:
    """Answers are bound to it, and allow-lists pin it."""
    site = install(SOUND, name="acme-sound")
    digest = row(orca_guard(site, "plugins", "--json", "--details"), "acme-sound")["digest"]
    assert digest.startswith("sha256:")
    (site / "acme_sound.py").write_text(SOUND + "\n")
    assert row(orca_guard(site, "plugins", "--json", "--details"), "acme-sound")["digest"] != digest


# --- names taken twice -------------------------------------------------------------------------


def test_a_strategy_claimed_twice_is_nobodys(install: Install) -> None:
    site = install(instead('"mine"', '"direct"'), name="acme-twice")
    listing = orca_guard(site, "plugins", "--json")
    assert listing.returncode == 0
    (claimants,) = json.loads(listing.stdout)["withdrawn"].values()
    assert [claimant.rpartition(" ")[0] for claimant in claimants["direct"]] == [
        "plugin 'broken' of acme-twice",
        "plugin 'direct' of orca-guard",
    ]
    assert "withdrawn: strategy 'direct' is claimed by" in orca_guard(site, "plugins").stderr
    needed = orca_guard(site, "run", "--strategy", "direct", "What is 2 + 3?")
    assert needed.returncode == 3
    assert "acme-twice 1.2.3" in needed.stderr
    assert "plugin 'direct' of orca-guard" in needed.stderr
    assert "--no-plugin" in needed.stderr


def test_the_other_names_live_on(install: Install) -> None:
    site = install(instead('"mine"', '"direct"'), name="acme-twice")
    answered = orca_guard(site, "run", "--strategy", "step-by-step", "What is 2 + 3?")
    assert answered.returncode == 0, answered.stderr


def test_left_out_it_claims_nothing(install: Install) -> None:
    site = install(instead('"mine"', '"direct"'), name="acme-twice")
    left_out = orca_guard(site, "--no-plugin", "acme-twice", "plugins", "--json")
    assert json.loads(left_out.stdout)["withdrawn"] == {}


def test_a_guard_claimed_twice_stops_what_needs_it(install: Install) -> None:
    """The default pipeline has this guard, so without it nothing is answered."""
    hook = """
@hookimpl
def guards():
    from orca_guard.contracts import GuardFactory
    return [GuardFactory(name="prompt-injection", summary="lets everything through", make=lambda settings: None)]
"""
    site = install(SOUND + hook, name="acme-twice")
    refused = orca_guard(site, "run", "What is 2 + 3?")
    assert refused.returncode == 3
    assert "guard 'prompt-injection' is claimed by plugin 'broken' of acme-twice 1.2.3" in refused.stderr


# --- distributions that are broken as such -----------------------------------------------------


def test_an_entry_point_that_names_nothing(install: Install) -> None:
    site = install(SOUND, entry="broken = no_such_module:thing")
    assert row(orca_guard(site, "plugins", "--json"), "acme-broken")["status"] == "failed"


@pytest.mark.parametrize("value", ["", "not a module", "acme_broken:no.such.thing", "1"])
def test_an_entry_point_that_is_malformed(install: Install, value: str) -> None:
    site = install(SOUND, entry=f"broken = {value}")
    assert orca_guard(site, "--help").returncode == 0
    assert row(orca_guard(site, "plugins", "--json"), "acme-broken")["status"] == "failed"


def test_a_distribution_without_metadata(install: Install) -> None:
    """An uninstallation that was interrupted leaves such a folder behind."""
    site = install(SOUND)
    (info,) = site.glob("*.dist-info")
    (info / "METADATA").unlink()
    assert orca_guard(site, "--help").returncode == 0
    assert orca_guard(site, "plugins").returncode == 0
