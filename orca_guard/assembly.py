"""Puts a pipeline together: names from a pipeline file, what plugins provide for them, and the digest of the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import msgspec

from orca_guard import configuration
from orca_guard.configuration import ModelTable, PipelineTable
from orca_guard.contracts import (
    API_VERSION,
    Described,
    Model,
    ModelLoader,
    ModelSpec,
    NamedModel,
    Selector,
)
from orca_guard.errors import PluginFailed, UnknownName, UsageError
from orca_guard.forms import Forms
from orca_guard.host import Host, Plugin, Provided, blaming, own_identity
from orca_guard.identity import digest_of
from orca_guard.pipeline import Limits, Pipeline
from orca_guard.placing import Circumstances, prepare, put
from orca_guard.types import Decoding

VOLATILE = ("date", "placement")
"""Keys of a model's identity, or their beginnings, that are recorded and do not count: a day, where layers lie."""


Opener: TypeAlias = Callable[[Provided[ModelLoader], ModelSpec], Model]


def opened(found: Provided[ModelLoader], spec: ModelSpec) -> Model:
    """The model, loaded."""
    with blaming(found.plugin, f"to open {spec.reference!r}"):
        model = found.item.open(spec)
    if not isinstance(model, Model):
        raise PluginFailed(f"loader {found.item.name!r} opened something that is no model: {type(model).__name__}")
    return model


def described(found: Provided[ModelLoader], spec: ModelSpec) -> Described:
    """The model, described and not loaded."""
    with blaming(found.plugin, f"to describe {spec.reference!r}"):
        model = found.item.describe(spec)
    if not isinstance(model, Described):
        raise PluginFailed(f"loader {found.item.name!r} described a model as {type(model).__name__}")
    return model


def assemble(table: PipelineTable, host: Host, *, opener: Opener = opened, isolate: bool = False) -> Pipeline:
    """The pipeline that a file describes.

    Args:
        table: the file.
        host: where its names are looked up.
        opener: what becomes of its model; `described` loads nothing, and the digest is the same.
        isolate: guards of other distributions run in processes of their own, unless the file says otherwise.

    Raises:
        UsageError: a name that nothing provides, a setting that makes no sense.
        NotReady: a plugin that is needed failed, a name was withdrawn, a model does not load.
    """
    strategies = {name: host.strategies.find(name) for name in table.strategies}
    circumstances = Circumstances(offline=table.model.offline, fresh=opener is described, isolate=isolate)
    prepared = [prepare(guard, host, circumstances) for guard in configuration.guards_of(table)]
    selector, selector_plugin = _selector(table, host)
    loader, spec = resolve(table.model, host)
    model = opener(loader, spec)
    guards = [put(guard, position, model=_lasting_digest(model)) for position, guard in enumerate(prepared)]
    pipeline = Pipeline(
        model=model,
        strategies={name: provided.item for name, provided in strategies.items()},
        selector=selector,
        guards=tuple(guard.place for guard in guards),
        classifiers=next((guard.server for guard in guards if guard.server is not None), None),
        decoding=Decoding(**msgspec.structs.asdict(table.decoding)),
        limits=Limits(**msgspec.structs.asdict(table.limits)),
        system=table.system,
        notices=_notices(table, model, host),
        warnings=(*_warnings(table), *(guard.warning for guard in guards if guard.warning)),
        forms=Forms.load(model.forms) if model.forms else None,
        tell=host.tell,
    )
    for name in table.guards_off:
        host.guards.find(name)
    identity = {
        "format": table.format,
        "api": API_VERSION,
        "orca-guard": own_identity(),
        "loader": {"name": loader.item.name, **loader.plugin.identity()},
        "model": dict(model.identity),
        "selector": {**msgspec.to_builtins(table.selector), **selector_plugin.identity()},
        "strategies": [
            {"name": name, "system": pipeline.system_of(provided.item), **provided.plugin.identity()}
            for name, provided in strategies.items()
        ],
        "guards": [dict(guard.identity) for guard in guards],
        "decoding": msgspec.to_builtins(pipeline.decoding),
        "limits": msgspec.to_builtins(pipeline.limits),
        "system": table.system,
    }
    return replace(pipeline, identity=identity, digest=digest_of(lasting(identity)))


