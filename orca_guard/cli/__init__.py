"""The command line: parse, call, print. One file a command."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import click
from click.shell_completion import shell_complete

from orca_guard.cli.streams import Lines, ReaderGone, complain, stand_in
from orca_guard.errors import ExitCode, OrcaGuardError, suggest

PROGRAM = "orca-guard"
COMPLETING = "_ORCA_GUARD_COMPLETE"
"""Set by the shell that asks for completions."""

BUILT_IN = {
    "audit": "audit",
    "compare": "compare",
    "data": "data",
    "doctor": "doctor",
    "forms": "forms",
    "guards": "guards",
    "plan": "plan",
    "plugins": "plugins",
    "policies": "policies",
    "report": "report",
    "rescore": "rescore",
    "review": "review",
    "run": "run",
    "runs": "runs",
    "sign": "sign",
    "verify": "verify",
    "waive": "waive",
}
"""Command → the module here that has it, imported when it is asked for."""


class Commands(click.Group):
    """Our commands, and those of plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, sorted."""
        return sorted({*BUILT_IN, *added_commands(ctx).names()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command of ours, else a plugin's; None makes click say what there is."""
        if cmd_name in BUILT_IN:
            from importlib import import_module  # noqa: PLC0415  # only the command that runs is imported

            command: click.Command = getattr(import_module(f"orca_guard.cli.{BUILT_IN[cmd_name]}"), cmd_name)
            return command
        commands = added_commands(ctx)
        return commands.get(cmd_name) if cmd_name in (*commands.names(), *commands.withdrawn) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with a suggestion for a command that is not there."""
        if args and self.get_command(ctx, args[0]) is None:
            ctx.fail(f"no such command {args[0]!r}{suggest(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


def added_commands(ctx: click.Context) -> Any:
    """The commands of plugins. One that claims a name of ours fails: nobody may stand in for `run`."""
    commands = host_of(ctx).commands
    for name, provided in commands:
        if name in BUILT_IN:
            provided.plugin.fail(f"command {name!r} is orca-guard's own")
    return commands


def host_of(ctx: click.Context) -> Any:
    """The host of this invocation, made on first use."""
    root = ctx.find_root()
    if root.obj is None:
        from orca_guard.host import Host  # noqa: PLC0415  # `--version` needs no plugins

        root.obj = Host.installed(without=root.params.get("no_plugin", ()), allow=root.params.get("allow_plugins"))
    return root.obj


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
    Examples:
      orca-guard run "What is the capital of France?"
      orca-guard run --strategy step-by-step --trace "What is 17 + 26?"
      orca-guard plugins""",
)
@click.version_option(package_name="orca-guard", prog_name="orca-guard")
@click.option("--no-plugin", multiple=True, is_eager=True, metavar="NAME", help="Leave out a plugin or distribution.")
@click.option(
    "--allow-plugins",
    type=click.Path(path_type=Path, dir_okay=False),
    is_eager=True,
    metavar="FILE",
    help="Load third-party plugins only if pinned in FILE, a line each: distribution==version [sha256:…].",
)
@click.option("--debug", is_flag=True, help="Show tracebacks and log messages.")
def cli(no_plugin: tuple[str, ...], allow_plugins: Path | None, *, debug: bool) -> None:  # noqa: ARG001  # read by host_of
    """Answer with cautious reasoning behind guards that fail closed.

    Third-party plugins are left out altogether when ORCA_GUARD_NO_PLUGINS is set.
    """
    _log_to_stderr(debug=debug)


def _log_to_stderr(*, debug: bool) -> None:
    """Errors of every library, warnings of our own; with `debug` everything."""
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.ERROR,
        handlers=[Lines(traced=logging.DEBUG if debug else logging.ERROR)],
    )
    logging.getLogger("orca_guard").setLevel(logging.DEBUG if debug else logging.WARNING)


def main() -> None:
    """The one place where an exception becomes an exit code."""
    stand_in()
    code = invoke(sys.argv[1:])
    with suppress(ReaderGone, OrcaGuardError):  # what went wrong before has been told, and has its code
        sys.stdout.flush()
    sys.exit(code)


def invoke(arguments: list[str]) -> int:  # noqa: PLR0911  # one return a kind of ending
    """Run a command line and return its exit code."""
    try:
        code = _called(arguments)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except (click.Abort, KeyboardInterrupt):
        complain("interrupted")
        return ExitCode.INTERRUPTED
    except click.ClickException as error:
        shown = StringIO()
        error.show(shown)
        complain(shown.getvalue().rstrip("\n"))
        return ExitCode.USAGE
    except OrcaGuardError as error:
        complain(f"orca-guard: {error}")
        if "--debug" in arguments:
            complain(traceback.format_exc())
        return error.exit_code
    except ReaderGone:
        return ExitCode.DONE
    except SystemExit as end:  # a plugin's command has had its say
        return end.code if isinstance(end.code, int) else ExitCode.DONE if end.code is None else ExitCode.USAGE
    except BaseException:  # noqa: BLE001  # a bug keeps its traceback, and its own exit code
        complain(traceback.format_exc())
        complain("orca-guard: this is a bug in orca-guard or in a plugin; the traceback is above.")
        return ExitCode.INTERNAL
    return code


def _called(arguments: list[str]) -> int:
    """What `click.Command.main` does, but that one takes every broken pipe, a server's too, for exit code 1."""
    if instruction := os.environ.get(COMPLETING):
        return shell_complete(cli, {}, PROGRAM, COMPLETING, instruction)
    with cli.make_context(PROGRAM, list(arguments)) as ctx:
        return int(cli.invoke(ctx) or ExitCode.DONE)
