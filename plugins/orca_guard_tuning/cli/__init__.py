"""`orca-guard tune`: from a teacher's answers to a model of one's own."""

from __future__ import annotations

import click

from orca_guard_tuning.cli.asking import data, sweep
from orca_guard_tuning.cli.running import run
from orca_guard_tuning.cli.shaping import erase, filter_


@click.group(
    epilog="""\b
    In this order:
      orca-guard tune sweep chosen-on.jsonl --model TEACHER --out policy.toml
      orca-guard tune data prompts.jsonl --model TEACHER --policy policy.toml --out answers.jsonl
      orca-guard tune filter answers.jsonl --against held-out.jsonl --out fit.jsonl
      orca-guard tune erase fit.jsonl --out erased.jsonl
      orca-guard tune run stages.toml --out ./my-model"""
)
def tune() -> None:
    """Tune a small model on a teacher's explanations, so that it picks the strategy by itself (Orca 2)."""


for command in (data, sweep, filter_, erase, run):
    tune.add_command(command)
