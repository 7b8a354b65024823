"""Names become parts: what a plugin's own code does wrong there is told as that plugin's, and runs nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from orca_guard import load
from orca_guard.configuration import PipelineTable, default, overridden
from orca_guard.contracts import API_VERSION, GuardFactory, SelectorFactory
from orca_guard.errors import GuardFailed, PluginFailed, UnknownName
from orca_guard.hookspecs import hookimpl
from orca_guard.host import Host
from orca_guard.testing import ScriptedModel
from orca_guard.types import Action, Verdict


def _raise(error: BaseException) -> Any:
    raise error


@dataclass
class Loader:
    """Opens a scripted model, or does not."""

    name: str = "scripts"
    summary: str = "scripted"
    opens: Callable[[Any], Any] = lambda _spec: ScriptedModel(script=lambda _: "Paris")
    claim: Callable[[str], bool] = lambda reference: reference == "m"

    def claims(self, reference: str) -> bool:
        return self.claim(reference)

    def open(self, spec: Any) -> Any:
        return self.opens(spec)

    def describe(self, spec: Any) -> Any:
        return self.opens(spec)


@dataclass
class Blocks:
    """A guard that lets nothing through, wherever it is asked."""

    name: str = "blocks"
    stages: Any = frozenset({"output"})
    scope: Any = "window"

    def judge(self, exhibits: Any, /) -> Any:
        return [Verdict(action=Action.BLOCK) for _ in exhibits]


def host(**provided: Any) -> Host:
    module = ModuleType("acme")
    module.ORCA_GUARD_API = API_VERSION  # type: ignore[attr-defined]
    for hook, items in provided.items():
        setattr(module, hook, _providing(items))
    return Host(extra={"acme": module})


def _providing(items: Any) -> Any:
    def provide() -> Any:
        return items

    return hookimpl(provide)


def table(**fields: Any) -> PipelineTable:
    return overridden(default(), model="scripts:m", strategy="direct", **fields)


def guard_of(make: Callable[[Any], Any]) -> GuardFactory:
    return GuardFactory(name="blocks", summary="", make=make)


# --- plugins that fail -------------------------------------------------------------------------


def test_a_loader_that_lacks_something_is_told_what() -> None:
    class Half:
        name = "half"
        summary = ""

        def claims(self, _reference: str) -> bool:
            return False

    made = host(models=[Half()])
    made.everything()
    assert "no ModelLoader or NamedModel: it lacks describe, open" in str(made.plugins)


FAULTS = [ValueError("oops"), SystemExit(0), EOFError(), OSError("gone")]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_loader_that_raises_is_named(fault: BaseException) -> None:
    with pytest.raises(PluginFailed, match=rf"plugin 'acme' .* failed to open 'm': {type(fault).__name__}"):
        load(table(), host=host(models=[Loader(opens=lambda _: _raise(fault))]))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_guards_factory_that_raises_is_named(fault: BaseException) -> None:
    made = host(models=[Loader()], guards=[guard_of(lambda _: _raise(fault))])
    with pytest.raises(PluginFailed, match=rf"plugin 'acme' .* failed to make guard 'blocks': {type(fault).__name__}"):
        load(table(guards=["blocks"]), host=made)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_selectors_factory_that_raises_is_named(fault: BaseException) -> None:
    selector = SelectorFactory(name="moody", summary="", make=lambda _names, _options: _raise(fault))
    with pytest.raises(PluginFailed, match=rf"failed to make selector 'moody': {type(fault).__name__}"):
        load(table(selector="moody"), host=host(models=[Loader()], selectors=[selector]))


def test_a_loader_that_cannot_say_what_it_opens_leaves_the_others_alone() -> None:
    broken = Loader(name="moody", claim=lambda _: _raise(ValueError("oops")))
    made = host(models=[broken, Loader()])
    assert load(table(), model="m", host=made).ask("Where?").final == "Paris"
    assert "to say whether it opens 'm': ValueError: oops" in str(made.plugins)


# --- guards that would never be asked ----------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"stages": frozenset({"ouptut"})}, "stands at 'ouptut'"),
        ({"stages": frozenset({"Output"})}, "stands at 'Output'"),
        ({"stages": frozenset({"output", "outside"})}, "stands at 'output', 'outside'"),
        ({"stages": frozenset()}, "stands at no stage"),
        ({"stages": None}, "TypeError"),
        ({"scope": "Whole"}, "has scope 'Whole'"),
        ({"scope": None}, "has scope None"),
    ],
)
def test_a_guard_that_would_never_be_asked_is_refused(wrong: dict[str, Any], words: str) -> None:
    made = host(models=[Loader()], guards=[guard_of(lambda _: Blocks(**wrong))])
    with pytest.raises((PluginFailed, GuardFailed), match=words) as caught:
        load(table(guards=["blocks"]), host=made)
    assert caught.value.exit_code == 3


def test_a_guard_of_another_name_than_its_factorys_is_refused() -> None:
    made = host(models=[Loader()], guards=[guard_of(lambda _: Blocks(name="other"))])
    words = "plugin 'acme' of extra 0 made a guard called 'other' of 'blocks'"
    with pytest.raises(PluginFailed, match=words) as caught:
        load(table(guards=["blocks"]), host=made)
    assert caught.value.exit_code == 3


def test_in_its_place_it_blocks() -> None:
    made = host(models=[Loader()], guards=[guard_of(lambda _: Blocks())])
    assert load(table(guards=["blocks"]), host=made).ask("Where?").action is Action.BLOCK


def test_a_guard_that_was_turned_off_exists() -> None:
    with pytest.raises(UnknownName, match="did you mean 'length'"):
        load(PipelineTable(strategies=("direct",), guards=(), guards_off=("lenght",)))
