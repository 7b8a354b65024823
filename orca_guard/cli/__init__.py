"""The command line: parse, call, print. One file a command."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from orca_guard.errors import ExitCode, OrcaGuardError, suggest

BUILT_IN = {
    "audit": "audit",
    "doctor": "doctor",
    "forms": "forms",
    "plan": "plan",
    "plugins": "plugins",
    "rescore": "rescore",
    "run": "run",
    "runs": "runs",
    "verify": "verify",
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
    logging.basicConfig(level=logging.DEBUG if debug else logging.ERROR, format="%(name)s: %(message)s")


def main() -> None:
    """The one place where an exception becomes an exit code."""
    code = invoke(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read us has gone: nothing is left to say, and nothing to complain about
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def invoke(arguments: list[str]) -> int:  # noqa: PLR0911  # one return a kind of ending
    """Run a command line and return its exit code."""
    try:
        code = cli.main(arguments, prog_name="orca-guard", standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return ExitCode.INTERRUPTED
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except OrcaGuardError as error:
        click.echo(f"orca-guard: {error}", err=True)
        if "--debug" in arguments:
            traceback.print_exc()
        return error.exit_code
    except BrokenPipeError:
        return ExitCode.DONE
    except SystemExit as end:  # click's shell completion, or a plugin's command, has had its say
        return end.code if isinstance(end.code, int) else ExitCode.DONE if end.code is None else ExitCode.USAGE
    except BaseException:  # noqa: BLE001  # a bug keeps its traceback, and its own exit code
        traceback.print_exc()
        click.echo("orca-guard: this is a bug in orca-guard or in a plugin; the traceback is above.", err=True)
        return ExitCode.INTERNAL
    return int(code or ExitCode.DONE)
