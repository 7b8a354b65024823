"""Puts a pipeline's guards in their places: made, held against their operating points, identified."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from orca_guard import operating
from orca_guard.configuration import GuardTable
from orca_guard.contracts import (
    AskingGuard,
    ClassifierServer,
    Classifying,
    Guard,
    GuardFactory,
    GuardSettings,
    TextGuard,
)
from orca_guard.errors import BadInput, PluginFailed, UsageError
from orca_guard.guards import GuardInPlace, ScorerGuard
from orca_guard.host import Host, Plugin, Provided, blaming
from orca_guard.identity import digest_file, digest_of
from orca_guard.isolation import Unsendable, isolated
from orca_guard.operating import OperatingPoint
from orca_guard.types import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A guard in its place, and what the pipeline says of it.

    Attributes:
        place: the guard.
        identity: everything that decides its verdicts.
        server: what answers its `Classify` requests; None where it asks none.
        warning: what a person should know of it; empty where there is nothing.
    """

    place: GuardInPlace
    identity: Mapping[str, Any]
    server: ClassifierServer | None = None
    warning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """How guards are put in their places.

    Attributes:
        offline: never touch the network.
        fresh: compute digests whatever is remembered of them.
        isolate: guards of other distributions run in processes of their own, unless the pipeline file says otherwise.
    """

    offline: bool = False
    fresh: bool = False
    isolate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A guard that is made and not yet in its place, which depends on the model that answers."""

    table: GuardTable
    found: Provided[GuardFactory]
    settings: GuardSettings
    guard: Guard
    server: ClassifierServer | None
    classifiers: Sequence[Mapping[str, str]]
    circumstances: Circumstances


def prepare(table: GuardTable, host: Host, circumstances: Circumstances) -> Prepared:
    """Make the guard that a pipeline file names, before any model is loaded: most of what is wrong is found here.

    Raises:
        UsageError: nothing has this name, or a setting makes no sense.
        BadInput: a classifier is not what it should be.
        PluginFailed: the plugin made something that is no guard, or one of another name.
    """
    found = host.guards.find(table.name)
    settings = GuardSettings(
        threshold=table.threshold,
        action=Action(table.action) if table.action else None,
        options=table.options,
        offline=circumstances.offline,
    )
    guard = _made(found, settings)
    server, digests = _described(guard, host, circumstances)
    return Prepared(
        table=table,
        found=found,
        settings=settings,
        guard=guard,
        server=server,
        classifiers=digests,
        circumstances=circumstances,
    )


def put(prepared: Prepared, position: int, *, model: str) -> Placed:
    """The guard where the file says.

    Args:
        prepared: the guard.
        position: among the pipeline's guards.
        model: digest of the pipeline's model, for scores that are its own; empty where there is none.

    Raises:
        BadInput: its operating point is of another scorer.
    """
    table, found, guard, settings = prepared.table, prepared.found, prepared.guard, prepared.settings
    scorer = scorer_digest(guard, settings, prepared.classifiers, model=model)
    point = _point(table, found.item, scorer)
    if point is not None:
        threshold = point.threshold if table.threshold is None else table.threshold
        settings = replace(settings, threshold=threshold, sound=point.sound)
        guard = _made(found, settings)
    placed, unsent = _apart(guard, table, wanted=prepared.circumstances.isolate and not found.plugin.own)
    place = _placed(placed, position, table, found.plugin, settings=settings, scorer=scorer, point=point)
    return Placed(
        place=place,
        identity=_identity(place, found.plugin, prepared.classifiers),
        server=prepared.server,
        warning=_warning(guard, table, point) or unsent,
    )


def _apart(guard: Guard, table: GuardTable, *, wanted: bool) -> tuple[Guard, str]:
    """The guard in a process of its own, where that is wanted; and why it is not, where nobody insists on it."""
    if not (wanted if table.isolate is None else table.isolate):
        return guard, ""
    try:
        return isolated(guard, timeout_s=table.timeout_s), ""
    except Unsendable as error:
        if table.isolate:
            raise
        return guard, f"{error}; until then it can hang this process"


def scorer_digest(
    guard: Guard, settings: GuardSettings, classifiers: Sequence[Mapping[str, str]], *, model: str = ""
) -> str:
    """Digest of what decides a guard's scores, whatever its threshold: trained models and labels, or its source."""
    if isinstance(guard, Classifying):
        by = {key: model if key == "model" else value for key, value in guard.scored_by.items()}
        return digest_of({"classifiers": [dict(one) for one in classifiers], "by": by})
    source = inspect.getsourcefile(type(guard.scorer if isinstance(guard, ScorerGuard) else guard))
    return digest_of({"source": digest_file(Path(source)) if source else "", "options": dict(settings.options)})


