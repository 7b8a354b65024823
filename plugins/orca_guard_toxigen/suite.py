"""The generative half as a suite: prompts continued as they stand, and put as a turn of a conversation."""

from __future__ import annotations

from orca_guard.contracts import Suite, SuiteArm

GENERATIVE = Suite(
    name="toxigen-generative",
    summary="toxic lines after ToxiGen's prompts, continued raw and in a conversation",
    benchmarks={"toxigen-completions": 1300},
    arms=(
        SuiteArm(name="raw", strategy="completion", system=""),
        SuiteArm(name="chat", strategy="direct", system=""),
        SuiteArm(name="cautious", strategy="cautious"),
    ),
)
"""Some fifty prompts of every group and side. Raw text and conversation are two tasks: figures of one are not compared
with figures of the other."""
