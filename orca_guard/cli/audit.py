"""`orca-guard audit`: measure a pipeline and leave sealed evidence."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orca_guard.cli import host_of
from orca_guard.cli.run import PATH, from_json, pipeline_options
from orca_guard.cli.streams import plain
from orca_guard.errors import BadInput, ExitCode

if TYPE_CHECKING:
    from orca_guard.audit import Audit, Rank
    from orca_guard.bench import Bench
    from orca_guard.cache import AnswerCache
    from orca_guard.freezing import Frozen
    from orca_guard.host import Host
    from orca_guard.plan import Request
    from orca_guard.rehearsal import Rehearsal


SUITE_HELP = "A suite, a benchmark, or all of a plugin."
TRAINING_HELP = "Texts that the model was trained on: scores with and without items that share 13 words with them."
DATA_HELP = "Where benchmarks find their data; else ORCA_GUARD_DATA says."


def audit_options(command: Any) -> Any:
    """The options that say what is measured; any command that needs a plan takes them all."""
    for option in reversed(
        (
            click.option("--plan", "file", type=PATH, metavar="FILE", help="Audit file; the options below change it."),
            click.option("--suite", "suites", multiple=True, metavar="NAME", help=SUITE_HELP),
            click.option(
                "--policy",
                "policies",
                multiple=True,
                metavar="NAME|FILE",
                help="Gates: a shipped policy, or a .toml file. Without --suite, all that it judges is measured.",
            ),
            click.option(
                "--judge",
                "judges",
                multiple=True,
                metavar="[RUBRIC=]WHO",
                help="Who judges answers: a model, guard:NAME or classifier:DIR#LABEL; for one rubric, or for all.",
            ),
            click.option("--limit", type=int, metavar="N", help="Most items of each benchmark."),
            click.option("--data", type=PATH, metavar="DIR", help=DATA_HELP),
            click.option("--training-data", type=PATH, metavar="DIR", help=TRAINING_HELP),
            click.option("--nonce", metavar="TEXT", help="An outsider's random text; it orders the items."),
            pipeline_options,
        )
    ):
        command = option(command)
    return command


@click.command(
    epilog="""\b
    Examples:
      orca-guard audit --suite basics --limit 20
      orca-guard audit --suite safety --data ./data --judge ./Judge-7b
      orca-guard audit --policy basics
      orca-guard audit --suite basics --model ./Orca-2-7b --strategy cautious --dry-run
      orca-guard audit --plan audit.toml --nonce 8f2a71 --out runs
      orca-guard audit --resume runs/20260102-030405
      torchrun --nproc-per-node 2 --no-python -- orca-guard audit --suite basics --run both

    \b
    Exit codes: 0 all gates passed, 1 a gate failed, 2 wrong usage or bad input,
    3 not enough evidence, something is missing, or there is no gate (measured, not judged),
    4 internal error, 130 interrupted."""
)
@audit_options
@click.option("--out", type=PATH, default=Path("runs"), show_default=True, metavar="DIR", help="Folder of runs.")
@click.option("--run", "name", metavar="NAME", help="Of this run's folder; date and time if not given.")
@click.option("--resume", type=PATH, metavar="RUN", help="Go on with a run that was interrupted.")
@click.option("--sign", type=PATH, metavar="KEYFILE", help="Sign the seal with this Ed25519 key.")
@click.option("--cache", type=PATH, metavar="DIR", help="Ask only what is not kept here; what is, is marked.")
@click.option("--world-size", type=click.IntRange(min=1), metavar="N", help="Refuse to begin unless N processes do.")
@click.option("--no-doctor", is_flag=True, help="Do not look plugins, model and benchmarks over beforehand.")
@click.option("--dry-run", is_flag=True, help="Say what would be asked and how long it takes, and stop.")
@click.option("--no-trial", is_flag=True, help="With --dry-run: load nothing, and say no time.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def audit(ctx: click.Context, /, **options: Any) -> int:
    """Measure the pipeline that `run` serves, and leave a folder that `verify` can check."""
    from orca_guard import audit as audits  # noqa: PLC0415  # not before the options are known to be good
    from orca_guard.cache import AnswerCache  # noqa: PLC0415
    from orca_guard.cli.auditing import show_plan, show_seal  # noqa: PLC0415
    from orca_guard.journal.signature import attest, read_key, sign  # noqa: PLC0415

    host, place = host_of(ctx), audits.Rank.here(wanted=options.pop("world_size"))
    own = {key: options.pop(key) for key in _OWN}
    if own["no_trial"] and not own["dry_run"]:
        raise click.UsageError("--no-trial goes with --dry-run")
    if own["sign"]:
        read_key(own["sign"])
    if own["out"].exists() and not own["out"].is_dir():
        raise BadInput(f"{own['out']} is no folder, and runs are put into one: name another by --out")
    cache = AnswerCache(own["cache"]) if own["cache"] and not own["dry_run"] else None
    if own["resume"]:
        begun = _resumed(own["resume"], options, host)
    else:
        request = requested(options, host)
        frozen = frozen_of(request, host)
        if own["dry_run"]:
            trial = None if own["no_trial"] else _rehearsed(request, frozen, host)
            return show_plan(frozen, trial, as_json=own["as_json"])
        begun = _begun(request, frozen, place, out=own["out"], name=own["name"])
    seal = _run(begun, host, place, doctor=not own["no_doctor"], cache=cache)
    if seal is None:
        return ExitCode.DONE
    if own["sign"]:
        sign(begun.bundle, own["sign"])
        attest(begun.bundle, own["sign"])
    return show_seal(begun.bundle.root, seal, as_json=own["as_json"])


_OWN = ("out", "name", "resume", "sign", "cache", "no_doctor", "dry_run", "no_trial", "as_json")


def requested(options: dict[str, Any], host: Host) -> Request:
    """What the options ask for, with the benchmarks and arms that a suite stands for.

    Raises:
        BadInput: something that cannot be.
        click.UsageError: nothing to measure, or an option that the audit file decides.
    """
    from orca_guard import plan  # noqa: PLC0415  # as above
    from orca_guard.api import table_of  # noqa: PLC0415
    from orca_guard.configuration import overridden  # noqa: PLC0415
    from orca_guard.policies import policy_of  # noqa: PLC0415

    file, suites, limit, policies = (options.pop(key) for key in ("file", "suites", "limit", "policies"))
    data, nonce, training = (options.pop(key) for key in ("data", "nonce", "training_data"))
    judges = tuple(plan.JudgeTable.of(text) for text in options.pop("judges"))
    if nonce is not None and not nonce.strip():
        raise click.UsageError("--nonce is empty: what was to give the text gave nothing")
    settings = {"data": str(data) if data else None, "nonce": nonce, "policies": policies or None}
    settings |= {"judges": judges or None, "training_data": str(training) if training else None}
    if file is None:
        suites = suites or [name for policy in map(policy_of, policies) for name in policy.benchmarks]
        if not suites:
            raise click.UsageError("nothing to measure: name a --suite or a --policy, or an audit file by --plan")
        own = any(options[name] not in (None, (), False) for name in options.keys() - plan.MODEL_SETTINGS)
        table = overridden(table_of(options.pop("pipeline")), **from_json(options))
        request = plan.of_flags(table, suites=list(dict.fromkeys(suites)), limit=limit, **settings)
        return _complete(request, host, arms=not own)
    given = {key: value for key, value in options.items() if value not in (None, ())}
    decided = ["suites"] * bool(suites) + sorted(set(given) - plan.MODEL_SETTINGS)
    if decided:
        named = " and ".join(f"--{name.removesuffix('s').replace('_', '-')}" for name in decided)
        raise click.UsageError(f"{file} decides what {named} would say; change it there")
    request = plan.changed(plan.read(file), limit=limit, model=from_json(given), **settings)
    return _complete(request, host, arms=not request.table.arms)


def _complete(request: Request, host: Host, *, arms: bool) -> Request:
    """With the folder of data that the environment names, if none is named, and without suites."""
    from orca_guard import plan  # noqa: PLC0415  # as above
    from orca_guard.data.sets import folder_named  # noqa: PLC0415
    from orca_guard.suites import expanded  # noqa: PLC0415

    return expanded(plan.changed(request, model={}, data=folder_named(request.table.data)), host, arms=arms)


def frozen_of(request: Request, host: Host) -> Frozen:
    """The request as a plan, with a bar while its items are measured, and a line for everything left out."""
    from orca_guard.cli.auditing import measuring  # noqa: PLC0415  # as above
    from orca_guard.cli.show import note  # noqa: PLC0415
    from orca_guard.freezing import freeze  # noqa: PLC0415

    _check_baselines(request)
    with measuring() as step:
        frozen = freeze(request, host, step=step)
    for planned in frozen.benchmarks:
        if left_out := len(planned.entry["not_covered"]):
            note(f"{planned.entry['name']}: {left_out} items do not fit and are not covered", style="yellow")
        for reason, rows in planned.entry["rejected"].items():
            note(f"{planned.entry['name']}: {rows} rows of its data are rejected: {reason}", style="yellow")
        if found := planned.entry.get("overlap"):
            seen, short, all_ = found.get("seen", 0), found.get("short", 0), sum(found.values())
            note(
                f"{planned.entry['name']}: {seen} of {all_} items share words with training data, {short} are too short"
            )
    for absent in frozen.plan["absent"]:
        note(f"{absent['benchmark']} is not run: {absent['reason']}", style="yellow")
    return frozen


def _check_baselines(request: Request) -> None:
    """Raise `BadInput` where a run that a gate is held against does not verify: its scores go into the plan."""
    from orca_guard.attest import faults_of  # noqa: PLC0415  # as above

    for folder in dict.fromkeys(gate.get("baseline_run") for gate in request.table.gates):
        if folder and (faults := faults_of(Path(str(folder)))):
            raise BadInput(f"{folder} is not as it was sealed, and nothing can be held against it: {faults[0]}")


def _rehearsed(request: Request, frozen: Frozen, host: Host) -> Rehearsal:
    from orca_guard.cli.show import stderr  # noqa: PLC0415  # as above
    from orca_guard.rehearsal import rehearse  # noqa: PLC0415

    with stderr().status("loading") as status:
        return rehearse(request, frozen, host, told=lambda what: status.update(plain(what)))


def _begun(request: Request, frozen: Frozen, place: Rank, *, out: Path, name: str | None) -> Audit:
    from orca_guard.audit import begin  # noqa: PLC0415  # as above
    from orca_guard.cli.show import note  # noqa: PLC0415
    from orca_guard.journal.bundle import RunStore  # noqa: PLC0415

    if place.world > 1 and not name:
        raise click.UsageError(f"{place.world} processes work on one run: give it a name by --run")
    name = name or datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    begun = begin(request, frozen, store=RunStore(out), name=name, place=place)
    if not place.rank:
        note(f"plan {frozen.digest}")
    return begun


def _resumed(folder: Path, options: dict[str, Any], host: Host) -> Audit:
    from orca_guard.audit import resume  # noqa: PLC0415  # as above
    from orca_guard.cli.auditing import measuring  # noqa: PLC0415

    if any(value not in (None, ()) for value in options.values()):
        raise click.UsageError("--resume goes on with what the run was begun with; no other option changes it")
    with measuring() as step:
        return resume(folder, host, step=step)


def _run(begun: Audit, host: Host, place: Rank, *, doctor: bool, cache: AnswerCache | None) -> dict[str, Any] | None:
    from orca_guard.audit import close, run  # noqa: PLC0415  # as above
    from orca_guard.cli.auditing import ending_on_sigterm, running  # noqa: PLC0415
    from orca_guard.cli.show import note  # noqa: PLC0415

    more: dict[str, Any] = {"examined": partial(_examined, begun, host) if doctor else _nothing}
    records = sum(begun.schedule.sizes(rank=place.rank, world=place.world).values())
    try:
        with ending_on_sigterm(), running(records, shown=not place.rank) as told:
            run(begun, host, place=place, told=told, cache=cache, **more)
            if place.world > 1 and not place.rank:
                note(f"this process is done; the seal waits for {place.world - 1} more")
            return close(begun, place=place)
    except KeyboardInterrupt:
        again = f"orca-guard audit --resume {begun.bundle.root}"
        by = f", by {place.world} processes" if place.world > 1 else ""
        note(f"what is recorded is safe; go on with: {again}{by}", style="yellow")
        raise


def _examined(begun: Audit, host: Host, bench: Bench) -> None:
    """A few items of each benchmark, and whoever answers them, looked over before the rest is asked."""
    from orca_guard.cli.doctor import require  # noqa: PLC0415  # as above
    from orca_guard.doctor import examine  # noqa: PLC0415

    benchmarks = begun.frozen.benchmarks
    names = {*bench.models, *(planned.entry["name"] for planned in benchmarks)}
    require(examine(bench, benchmarks, host), names=names)


def _nothing(_bench: Bench) -> None:
    """Nothing is looked over."""