def _made(found: Provided[GuardFactory], settings: GuardSettings) -> Guard:
    with blaming(found.plugin, f"to make guard {found.item.name!r}"):
        guard = found.item.make(settings)
    if not isinstance(guard, TextGuard | AskingGuard):
        raise PluginFailed(f"{found.plugin} made something of {found.item.name!r} that is no guard")
    if guard.name != found.item.name:
        raise PluginFailed(
            f"{found.plugin} made a guard called {guard.name!r} of {found.item.name!r}; a guard is called what it is "
            "asked for by. Tell the plugin's author, or leave the guard out."
        )
    return guard


def _described(
    guard: Guard, host: Host, circumstances: Circumstances
) -> tuple[ClassifierServer | None, list[Mapping[str, str]]]:
    if not isinstance(guard, Classifying) or not guard.classifiers:
        return None, []
    names = host.classifiers.names()
    if len(names) != 1:
        several = f"{' and '.join(names)} serve them: leave out all but one with --no-plugin"
        raise UsageError(f"guard {guard.name!r} needs a classifier, and {several if names else 'no plugin serves any'}")
    found = host.classifiers.find(names[0])
    with blaming(found.plugin, f"to describe the classifier of guard {guard.name!r}"):
        return found.item, [
            found.item.describe(reference, offline=circumstances.offline, fresh=circumstances.fresh)
            for reference in guard.classifiers
        ]


def _point(table: GuardTable, factory: GuardFactory, scorer: str) -> OperatingPoint | None:
    """The point the file names, which has to be of this scorer; or the one that comes with the guard, if it is."""
    if table.operating_point:
        point = operating.read(Path(table.operating_point).expanduser())
        if (point.guard, point.scorer) != (table.name, scorer):
            what = "another scorer" if point.guard == table.name else f"guard {point.guard!r}"
            raise BadInput(
                f"the operating point {table.operating_point} is of {what}, and says nothing of guard {table.name!r} "
                "as it stands here. Make one with `orca-guard guards calibrate`."
            )
        return point
    if factory.operating_point is None or not factory.operating_point.is_file():
        return None
    point = operating.read(factory.operating_point)
    return point if point.scorer == scorer else None


def _placed(
    guard: Guard,
    position: int,
    table: GuardTable,
    plugin: Plugin,
    **more: Any,
) -> GuardInPlace:
    with blaming(plugin, f"to put guard {table.name!r} in its place"):
        return GuardInPlace(
            guard=guard,
            target=f"guard {position} {table.name}",
            on_error=Action(table.on_error),
            timeout_s=table.timeout_s,
            **more,
        )


def _identity(place: GuardInPlace, plugin: Plugin, classifiers: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    settings = place.settings
    return {
        "name": place.name,
        "threshold": settings.threshold,
        "action": settings.action.value if settings.action else None,
        "options": msgspec.to_builtins(settings.options),
        "on_error": place.on_error.value,
        "timeout_s": place.timeout_s,
        **({"classifiers": [dict(one) for one in classifiers]} if classifiers else {}),
        **({"operating_point": place.point.digest} if place.point else {}),
        **plugin.identity(),
    }


def _warning(guard: Guard, table: GuardTable, point: OperatingPoint | None) -> str:
    """Why a trained scorer warns and does no more, where nobody chose that."""
    if not isinstance(guard, Classifying) or table.action is not None:
        return ""
    if point is None:
        return (
            f"guard {table.name!r} only warns: how good this scorer is has not been measured. Measure it with "
            "`orca-guard guards calibrate`, or give the guard an action"
        )
    if not point.sound:
        return f"guard {table.name!r} only warns: it is {point.weak}"
    return ""
