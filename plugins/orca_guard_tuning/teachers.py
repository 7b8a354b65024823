"""Who answers: a model behind its pipeline, or a function that knows the answers, in the same pipeline."""

from __future__ import annotations

import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from orca_guard.contracts import Reported, Strategy
from orca_guard.errors import BadInput, ModelFailed
from orca_guard.identity import digest_file
from orca_guard.items import Item
from orca_guard.pipeline import Pipeline
from orca_guard.types import Attempt, Failure, Generate, Generation, Question, Request

Teach: TypeAlias = Callable[[Item, str, Generate], str | None]
"""A programmatic teacher: item, name of the strategy, and what it asks → what a perfect model would write; None where
it has nothing to say. A strategy that asks twice calls it twice, and `Generate.name` says for which pass."""


NOTHING = "the teacher has nothing to say"
"""The error of an answer whose teacher has none to the item under the strategy. That is no failure."""


@dataclass(frozen=True, slots=True)
class Way:
    """A strategy under a name of its own.

    Attributes:
        name: in triples and policies.
        strategy: how it asks and where it reads the answer.
        system: its message; None leaves it to strategy and model.
    """

    name: str
    strategy: Strategy
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Only:
    """A selector of one strategy."""

    strategy: str
    name: str = "only"
    escalates: bool = False

    def choose(self, question: Question, attempts: Sequence[Attempt], /) -> str | None:  # noqa: ARG002  # the contract
        """The strategy, once."""
        return None if attempts else self.strategy


def narrowed(pipeline: Pipeline, way: Way) -> Pipeline:
    """The pipeline with one way to answer."""
    strategy = way.strategy
    system = pipeline.system if way.system is None else way.system
    return replace(pipeline, strategies={strategy.name: strategy}, selector=Only(strategy.name), system=system)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """A programmatic teacher with one item before it, as the model of a pipeline."""

    teach: Teach
    item: Item
    way: str
    name: str = "teacher"
    identity: Mapping[str, str] = field(default_factory=dict)
    requests: frozenset[type] = frozenset({Generate})
    context: int | None = None
    system_messages: Mapping[str, str] = field(default_factory=dict)
    forms: Path | None = None
    notice: str = ""

    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        """Answer each by itself."""
        for request in requests:
            assert isinstance(request, Generate), "nothing else is among its requests"
            yield request, self._reply(request)

    def _reply(self, request: Generate) -> Generation | Failure:
        try:
            text = self.teach(self.item, self.way, request)
        except Exception as error:  # noqa: BLE001  # it is somebody's function, and one item alone fails
            return Failure(ModelFailed(f"the teacher failed: {type(error).__name__}: {error}"))
        if text is None:
            return Failure(ModelFailed(NOTHING))
        if not isinstance(text, str):
            return Failure(ModelFailed(f"the teacher gave {type(text).__name__}, not a text"))
        return Generation(text=text)


def teacher_at(reference: str) -> tuple[Teach, dict[str, Any]]:
    """The function that `MODULE:FUNCTION` or `FILE.py:FUNCTION` names, and what identifies it.

    Raises:
        BadInput: there is none.
    """
    place, _, name = reference.rpartition(":")
    if not place or not name:
        raise BadInput(f"{reference!r} names no teacher: write MODULE:FUNCTION or FILE.py:FUNCTION")
    try:
        function = getattr(_module(Path(place)), name) if place.endswith(".py") else pkgutil.resolve_name(reference)
    except Exception as error:
        raise BadInput(f"cannot load the teacher {reference!r}: {type(error).__name__}: {error}") from error
    if not callable(function):
        raise BadInput(f"{reference!r} is a {type(function).__name__}, not a function")
    source = inspect.getsourcefile(inspect.unwrap(function))
    return function, {"teacher": reference, "source": digest_file(Path(source)) if source else ""}


def _module(path: Path) -> Any:
    name = f"teacher in {path}"  # no name that an import could ask for
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
