"""`tune filter` and `tune erase`: what makes training data of a teacher's answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orca_guard.cli import host_of
from orca_guard.cli.run import PATH
from orca_guard.cli.streams import json_text
from orca_guard.errors import BadInput, ExitCode

if TYPE_CHECKING:
    from orca_guard_tuning.filters import Filtered

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command(
    "filter",
    epilog="""\b
    Examples:
      orca-guard tune filter answers.jsonl --out fit.jsonl
      orca-guard tune filter answers.jsonl --against held-out.jsonl --against basics-questions --out fit.jsonl
      orca-guard tune filter answers.jsonl --known --max-words 200 --out fit.jsonl --json

    \b
    Exit codes: 0 the file is written, 1 nothing was left, 2 wrong usage or bad input, 3 data that
    is to be compared with is not here.""",
)
@click.argument("triples", type=PATH)
@click.option("--out", type=PATH, required=True, metavar="FILE", help="Triples that are left, as JSONL.")
@click.option(
    "--against", multiple=True, metavar="FILE|NAME", help="Prompts or a benchmark that training must not overlap."
)
@click.option("--data", type=PATH, metavar="DIR", help="The folder of data that benchmarks read.")
@click.option("--ngram", type=click.IntRange(2), metavar="N", help="Words in a row that make an overlap; else 13.")
@click.option("--known", is_flag=True, help="Keep only what is known to be right.")
@click.option("--min-words", type=click.IntRange(0), default=0, show_default=True, help="Fewest words of an answer.")
@click.option("--max-words", type=click.IntRange(1), default=2000, show_default=True, help="Most words of an answer.")
@_JSON
@click.pass_context
def filter_(ctx: click.Context, /, triples: Path, out: Path, **options: Any) -> int:
    """Drop from TRIPLES what is not fit to train on, and report how many for which reason.

    Dropped are: rows with a fault, wrong answers, empty ones, those too short or too long, duplicates, and overlaps
    with evaluation data. The report is printed, and lies beside --out for the model's card.
    """
    from orca_guard.contamination import WORDS  # noqa: PLC0415  # not needed for help
    from orca_guard_tuning.filters import Limits, Overlaps, filtered  # noqa: PLC0415
    from orca_guard_tuning.triples import read_triples, write_triples  # noqa: PLC0415

    _check_other(triples, out)
    _check_bounds(options["min_words"], options["max_words"])
    ngram = options["ngram"] or WORDS
    sources = {source: _texts(ctx, source, options["data"]) for source in options["against"]}
    limits = Limits(known=options["known"], min_words=options["min_words"], max_words=options["max_words"])
    found = filtered(read_triples(triples), limits=limits, overlaps=Overlaps(sources, size=ngram))
    write_triples(out, found.kept)
    _report(found, out, triples, ngram=ngram, as_json=options["as_json"])
    return ExitCode.DONE if found.kept else ExitCode.FAILED


def _report(found: Filtered, out: Path, source: Path, *, ngram: int, as_json: bool) -> None:
    from orca_guard.cli.show import note  # noqa: PLC0415  # as above
    from orca_guard.identity import digest_file  # noqa: PLC0415
    from orca_guard_tuning.cli.tables import show_table  # noqa: PLC0415
    from orca_guard_tuning.triples import write_whole  # noqa: PLC0415

    report = found.report() | {"ngram": ngram, "from": digest_file(source, fresh=True)}
    report["digest"] = digest_file(out, fresh=True)
    write_whole(out.with_name(f"{out.name}.report.json"), json.dumps(report, indent=1, ensure_ascii=False).encode())
    rows = [{"what": "read", "triples": found.read}, {"what": "kept", "triples": len(found.kept)}]
    rows += [{"what": f"dropped: {reason}", "triples": count} for reason, count in report["dropped"].items()]
    show_table(rows, as_json=as_json, whole=report)
    for name, told in report["overlaps"].items():
        if told["examples"]:
            first = told["examples"][0]
            note(f"overlap with {name}, for example {first['id'] or 'a row'}: {first['words']!r}", style="yellow")
    for name, count in report["too_short"].items():
        note(f"{count} texts of {name} are too short to be looked for", style="yellow")


def _texts(ctx: click.Context, source: str, data: Path | None) -> list[str]:
    """What an evaluation shows: the prompts of a file, or the items of a benchmark."""
    from orca_guard.contamination import texts_of  # noqa: PLC0415  # as above
    from orca_guard.errors import UnknownName  # noqa: PLC0415
    from orca_guard.items import gathered  # noqa: PLC0415
    from orca_guard.packs import read_pack  # noqa: PLC0415

    if Path(source).is_file():
        items = read_pack(Path(source))
    else:
        try:
            benchmark = host_of(ctx).benchmarks.get(source)
        except UnknownName as error:
            raise BadInput(f"--against names neither a file nor a benchmark: {error}") from error
        items, _ = gathered(benchmark.items(benchmark.files(data)))
    if not items:
        raise BadInput(f"{source} holds nothing to compare with")
    return [text for item in items for text in texts_of(item)]


@click.command(
    epilog="""\b
    Examples:
      orca-guard tune erase fit.jsonl --out erased.jsonl
      orca-guard tune erase fit.jsonl --system "You are a careful assistant." --out erased.jsonl"""
)
@click.argument("triples", type=PATH)
@click.option("--out", type=PATH, required=True, metavar="FILE", help="Triples as the student sees them, as JSONL.")
@click.option("--system", metavar="TEXT", help="The generic message; else that of the strategy cautious.")
@_JSON
@click.pass_context
def erase(ctx: click.Context, /, triples: Path, out: Path, system: str | None, *, as_json: bool) -> None:
    """Replace the system message of every one of TRIPLES by the generic one: the student has to choose by itself.

    What was erased stays in a field beside, for study. A strategy that asks more than once becomes one turn.
    """
    from orca_guard.cli.show import note  # noqa: PLC0415  # not needed for help
    from orca_guard_tuning.erase import erased  # noqa: PLC0415
    from orca_guard_tuning.triples import read_triples, write_triples  # noqa: PLC0415

    _check_other(triples, out)
    generic = _generic(ctx) if system is None else system
    rows = [erased(triple, system=generic) for triple in read_triples(triples)]
    before = {row.erased.system for row in rows if row.erased}
    write_triples(out, rows)
    _carry_report(triples, out)
    if as_json:
        click.echo(json_text({"triples": len(rows), "system": generic, "erased": sorted(before)}, indent=2))
    else:
        note(f"{len(rows)} triples; {len(before)} different messages became: {generic}")


def _carry_report(source: Path, out: Path) -> None:
    """What the filter reported of the source holds of its erased rows too; an old report beside `out` does not."""
    from orca_guard.identity import digest_file  # noqa: PLC0415  # as above
    from orca_guard_tuning.triples import write_whole  # noqa: PLC0415

    before, after = (path.with_name(f"{path.name}.report.json") for path in (source, out))
    after.unlink(missing_ok=True)
    if not before.is_file():
        return
    report = json.loads(before.read_text("utf-8"))
    if report.get("digest") == digest_file(source, fresh=True):
        report["digest"] = digest_file(out, fresh=True)
        write_whole(after, json.dumps(report, indent=1, ensure_ascii=False).encode())


def _generic(ctx: click.Context) -> str:
    """The message of the strategy that lets the model choose."""
    found: Sequence[str] = [p.item.system for _, p in host_of(ctx).strategies if p.item.chooses_inside_model]
    if len(found) != 1:
        raise BadInput(f"{len(found)} installed strategies let the model choose; say by --system which message it is")
    return found[0]


def _check_bounds(least: int, most: int) -> None:
    if least > most:
        raise BadInput(
            f"no answer has {least} words or more and {most} or fewer. Lower --min-words or raise --max-words."
        )


def _check_other(source: Path, out: Path) -> None:
    if out.exists() and source.exists() and out.samefile(source):
        raise BadInput(f"--out is the file that is read: {out}. Choose another one.")
