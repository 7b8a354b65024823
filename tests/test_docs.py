"""The documentation does what it says: its commands run, its options exist, its hooks are those there are.

The conventions stand in CONTRIBUTING.md under "Documentation".
"""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from orca_guard import hookspecs
from orca_guard.cli import cli
from orca_guard.host import OBSERVERS, PROVIDERS

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
EXAMPLES = ROOT / "docs" / "examples"
"""Documented by their own READMEs, whose commands need them installed: see tests/packaging."""

DOCUMENTS = sorted([README, *(p for p in (ROOT / "docs").rglob("*.md") if not p.is_relative_to(EXAMPLES))])
LONG_README = 20
"""Lines from which on a README is one, and not a placeholder."""

BLOCK = re.compile(r"^```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
RUN = re.compile(
    r"(?:(?:printf|echo|cat)\b[^|]*\|\s*)?(?:[A-Z_]+=\S*\s+)*orca-guard\b|(?:cat|printf|echo|mkdir|ls|head)\b"
)
"""Commands that are run: ours, alone or at the end of a pipe, and those that make or show small files."""

FOREIGN = {"--no-deps", "--upgrade"}
"""Options of other programs that stand alone between backticks."""


@dataclass(frozen=True)
class Command:
    """One command of a document, and the exit code it says it ends with."""

    place: str
    text: str
    code: int


def blocks(document: Path, *languages: str) -> Iterator[tuple[int, str]]:
    """Line and text of every fenced block in these languages."""
    source = document.read_text("utf-8")
    for match in BLOCK.finditer(source):
        if match["language"] in languages:
            yield source.count("\n", 0, match.start()) + 2, match["text"]


def commands(document: Path) -> Iterator[Command]:
    """The commands after `$ `, with the lines that belong to them: here-documents and continuations."""
    for start, block in blocks(document, "console", "sh", "bash"):
        lines = list(enumerate(block.splitlines(), start))
        while lines:
            number, line = lines.pop(0)
            if not line.startswith("$ "):
                continue
            text = line[2:]
            while text.endswith("\\") and lines:
                text += "\n" + lines.pop(0)[1].removeprefix("> ")
            if mark := re.search(r"<<-?\s*'?(\w+)'?", text):
                while lines:
                    body = lines.pop(0)[1]
                    text += "\n" + body
                    if body == mark[1]:
                        break
            if not text.rstrip().endswith("# not run"):
                stated = re.search(r"#\s*exit (\d+)\s*$", text)
                yield Command(f"{document.relative_to(ROOT)}:{number}", text, int(stated[1]) if stated else 0)


def environment() -> dict[str, str]:
    """The command line that is installed with the tests, and nothing of the machine's settings for it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ORCA_GUARD_", "PYTHON"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**kept, "PATH": path, "COLUMNS": "100", "HF_HUB_OFFLINE": "1"}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# --- what can be typed -------------------------------------------------------------------------


@pytest.mark.timeout(900)
@pytest.mark.parametrize("document", [d for d in DOCUMENTS if any(commands(d))], ids=relative)
def test_commands_end_as_they_say(document: Path, tmp_path: Path) -> None:
    """All commands of a document, in order, in one folder that begins empty."""
    wrong = []
    for command in commands(document):
        if not RUN.match(command.text):
            continue
        ended = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command.text],
            cwd=tmp_path,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode != command.code:
            told = f"{command.place}: {command.text}\n  exit {ended.returncode}, not {command.code}"
            wrong.append(f"{told}: {ended.stderr.strip()}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_option_exists(document: Path) -> None:
    unknown = sorted(set(stated_options(document)) - known_options() - FOREIGN)
    assert not unknown


def stated_options(document: Path) -> Iterator[str]:
    """Options on lines that call orca-guard, and those that stand alone between backticks."""
    option = r"(?<![\w-])--[a-z][a-z-]*"
    for command in commands(document):
        for call in re.findall(r"\borca-guard\s[^|;\n]*(?:\\\n[^|;\n]*)*", command.text):
            yield from re.findall(option, re.sub(r"""'[^']*'|"[^"]*\"""", "", call))
    prose = BLOCK.sub("", document.read_text("utf-8"))
    for span in re.findall(r"`([^`\n]+)`", prose):
        if span.startswith(("orca-guard", "--")):
            yield from re.findall(option, span)


def known_options() -> set[str]:
    """Of the command line and all its commands."""

    def of(command: click.Command, context: click.Context) -> Iterator[str]:
        for parameter in command.get_params(context):
            yield from (*parameter.opts, *parameter.secondary_opts)
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner
                yield from of(inner, click.Context(inner, parent=context, info_name=name))

    return set(of(cli, click.Context(cli, info_name="orca-guard")))


# --- the README --------------------------------------------------------------------------------


def test_the_readme_shows_something_to_type() -> None:
    """Once it is more than a placeholder."""
    if len(README.read_text("utf-8").splitlines()) > LONG_README:
        assert any("orca-guard" in command.text for command in commands(README))
        assert any(blocks(README, "python"))
        assert "make run" in README.read_text("utf-8")
        assert "make test" in README.read_text("utf-8")


@pytest.mark.parametrize("code", [pytest.param(text, id=f"line {line}") for line, text in blocks(README, "python")])
def test_python_runs(code: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("document", sorted({*DOCUMENTS, *EXAMPLES.rglob("*.md"), *ROOT.glob("*.md")}), ids=relative)
def test_links_lead_somewhere(document: Path) -> None:
    """Those to files of the project."""
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", BLOCK.sub("", document.read_text("utf-8")))
    lost = [t for t in targets if "://" not in t and not t.startswith("mailto:") and not (document.parent / t).exists()]
    assert not lost


# --- the hooks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("hook", [*PROVIDERS, *OBSERVERS])
def test_every_hook_is_documented(hook: str) -> None:
    """With its arguments, as in `run_started(event)`."""
    guide = ROOT / "docs" / "plugins.md"
    if not guide.exists():
        pytest.skip("there is no docs/plugins.md yet")
    arguments = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
    assert f"{hook}({arguments})" in guide.read_text("utf-8")


# --- the convention itself ---------------------------------------------------------------------


def test_reads_commands_as_the_convention_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    document = tmp_path / "a.md"
    document.write_text(
        "```console\n$ cat > f <<'EOF'\n$ not a command\nEOF\n$ orca-guard run \\\n>   --json x  # exit 1\noutput\n"
        "$ orca-guard run y  # not run\n```\n\n```text\n$ orca-guard z\n```\n"
    )
    assert list(commands(document)) == [
        Command("a.md:2", "cat > f <<'EOF'\n$ not a command\nEOF", 0),
        Command("a.md:5", "orca-guard run \\\n  --json x  # exit 1", 1),
    ]


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("orca-guard plugins", True),
        ("ORCA_GUARD_NO_PLUGINS=1 orca-guard plugins", True),
        ("echo 'What is 2 + 3?' | orca-guard run", True),
        ("cat > prompts.jsonl <<'EOF'", True),
        ("make test", False),
        ("pip install orca-guard", False),
    ],
)
def test_runs_what_the_convention_says(text: str, runs: bool) -> None:  # noqa: FBT001  # as a parameter of a test
    assert bool(RUN.match(text)) is runs


def test_what_is_written_from_the_code_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "docs/build.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}run: python docs/build.py"