def model_opened(table: ModelTable, host: Host) -> tuple[Model, str]:
    """A model by itself, and the digest that scores of its own are bound to. Raises as `assemble` does."""
    model = opened(*resolve(table, host))
    return model, _lasting_digest(model)


def _lasting_digest(model: Model) -> str:
    return digest_of({key: value for key, value in model.identity.items() if not key.startswith(VOLATILE)})


def lasting(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The identity without what changes from day to day or from machine to machine."""
    model = {key: value for key, value in identity["model"].items() if not key.startswith(VOLATILE)}
    return {**identity, "model": model}


def resolve(table: ModelTable, host: Host) -> tuple[Provided[ModelLoader], ModelSpec]:
    """What a model's name stands for: a named model, `LOADER:REFERENCE`, or what exactly one loader claims."""
    name = table.name
    prefix, _, reference = name.partition(":")
    if name in host.models.names() or name in host.models.withdrawn:
        found = host.models.get(name)
        if isinstance(found, NamedModel):
            return _loader(found.loader, host), _spec(table, found.reference, profile=found.profile)
        raise UsageError(f"{name!r} is a loader: say which model, as in {name}:REFERENCE")
    if reference and prefix in host.models.names() and not reference.startswith("//"):
        return _loader(prefix, host), _spec(table, reference)
    return _claimant(name, host), _spec(table, name)


def _loader(name: str, host: Host) -> Provided[ModelLoader]:
    found = host.models.find(name)
    if isinstance(found.item, NamedModel):
        raise UsageError(f"{name!r} is a model, not a loader of models")
    return Provided(found.item, found.plugin)


def _claimant(reference: str, host: Host) -> Provided[ModelLoader]:
    loaders = [Provided(p.item, p.plugin) for _, p in host.models if not isinstance(p.item, NamedModel)]
    claims = [provided for provided in loaders if _claims(provided, reference)]
    if len(claims) == 1:
        return claims[0]
    if claims:
        names = " or ".join(f"{provided.item.name}:{reference}" for provided in claims)
        raise UsageError(f"more than one loader opens {reference!r}: say {names}")
    try:
        return _loader(reference, host)
    except UnknownName as error:
        hint = "A model is a name, a directory, a hub id (owner/name), or a server's address."
        raise UnknownName("model", reference, error.known, hint=hint) from None


def _claims(provided: Provided[ModelLoader], reference: str) -> bool:
    """A loader that cannot even say so has failed, and the others go on."""
    try:
        with blaming(provided.plugin, f"to say whether it opens {reference!r}"):
            return bool(provided.item.claims(reference))
    except PluginFailed as error:
        provided.plugin.fail(str(error), error.__cause__)
        return False


def _spec(table: ModelTable, reference: str, *, profile: str = "") -> ModelSpec:
    settings = msgspec.structs.asdict(table)
    return ModelSpec(**settings | {"reference": reference, "profile": table.profile or profile})


def _selector(table: PipelineTable, host: Host) -> tuple[Selector, Plugin]:
    found = host.selectors.find(table.selector.name)
    with blaming(found.plugin, f"to make selector {table.selector.name!r}"):
        selector = found.item.make(table.strategies, table.selector.options)
    if not isinstance(selector, Selector):
        raise PluginFailed(f"{found.plugin} made something of {table.selector.name!r} that is no selector")
    return selector, found.plugin


def _notices(table: PipelineTable, model: Model, host: Host) -> tuple[str, ...]:
    named = host.models.get(table.model.name) if table.model.name in host.models.names() else None
    return tuple(notice for notice in (getattr(named, "notice", ""), model.notice) if notice)


def _warnings(table: PipelineTable) -> tuple[str, ...]:
    off = [f"guard {name!r} is turned off" for name in table.guards_off]
    none = [] if configuration.guards_of(table) else ["no guard is on: nothing judges questions or answers"]
    return (*off, *none)
