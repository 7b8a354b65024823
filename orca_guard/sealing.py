"""Seals a run whose every planned record is there: counts, heads, figures, verdict and the machine it ran on."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from typing import Any

import msgspec

from orca_guard.errors import BadInput
from orca_guard.figures import Measured, results_digest
from orca_guard.gates import evaluate, gates_of, result_json, verdict
from orca_guard.identity import digest_of
from orca_guard.journal.bundle import FORMAT, Bundle, RunStore
from orca_guard.journal.reading import ShardReader
from orca_guard.journal.seal import sealed_shards
from orca_guard.journal.shard import utc_now
from orca_guard.journal.units import Census, schedule_of

PACKAGES = ("orca-guard", "torch", "transformers", "tokenizers", "accelerate", "safetensors", "peft", "numpy", "httpx")


def seal(bundle: Bundle, *, earlier: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Check that the run is complete, and write its seal.

    Args:
        bundle: with every shard written.
        earlier: runs of the same plan before this one, as `earlier_runs` has them.

    Raises:
        BadInput: something is missing, there twice or damaged; it is named, and nothing is sealed.
    """
    plan = bundle.read_plan()
    digest = digest_of(plan)
    readers = [ShardReader(path, plan=digest, rank=rank) for rank, path in bundle.journals().items()]
    census = Census(schedule_of(plan, bundle.read_items(plan)))
    cached = Counter[str]()
    results = results_digest(record for reader in readers for record in _counted(reader, census, cached))
    faults = [*chain.from_iterable(reader.faults for reader in readers), *census.unsound()]
    measured = None if faults else _measured(bundle, plan)
    faults += census.faults(measured.stops) if measured else []
    if faults or measured is None:
        raise BadInput(f"{bundle.root} cannot be sealed: {'; '.join(map(str, faults[:3]))}")
    sealed = {
        "format": FORMAT,
        "plan": digest,
        "status": "complete",
        "records": sum(reader.records for reader in readers),
        "shards": sealed_shards(readers),
        "results": results,
        **cached,
        **_judged(measured, plan),
        "started": min(reader.opened.started for reader in readers if reader.opened),
        "finished": utc_now(),
        "environment": environment(),
        "earlier": list(earlier),
        "attempt": len(earlier) + 1,
    }
    bundle.write_seal(sealed)
    return sealed


def _counted(reader: ShardReader, census: Census, cached: Counter[str]) -> Iterator[dict[str, Any]]:
    """The records of a shard, with `cached` told how many of them rest on kept answers, where any do."""
    for line in reader:
        if line.kind == "item":
            census.see(line.fields, file=reader.path.name, line=line.number)
            if line.fields.get("cached"):
                cached["cached"] += 1
            yield line.fields


def _measured(bundle: Bundle, plan: Mapping[str, Any]) -> Measured:
    shards = (ShardReader(path, plan=digest_of(plan), rank=rank) for rank, path in bundle.journals().items())
    records = (line.fields for shard in shards for line in shard)
    return Measured(plan, map(msgspec.to_builtins, bundle.read_items(plan)), records)


def _judged(measured: Measured, plan: Mapping[str, Any]) -> dict[str, Any]:
    results = evaluate(gates_of(plan["gates"], plan), measured.found, plan)
    return {
        **({"stopped": measured.stops} if measured.stops else {}),
        "figures": measured.figures(),
        "gates": [result_json(result) for result in results],
        "verdict": verdict(results, absent=bool(plan["absent"])).value,
    }


def environment() -> dict[str, Any]:
    """Python, machine, and the versions of the packages that matter."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def earlier_runs(store: RunStore, bundle: Bundle, plan: str) -> list[dict[str, Any]]:
    """The other runs of a plan in the store, sealed or not: whoever is handed one may ask for the rest.

    Args:
        store: where runs lie.
        bundle: the run that is left out.
        plan: digest of the plan.
    """
    others = (store.run(name) for name in store.runs() if name != bundle.root.name)
    return [row for other in others if (row := _earlier(other, plan))]


def _earlier(bundle: Bundle, plan: str) -> dict[str, Any] | None:
    try:
        if digest_of(bundle.read_plan()) != plan:
            return None
        shards = [ShardReader(path, plan=plan, rank=rank) for rank, path in bundle.journals().items()]
        records = sum(line.kind == "item" for reader in shards for line in reader)
    except BadInput as error:
        return {"run": bundle.root.name, "status": "unreadable", "records": 0, "head": str(error)}
    head = shards[0].head if shards else ""
    return {"run": bundle.root.name, "status": bundle.status().value, "records": records, "head": head}
