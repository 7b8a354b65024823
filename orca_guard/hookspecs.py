"""Every door into orca-guard, on one screen: providers return what they have, observers are told what happened.

A plugin is a module (or package) named by an entry point of the group `orca_guard`. It states the version of the
contracts it was written for and implements any of these hooks:

    from orca_guard.hookspecs import hookimpl

    ORCA_GUARD_API = 1

    @hookimpl
    def strategies():
        from my_package.strategy import Mine   # heavy imports happen here, not at the top
        return [Mine()]
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click

    from orca_guard.contracts import (
        Benchmark,
        ClassifierServer,
        GuardFactory,
        ModelLoader,
        NamedModel,
        ReportForm,
        Scorer,
        SelectorFactory,
        Strategy,
        Suite,
    )
    from orca_guard.data.sets import DataSet
    from orca_guard.types import ItemRecorded, RunFinished, RunStarted

GROUP = "orca_guard"
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


# --- providers return --------------------------------------------------------------------------


@hookspec
def models() -> Iterable[ModelLoader | NamedModel]:  # type: ignore[empty-body]  # a specification has no body
    """Loaders that open models, and models that come with the plugin."""


@hookspec
def strategies() -> Iterable[Strategy]:  # type: ignore[empty-body]
    """Ways to answer."""


@hookspec
def selectors() -> Iterable[SelectorFactory]:  # type: ignore[empty-body]
    """Ways to pick a strategy."""


@hookspec
def scorers() -> Iterable[Scorer]:  # type: ignore[empty-body]
    """Text → number. The host makes a guard of each."""


@hookspec
def guards() -> Iterable[GuardFactory]:  # type: ignore[empty-body]
    """Guards with logic of their own."""


@hookspec
def classifiers() -> Iterable[ClassifierServer]:  # type: ignore[empty-body]
    """What serves the classifiers that guards ask for, whatever model answers."""


@hookspec
def benchmarks() -> Iterable[Benchmark]:  # type: ignore[empty-body]
    """What an audit measures."""


@hookspec
def datasets() -> Iterable[DataSet]:  # type: ignore[empty-body]
    """Published data that benchmarks read, so that `orca-guard data` knows it."""


@hookspec
def suites() -> Iterable[Suite]:  # type: ignore[empty-body]
    """Benchmarks that are asked for by one name."""


@hookspec
def reports() -> Iterable[ReportForm]:  # type: ignore[empty-body]
    """Forms in which a run can be shown."""


@hookspec
def commands() -> Iterable[click.Command]:  # type: ignore[empty-body]
    """Commands of the `orca-guard` command line."""


# --- observers are told ------------------------------------------------------------------------


@hookspec
def run_started(event: RunStarted) -> None:
    """A run is about to ask its first question."""


@hookspec
def item_recorded(event: ItemRecorded) -> None:
    """A question has its answer. Called in the order in which answers become ready."""


@hookspec
def run_finished(event: RunFinished) -> None:
    """A run is over, also when it was interrupted."""
