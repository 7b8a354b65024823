"""Finds plugins, loads them one by one, names what they provide and what is wrong with them."""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib.metadata import EntryPoint, entry_points, version
from pathlib import Path
from typing import Any, Generic, Literal, Self, TypeAlias, TypeVar

import pluggy

from orca_guard import hookspecs
from orca_guard.contracts import (
    API_VERSION,
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
from orca_guard.errors import BadInput, NameWithdrawn, OrcaGuardError, PluginFailed, UnknownName, suggest
from orca_guard.identity import digest_files, digest_package
from orca_guard.types import ItemRecorded, RunFinished, RunStarted

OWN_DISTRIBUTION = "orca-guard"
PROVIDERS = (
    "models",
    "strategies",
    "selectors",
    "scorers",
    "guards",
    "classifiers",
    "benchmarks",
    "datasets",
    "suites",
    "reports",
    "commands",
)
OBSERVERS = ("run_started", "item_recorded", "run_finished")
Status: TypeAlias = Literal["loaded", "blocked", "failed"]
Event: TypeAlias = RunStarted | ItemRecorded | RunFinished
T = TypeVar("T")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_NAMES_MODULE = re.compile(r"\s*[\w.]+\s*(:\s*[\w.]+\s*)?(\[.*\])?\s*")


@dataclass(kw_only=True)
class Plugin:
    """One entry point, and what became of it.

    Attributes:
        name: of the entry point.
        distribution: that it belongs to.
        version: of the distribution.
        module: it names.
        status: loaded, blocked by the caller, or failed.
        reason: why it is not loaded.
        details: the traceback of a failure.
        hooks: that it implements.
        provides: kind → names, as far as they were asked for.
        files: its package's folder, or its one file; None where it has none.
    """

    name: str
    distribution: str
    version: str
    module: str
    status: Status = "loaded"
    reason: str = ""
    details: str = ""
    hooks: tuple[str, ...] = ()
    provides: dict[str, tuple[str, ...]] = field(default_factory=dict)
    files: Path | None = None

    @property
    def own(self) -> bool:
        """Whether it comes with orca-guard itself."""
        return self.distribution == OWN_DISTRIBUTION

    @property
    def key(self) -> str:
        """Unique among all plugins."""
        return f"{self.distribution}:{self.name}"

    @cached_property
    def digest(self) -> str:
        """Of its files."""
        if self.files is None:
            return ""
        return digest_package(self.files) if self.files.is_dir() else digest_files({self.files.name: self.files})

    def identity(self) -> dict[str, str]:
        """What binds an answer to it."""
        return {"plugin": self.key, "version": self.version, "digest": self.digest}

    def fail(self, reason: str, error: BaseException | None = None) -> None:
        """Mark it failed. The first reason stands."""
        if self.status != "failed":
            self.status, self.reason = "failed", reason
            self.details = "".join(traceback.format_exception(error)) if error else ""

    def __str__(self) -> str:
        return f"plugin {self.name!r} of {self.distribution} {self.version}"


@dataclass(frozen=True, slots=True)
class Provided(Generic[T]):
    """Something a plugin provides, and which."""

    item: T
    plugin: Plugin


class Registry(Generic[T]):
    """The names of one kind: sorted, each provided by exactly one plugin."""

    def __init__(self, kind: str, claims: Iterable[tuple[str, Provided[T]]], plugins: Sequence[Plugin]) -> None:
        self.kind = kind
        self._plugins = plugins
        claimed: dict[str, list[Provided[T]]] = {}
        for name, provided in claims:
            claimed.setdefault(name, []).append(provided)
        self._items = {name: claimed[name][0] for name in sorted(claimed) if len(claimed[name]) == 1}
        self.withdrawn = {
            name: tuple(str(p.plugin) for p in claimed[name]) for name in sorted(claimed) if len(claimed[name]) > 1
        }

    def names(self) -> tuple[str, ...]:
        """What can be asked for."""
        return tuple(name for name, provided in self._items.items() if provided.plugin.status == "loaded")

    def find(self, name: str) -> Provided[T]:
        """What has this name, with its plugin.

        Raises:
            NameWithdrawn: it is claimed twice.
            PluginFailed: nothing has it, or what had it failed, and a plugin that may be why is not loaded.
            UnknownName: nothing has it and every plugin is well.
        """
        if name in self.withdrawn:
            raise NameWithdrawn(self.kind, name, self.withdrawn[name])
        if name in self.names():
            return self._items[name]
        missing = [plugin for plugin in self._plugins if plugin.status != "loaded"]
        if not missing:
            raise UnknownName(self.kind, name, self.names())
        why = "; ".join(f"{plugin} is {plugin.status}: {plugin.reason}" for plugin in missing)
        raise PluginFailed(f"unknown {self.kind} {name!r}{suggest(name, self.names())} Not loaded: {why}.")

    def get(self, name: str) -> T:
        """What has this name. Raises as `find` does."""
        return self.find(name).item

    def __iter__(self) -> Iterator[tuple[str, Provided[T]]]:
        return ((name, self._items[name]) for name in self.names())


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of an allow-list: `distribution==version`, and optionally ` sha256:…` of the plugin's files."""

    distribution: str
    version: str
    digest: str = ""

    @classmethod
    def parse(cls, line: str) -> Pin:
        """Raises `BadInput` for anything else."""
        match = re.fullmatch(r"([\w.-]+)==([\w.!+-]+)(?:\s+(sha256:[0-9a-f]{64}))?", line.strip())
        if not match:
            raise BadInput(f"not a pin: {line.strip()!r}; write distribution==version, and sha256:… to pin its files")
        return cls(_normal(match[1]), match[2], match[3] or "")


def read_pins(path: Path) -> tuple[Pin, ...]:
    """The allow-list in a file: a pin a line, `#` begins a comment."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read the allow-list {path}: {error}") from error
    return tuple(Pin.parse(line) for raw in lines if (line := raw.partition("#")[0].strip()))


class Host:
    """All plugins, loaded in isolation, behind typed names.

    Args:
        without: names of plugins or distributions to leave out.
        third_party: whether distributions other than orca-guard are loaded at all.
        allow: pins that third-party plugins must match; None allows every one.
        extra: more plugins, name → module; they count as part of a distribution called `extra`.
        discover: whether to look for installed plugins.

    Raises:
        UnknownName: `without` names something that is not installed.
    """

    def __init__(
        self,
        *,
        without: Iterable[str] = (),
        third_party: bool = True,
        allow: Sequence[Pin] | None = None,
        extra: Mapping[str, Any] | None = None,
        discover: bool = True,
    ) -> None:
        self._relay = pluggy.PluginManager(hookspecs.GROUP)
        self._relay.add_hookspecs(hookspecs)
        self._without = frozenset(without)
        self._third_party = third_party
        self._allow = allow
        self._modules: dict[str, Any] = {}
        self._deaf: set[str] = set()
        found = sorted(_discover(), key=lambda pair: pair[0].key) if discover else []
        self.plugins: tuple[Plugin, ...] = (
            *(plugin for plugin, _ in found),
            *(Plugin(name=name, distribution="extra", version="0", module=name) for name in extra or {}),
        )
        self._check_without()
        for plugin, entry in found:
            self._admit(plugin, entry.load)
        for plugin in self.plugins[len(found) :]:
            self._admit(plugin, partial((extra or {}).__getitem__, plugin.name))

    @classmethod
    def installed(cls, *, without: Iterable[str] = (), allow: Path | None = None) -> Self:
        """The installed plugins, as the environment allows: `ORCA_GUARD_NO_PLUGINS`, `ORCA_GUARD_ALLOW_PLUGINS`."""
        allowed = allow or os.environ.get("ORCA_GUARD_ALLOW_PLUGINS")
        return cls(
            without=without,
            third_party=os.environ.get("ORCA_GUARD_NO_PLUGINS", "") in {"", "0"},
            allow=read_pins(Path(allowed)) if allowed else None,
        )

    # --- what is provided ----------------------------------------------------------------------

    @cached_property
    def models(self) -> Registry[ModelLoader | NamedModel]:
        """Loaders and named models."""
        return Registry("model", self._collect("models", (ModelLoader, NamedModel)), self.plugins)

    @cached_property
    def strategies(self) -> Registry[Strategy]:
        """Ways to answer."""
        return Registry("strategy", self._collect("strategies", (Strategy,)), self.plugins)

    @cached_property
    def selectors(self) -> Registry[SelectorFactory]:
        """Ways to pick a strategy."""
        return Registry("selector", self._collect("selectors", (SelectorFactory,)), self.plugins)

    @cached_property
    def guards(self) -> Registry[GuardFactory]:
        """Guards with logic of their own, and one made of every scorer."""
        from orca_guard.guards import from_scorer  # noqa: PLC0415  # not needed to list commands

        scorers = self._collect("scorers", (Scorer,))
        made = [(name, Provided(from_scorer(found.item), found.plugin)) for name, found in scorers]
        return Registry("guard", [*self._collect("guards", (GuardFactory,)), *made], self.plugins)

    @cached_property
    def classifiers(self) -> Registry[ClassifierServer]:
        """What serves the classifiers that guards ask for."""
        return Registry("classifier server", self._collect("classifiers", (ClassifierServer,)), self.plugins)

    @cached_property
    def benchmarks(self) -> Registry[Benchmark]:
        """What an audit measures."""
        return Registry("benchmark", self._collect("benchmarks", (Benchmark,)), self.plugins)

    @cached_property
    def datasets(self) -> Registry[DataSet]:
        """Published data that benchmarks read."""
        return Registry("data set", self._collect("datasets", (DataSet,)), self.plugins)

    @cached_property
    def suites(self) -> Registry[Suite]:
        """Benchmarks that are asked for by one name."""
        return Registry("suite", self._collect("suites", (Suite,)), self.plugins)

    @cached_property
    def reports(self) -> Registry[ReportForm]:
        """Forms in which a run can be shown, beside our own."""
        return Registry("report form", self._collect("reports", (ReportForm,)), self.plugins)

    @cached_property
    def commands(self) -> Registry[Any]:
        """`click` commands."""
        import click  # noqa: PLC0415  # a library user has no command line

        return Registry("command", self._collect("commands", (click.Command,)), self.plugins)

    def everything(self) -> dict[str, Registry[Any]]:
        """Every kind of thing, collected; afterwards `plugins` tells of every fault."""
        return {
            "models": self.models,
            "strategies": self.strategies,
            "selectors": self.selectors,
            "guards": self.guards,
            "classifiers": self.classifiers,
            "benchmarks": self.benchmarks,
            "datasets": self.datasets,
            "suites": self.suites,
            "reports": self.reports,
            "commands": self.commands,
        }

    # --- who is told ---------------------------------------------------------------------------

    def tell(self, event: Event) -> list[str]:
        """Tell every observer, and return what went wrong: an observer that raises is named and not told again."""
        hook = {RunStarted: "run_started", ItemRecorded: "item_recorded", RunFinished: "run_finished"}[type(event)]
        troubles = []
        for plugin in self.plugins:
            if hook in plugin.hooks and plugin.status == "loaded" and plugin.key not in self._deaf:
                try:
                    _hear(getattr(self._modules[plugin.key], hook), event)
                except KeyboardInterrupt:
                    raise
                except BaseException as error:  # noqa: BLE001  # an observer may not stop a run, not even by an exit
                    self._deaf.add(plugin.key)
                    troubles.append(f"{plugin} failed as an observer and is not told again: {_told(error)}")
        return troubles

    # --- loading -------------------------------------------------------------------------------

    def _check_without(self) -> None:
        known = {name for plugin in self.plugins for name in (plugin.name, plugin.distribution, plugin.key)}
        for name in self._without - known:
            raise UnknownName("plugin", name, known)

    def _admit(self, plugin: Plugin, load: Callable[[], Any]) -> None:
        if reason := self._blocked(plugin):
            plugin.status, plugin.reason = "blocked", reason
            return
        try:
            module = load() if _NAMES_MODULE.fullmatch(plugin.module) else None
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # a panic in an extension is no Exception, and one plugin alone fails
            plugin.fail(f"it does not import: {_told(error)}", error)
            return
        if module is None:
            plugin.fail(f"its entry point names no module: {plugin.module!r}")
            return
        try:
            self._register(plugin, module)
        except _Unfit as unfit:
            plugin.fail(str(unfit))
        except (pluggy.PluginValidationError, ValueError) as error:  # a module under two names is a ValueError
            plugin.fail(str(error).replace("\n", " "))

    def _blocked(self, plugin: Plugin) -> str:
        if self._without & {plugin.name, plugin.distribution, plugin.key}:
            return "left out by --no-plugin"
        if plugin.own:
            return ""
        if not self._third_party:
            return "third-party plugins are off (ORCA_GUARD_NO_PLUGINS)"
        return "" if self._allow is None else self._not_allowed(plugin, self._allow)

    def _not_allowed(self, plugin: Plugin, allow: Sequence[Pin]) -> str:
        pins = [pin for pin in allow if pin.distribution == _normal(plugin.distribution)]
        if not pins:
            return "it is not on the allow-list"
        if plugin.version not in {pin.version for pin in pins}:
            return f"the allow-list has version {pins[0].version}"
        if not any(pin.version == plugin.version and pin.digest in {"", plugin.digest} for pin in pins):
            return f"its files are not those of the allow-list: they are {plugin.digest or 'not to be found'}"
        return ""

    def _register(self, plugin: Plugin, module: Any) -> None:
        _check_version(module)
        plugin.hooks = tuple(_check_hooks(self._relay, module))
        if not plugin.hooks:
            raise _Unfit("it implements no hook: mark its functions with @hookimpl")
        self._relay.register(module, plugin.key)
        self._modules[plugin.key] = module

    # --- collecting ----------------------------------------------------------------------------

    def _collect(self, hook: str, types: tuple[type, ...]) -> list[tuple[str, Provided[Any]]]:
        claims: list[tuple[str, Provided[Any]]] = []
        for plugin in self.plugins:
            if hook not in plugin.hooks or plugin.status != "loaded":
                continue
            try:
                items = _items(getattr(self._modules[plugin.key], hook)(), hook, types)
            except _Unfit as unfit:
                plugin.fail(str(unfit))
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001  # as when it is loaded
                plugin.fail(f"{hook}() raised {_told(error)}", error)
            else:
                plugin.provides[hook] = tuple(sorted(item.name for item in items))
                claims += [(item.name, Provided(item, plugin)) for item in items]
        return claims


@contextmanager
def blaming(plugin: Plugin, what: str) -> Iterator[None]:
    """Whatever a plugin's own code raises makes what needs it refuse to run, and names it.

    An exit or a panic is among that; only a deliberate error of ours and the user's Ctrl-C pass through.
    """
    try:
        yield
    except (OrcaGuardError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise PluginFailed(f"{plugin} failed {what}: {type(error).__name__}: {error}") from error


class _Unfit(Exception):
    """What is wrong with a plugin, in words."""


def own_identity() -> dict[str, str]:
    """Version and digest of orca-guard's own core."""
    return {"version": version(OWN_DISTRIBUTION), "digest": digest_package(Path(__file__).parent)}


def _discover() -> Iterator[tuple[Plugin, EntryPoint]]:
    seen = set()
    for entry in entry_points(group=hookspecs.GROUP):
        # A half removed distribution has no name, and an entry point may point at nothing that could be a module.
        distribution = _normal((entry.dist and entry.dist.name) or "unknown")
        if (distribution, entry.name) in seen:  # the same distribution found on two paths
            continue
        seen.add((distribution, entry.name))
        plugin = Plugin(
            name=entry.name,
            distribution=distribution,
            version=(entry.dist and entry.dist.version) or "0",
            module=entry.value,
            files=_files(entry.value.partition(":")[0].strip()),
        )
        yield plugin, entry


def _files(module: str) -> Path | None:
    """Where the files of a top-level package or module lie, found without importing it."""
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(spec.origin) if spec.origin and Path(spec.origin).is_file() else None


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _check_version(module: Any) -> None:
    stated = getattr(module, "ORCA_GUARD_API", None)
    if stated is None:
        raise _Unfit(f"it does not state the API version it was written for; this is ORCA_GUARD_API = {API_VERSION}")
    if stated != API_VERSION or isinstance(stated, bool):
        raise _Unfit(f"it was written for API version {stated!r}, and this is {API_VERSION}")


def _check_hooks(relay: pluggy.PluginManager, module: Any) -> Iterator[str]:
    for name in sorted(dir(module)):
        if relay.parse_hookimpl_opts(module, name) is None:
            continue
        if name not in (*PROVIDERS, *OBSERVERS):
            raise _Unfit(f"there is no hook {name!r}{suggest(name, (*PROVIDERS, *OBSERVERS))}")
        if _is_async(getattr(module, name)):
            raise _Unfit(f"{name}() is async; hooks are called, not awaited")
        yield name


def _hear(observer: Callable[..., Any], event: Event) -> None:
    """Call an observer; as any hook it may leave out what it does not need."""
    if inspect.signature(observer).parameters:
        observer(event)
    else:
        observer()


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _items(returned: Any, hook: str, types: tuple[type, ...]) -> list[Any]:
    if isinstance(returned, str | bytes) or not isinstance(returned, Iterable):
        raise _Unfit(f"{hook}() returned {type(returned).__name__}, not a list")
    items = list(returned)
    for item in items:
        if isinstance(item, type) or not isinstance(item, types):
            expected = " or ".join(kind.__name__ for kind in types)
            raise _Unfit(f"{hook}() returned {item!r}, which is no {expected}{_lacking(item, types)}")
        _check_item(item, hook)
    return items


def _check_item(item: Any, hook: str) -> None:
    if not (isinstance(item.name, str) and _NAME.fullmatch(item.name)):
        raise _Unfit(f"{hook}() returned something called {item.name!r}; names are lower-case letters, digits, . _ -")
    for method in ("answer", "score", "make", "open", "render"):
        if _is_async(getattr(item, method, None)):
            raise _Unfit(f"{method}() of {item.name!r} is async; it is called, not awaited")


def _lacking(item: Any, types: tuple[type, ...]) -> str:
    if isinstance(item, type):
        return ": it is a class, return an instance of it"
    lacks = [name for name in dir(types[0]) if not name.startswith("_") and not hasattr(item, name)]
    return f": it lacks {', '.join(lacks)}" if lacks else ""
