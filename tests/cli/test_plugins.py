"""`orca-guard plugins` and the options that every command has."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from orca_guard.cli.streams import plain

Run = Callable[..., Any]


def test_the_table(run: Run) -> None:
    result = run("plugins")
    assert result.code == 0
    for words in ("step-by-step", "recall-reason-generate", "orca-guard 0.1.0", "models: nano", "loaded"):
        assert words in result.out


def test_json(run: Run) -> None:
    listing = json.loads(run("--no-plugin", "recall", "plugins", "--json", "--details").out)
    found = {p["name"]: p for p in listing["plugins"]}
    assert found["direct"]["provides"] == {"strategies": ["direct"]}
    assert found["direct"]["hooks"] == ["strategies"]
    assert found["direct"]["digest"].startswith("sha256:")
    assert (found["recall"]["status"], found["recall"]["reason"]) == ("blocked", "left out by --no-plugin")


def test_version_and_help(run: Run) -> None:
    assert run("--version").out == "orca-guard, version 0.1.0\n"
    for command in ("run", "plugins", "forms"):
        assert command in run("--help").out
        assert "Example" in run(command, "--help").out or command == "forms"


def test_an_allow_list_that_is_none(run: Run, tmp_path: Path) -> None:
    (tmp_path / "allow.txt").write_text("acme>=1\n")
    result = run("--allow-plugins", "allow.txt", "plugins")
    assert result.code == 2
    assert "not a pin: 'acme>=1'" in result.err


def test_a_name_that_one_plugin_provides_twice_is_its_authors_fault(run: Run, plugged: Callable[..., None]) -> None:
    plugged(commands=lambda: [click.Command("same"), click.Command("same")])
    listed = run("plugins").err
    assert "withdrawn: command 'same' is provided twice by plugin" in listed
    assert "Tell its author" in listed


def test_nobody_may_stand_in_for_a_command_of_ours(run: Run, plugged: Callable[..., None]) -> None:
    plugged(commands=lambda: [click.Command("run"), click.Command("extra")])
    assert "command 'run' is orca-guard's own" in run("plugins").err
    assert "extra" not in run("--help").out
    assert run("extra").code == 2


def test_what_a_broken_plugin_says_does_not_act_on_the_terminal(run: Run, plugged: Callable[..., None]) -> None:
    def broken() -> list[click.Command]:
        raise ValueError("\x1b]0;HACK\x07")

    plugged(commands=broken)
    for arguments in (["plugins", "--details"], ["plugins", "--json", "--details"]):
        result = run(*arguments)
        assert "HACK" in result.out + result.err
        assert plain(result.out + result.err) == result.out + result.err
