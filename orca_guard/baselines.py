"""Runs that others are held against: their scores go into the plan, so that whoever verifies needs no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orca_guard.errors import BadInput, UnknownName
from orca_guard.identity import digest_of
from orca_guard.items import Item, item_digest
from orca_guard.journal.bundle import Bundle, Status
from orca_guard.journal.reading import ShardReader
from orca_guard.journal.seal import check_seal


def with_baselines(
    gates: Iterable[Mapping[str, Any]], benchmarks: Mapping[str, tuple[Mapping[str, Any], Sequence[Item]]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Gates whose `baseline_run` is the digest of a run's seal instead of its folder, and the scores they need.

    Args:
        gates: as in an audit file.
        benchmarks: name → entry in the plan, and items in its order.

    Raises:
        BadInput: a folder is no sealed run, is not as it was sealed, or has other items or another metric.
        UnknownName: it has not measured that benchmark, or not under that subject.
    """
    told, rows = [], {}
    for gate in gates:
        folder = gate.get("baseline_run")
        if not folder or not gate.get("baseline"):  # the second is a fault of the gate, and told with the others
            told.append(dict(gate))
            continue
        run = _Sealed(Path(str(folder)))
        told.append({**gate, "baseline_run": run.digest})
        which = {key: str(gate.get(key, "")) for key in ("benchmark", "metric")} | {
            "subject": str(gate.get("baseline"))
        }
        if which["benchmark"] in benchmarks:
            entry, items = benchmarks[str(which["benchmark"])]
            rows[digest_of([run.digest, which])] = {
                "run": run.digest,
                **which,
                "scores": run.scores(entry, items, **which),
            }
    return told, list(rows.values())


class _Sealed:
    """A run that is as it was sealed."""

    def __init__(self, folder: Path) -> None:
        self.bundle = Bundle(folder)
        if self.bundle.status() is not Status.SEALED:
            raise BadInput(f"{folder} is no sealed run, and nothing can be held against it")
        self.plan, seal = self.bundle.read_plan(), self.bundle.read_seal()
        self.digest = digest_of(seal)
        readers = [self._reader(path, rank) for rank, path in self.bundle.journals().items()]
        self.records = [line.fields for reader in readers for line in reader if line.kind == "item"]
        faults = [fault for reader in readers for fault in reader.faults]
        if faults := [*faults, *check_seal(seal, readers, plan=digest_of(self.plan))]:
            raise BadInput(f"{folder} is not as it was sealed: {faults[0]}")

    def _reader(self, path: Path, rank: int) -> ShardReader:
        return ShardReader(path, plan=digest_of(self.plan), rank=rank)

    def scores(
        self, entry: Mapping[str, Any], items: Sequence[Item], *, benchmark: Any, subject: Any, metric: Any
    ) -> list[Any]:
        """Of these items in this order."""
        own = {row["name"]: row for row in self.plan["benchmarks"]}
        if benchmark not in own:
            raise UnknownName(f"benchmark of {self.bundle.root}", benchmark, own)
        wanted = _rule(entry, metric)
        if wanted is None or _rule(own[benchmark], metric) != wanted:
            raise BadInput(f"{self.bundle.root} has another {metric!r} of {benchmark}, and cannot be a baseline for it")
        found = {r["item"]: r for r in self.records if (r["benchmark"], r["subject"]) == (benchmark, subject)}
        if not found:
            subjects = {record["subject"] for record in self.records if record["benchmark"] == benchmark}
            raise UnknownName(f"subject of {self.bundle.root}", subject, subjects)
        lacking = [item.id for item in items if found.get(item.id, {}).get("digest") != item_digest(item)]
        if lacking:
            told = f"{len(lacking)} of {len(items)} items are not those of {self.bundle.root}, the first {lacking[0]!r}"
            raise BadInput(f"{told}: take the same data, limit, and nonce or seed")
        return [found[item.id]["scores"][metric] for item in items]


def _rule(entry: Mapping[str, Any], metric: str) -> Any:
    """Digest of what decides an item's score; None where there is no such metric."""
    found = next((one for one in entry["metrics"] if one["name"] == metric), None)
    return None if found is None else digest_of([found, entry["scoring"]])
