"""The host: isolation, names, faults in words. Installed distributions are tested in `packaging`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

from orca_guard.contracts import API_VERSION, GuardFactory, GuardSettings, NamedModel
from orca_guard.errors import BadInput, NameWithdrawn, PluginFailed, UnknownName
from orca_guard.hookspecs import hookimpl
from orca_guard.host import Host, Pin, read_pins
from orca_guard.testing.scripted import Plain
from orca_guard.types import Answer, ItemRecorded, RunStarted

STARTED = RunStarted(pipeline="", questions=1)


def plugin(api: Any = API_VERSION, **hooks: Callable[..., Any]) -> ModuleType:
    module = ModuleType("made")
    if api is not None:
        module.ORCA_GUARD_API = api  # type: ignore[attr-defined]
    for name, hook in hooks.items():
        setattr(module, name, hookimpl(hook))
    return module


def host(**plugins: ModuleType) -> Host:
    return Host(discover=False, extra=plugins)


def reasons(found: Host) -> dict[str, str]:
    found.everything()
    return {p.name: p.reason for p in found.plugins if p.status == "failed"}


def test_what_plugins_provide_is_sorted_and_found() -> None:
    made = host(
        b=plugin(strategies=lambda: [Plain(name="zebra"), Plain(name="ape")]),
        a=plugin(strategies=lambda: (Plain(name=n) for n in ["mole"])),
    )
    assert made.strategies.names() == ("ape", "mole", "zebra")
    assert made.strategies.get("mole").name == "mole"
    assert made.strategies.find("ape").plugin.name == "b"


def test_an_unknown_name_comes_with_a_suggestion() -> None:
    with pytest.raises(UnknownName, match="unknown strategy 'moel': did you mean 'mole'") as caught:
        host(a=plugin(strategies=lambda: [Plain(name="mole")])).strategies.get("moel")
    assert caught.value.exit_code == 2
    with pytest.raises(UnknownName, match="There is none"):
        host().strategies.get("x")


def test_a_name_taken_twice_is_withdrawn_for_both_and_the_rest_lives_on() -> None:
    made = host(
        a=plugin(strategies=lambda: [Plain(name="same"), Plain(name="own")]),
        b=plugin(strategies=lambda: [Plain(name="same")]),
    )
    assert made.strategies.names() == ("own",)
    with pytest.raises(NameWithdrawn, match="plugin 'a' of extra 0 and by plugin 'b' of extra 0") as caught:
        made.strategies.get("same")
    assert caught.value.exit_code == 3


def test_a_plugin_that_claims_its_own_name_twice_loses_it() -> None:
    made = host(a=plugin(strategies=lambda: [Plain(name="same"), Plain(name="same")]))
    with pytest.raises(NameWithdrawn, match=r"provided twice by plugin 'a' of extra 0, .* Tell its author"):
        made.strategies.get("same")


def _raise() -> Any:
    raise RuntimeError("no luck")


def _one() -> Any:
    return Plain()


def _exit() -> Any:
    raise SystemExit(0)


async def _async() -> Any:
    return []


async def _async_generator() -> Any:
    yield Plain()


class Classy(Plain):
    pass


async def _async_make(settings: GuardSettings) -> Any:
    return settings


FAULTY: dict[str, tuple[ModuleType, str]] = {
    "no version": (plugin(api=None), "does not state the API version"),
    "another version": (plugin(api=API_VERSION + 1), f"written for API version {API_VERSION + 1}"),
    "a version that is text": (plugin(api="1"), "written for API version '1'"),
    "a version that is True": (plugin(api=True), "written for API version True"),
    "unknown hook": (plugin(strategys=_raise), "no hook 'strategys': did you mean 'strategies'"),
    "no hook": (plugin(), "implements no hook: mark its functions with @hookimpl"),
    "async hook": (plugin(strategies=_async), "is async"),
    "async generator hook": (plugin(strategies=_async_generator), "is async"),
    "unknown argument": (plugin(item_recorded=lambda evnt: evnt), "evnt"),
    "raises": (plugin(strategies=_raise), "RuntimeError: no luck"),
    "exits": (plugin(strategies=_exit), "SystemExit"),
    "returns None": (plugin(strategies=lambda: None), "returned NoneType"),
    "returns text": (plugin(strategies=lambda: "plain"), "returned str"),
    "returns one": (plugin(strategies=_one), "returned Plain, not a list"),
    "returns a class": (plugin(strategies=lambda: [Classy]), "it is a class"),
    "wrong things": (plugin(strategies=lambda: [42]), "is no Strategy"),
    "another kind": (plugin(guards=lambda: [Plain()]), "is no GuardFactory"),
    "bad name": (plugin(strategies=lambda: [Plain(name="Bad Name")]), "called 'Bad Name'"),
    "nameless": (plugin(strategies=lambda: [Plain(name="")]), "called ''"),
    "async make": (
        plugin(guards=lambda: [GuardFactory(name="g", summary="", make=_async_make)]),  # type: ignore[arg-type]
        "make.. of 'g' is async",
    ),
    "no command": (plugin(commands=lambda: [print]), "is no Command"),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_faulty_plugin_is_named_and_takes_nobody_down(fault: str) -> None:
    module, words = FAULTY[fault]
    made = host(faulty=module, sound=plugin(strategies=lambda: [Plain(name="mole")]))
    found = reasons(made)
    assert set(found) == {"faulty"}
    import re

    assert re.search(words, found["faulty"]), found["faulty"]
    assert made.strategies.names() == ("mole",)
    with pytest.raises(PluginFailed, match="plugin 'faulty' of extra 0 is failed") as caught:
        made.strategies.get("from-the-faulty-one")
    assert caught.value.exit_code == 3


def test_a_module_under_two_names_fails_under_the_second() -> None:
    module = plugin(strategies=lambda: [Plain(name="mole")])
    made = host(a=module, b=module)
    assert made.strategies.names() == ("mole",)
    assert list(reasons(made)) == ["b"]


def test_what_a_plugin_lacks_is_named() -> None:
    class Half:
        name = "half"

    assert (
        "it lacks answer, chooses_inside_model, summary, system"
        in reasons(host(a=plugin(strategies=lambda: [Half()])))["a"]
    )


def test_a_plugin_that_fails_in_one_hook_loses_its_other_names() -> None:
    made = host(a=plugin(strategies=lambda: [Plain(name="mole")], guards=_raise))
    assert made.strategies.names() == ("mole",)
    made.everything()
    with pytest.raises(PluginFailed):
        made.strategies.get("mole")


def test_scorers_and_guards_share_their_names() -> None:
    from orca_guard_hygiene.prompt_injection import PromptInjection

    factory = GuardFactory(name="prompt-injection", summary="", make=lambda _: None)  # type: ignore[arg-type,return-value]
    made = host(a=plugin(scorers=lambda: [PromptInjection()]), b=plugin(guards=lambda: [factory]))
    assert set(made.guards.withdrawn) == {"prompt-injection"}


def test_leaving_out() -> None:
    with pytest.raises(UnknownName, match="unknown plugin 'recal': did you mean 'recall'"):
        Host(without=["recal"])
    made = Host(without=["recall"])
    assert "recall-generate" not in made.strategies.names()
    assert [p.reason for p in made.plugins if p.name == "recall"] == ["left out by --no-plugin"]
    with pytest.raises(PluginFailed, match="left out by --no-plugin"):
        made.strategies.get("recall-generate")


def test_third_party_off_keeps_our_own() -> None:
    made = Host(third_party=False, extra={"theirs": plugin(strategies=lambda: [Plain(name="theirs")])})
    assert "theirs" not in made.strategies.names()
    assert "direct" in made.strategies.names()


def test_our_own_plugins_are_all_well() -> None:
    made = Host(third_party=False)
    made.everything()
    assert {p.name: p.reason for p in made.plugins if p.own and p.status != "loaded"} == {}
    assert not any(registry.withdrawn for registry in made.everything().values())


@pytest.mark.parametrize("fault", [ValueError("deaf"), SystemExit(0)])
def test_observers_are_isolated(fault: BaseException) -> None:
    heard: list[Any] = []

    def broken(event: Any) -> None:
        raise fault

    def hear(event: Any) -> None:
        heard.append(event)

    made = host(
        a=plugin(run_started=broken, item_recorded=broken),
        b=plugin(run_started=hear),
    )
    assert "plugin 'a' of extra 0 failed as an observer" in made.tell(STARTED)[0]
    assert heard == [STARTED]
    from orca_guard.types import Action

    assert made.tell(ItemRecorded(answer=Answer(id="", action=Action.ALLOW))) == []


def test_an_observer_may_leave_out_the_event() -> None:
    heard: list[Any] = []
    made = host(
        a=plugin(run_started=lambda: heard.append("nothing")),
        b=plugin(run_started=lambda event=None: heard.append(event)),
    )
    assert made.tell(STARTED) == []
    assert heard == ["nothing", STARTED]


def test_commands_come_in_by_the_same_door() -> None:
    made = host(a=plugin(commands=lambda: [click.Command("hello")]))
    assert made.commands.names() == ("hello",)


def test_named_models_and_loaders_share_their_names() -> None:
    named = NamedModel(name="m", summary="", loader="hf", reference="x")
    assert host(a=plugin(models=lambda: [named])).models.get("m") is named


def test_pins(tmp_path: Path) -> None:
    assert Pin.parse("Acme_Guard==1.0") == Pin("acme-guard", "1.0")
    assert Pin.parse(f"a==1 sha256:{'0' * 64}").digest == f"sha256:{'0' * 64}"
    for line in ("acme", "acme>=1", "acme==1 sha256:0", "==1"):
        with pytest.raises(BadInput, match="not a pin"):
            Pin.parse(line)
    path = tmp_path / "allow.txt"
    path.write_text("# ours\n\nacme==1.0  # pinned\n")
    assert read_pins(path) == (Pin("acme", "1.0"),)
    with pytest.raises(BadInput, match="cannot read"):
        read_pins(tmp_path / "absent")
    made = Host(discover=False, allow=[Pin("other", "1")], extra={"a": plugin()})
    assert made.plugins[0].reason == "it is not on the allow-list"
    made = Host(discover=False, allow=[Pin("extra", "1")], extra={"a": plugin()})
    assert made.plugins[0].reason == "the allow-list has version 1"
    made = Host(discover=False, allow=[Pin("extra", "0", f"sha256:{'0' * 64}")], extra={"a": plugin()})
    assert "its files are not those" in made.plugins[0].reason
    made = Host(discover=False, allow=[Pin("extra", "0")], extra={"a": plugin(run_finished=lambda event: event)})
    assert made.plugins[0].status == "loaded"


def test_the_digest_of_a_plugin_hangs_on_its_files() -> None:
    digests = {p.name: p.digest for p in Host(third_party=False).plugins if p.own and p.name in {"direct", "recall"}}
    assert len(set(digests.values())) == 2
    assert all(digest.startswith("sha256:") for digest in digests.values())


class Panic(BaseException):
    """What an extension module's panic looks like: no Exception."""


def _panic() -> Any:
    raise Panic("aborted")


def test_a_panic_is_a_fault_of_one_plugin() -> None:
    made = host(a=plugin(strategies=_panic), b=plugin(strategies=lambda: [Plain(name="mole")]))
    assert reasons(made) == {"a": "strategies() raised Panic: aborted"}


def test_an_interrupt_is_no_fault() -> None:
    def interrupted() -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        host(a=plugin(strategies=interrupted)).strategies.names()
