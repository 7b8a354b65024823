"""`orca-guard review`: answers out to people, and their labels back."""

from __future__ import annotations

from pathlib import Path

import click

from orca_guard.cli.run import PATH
from orca_guard.cli.stating import renew_page, speaker_options
from orca_guard.errors import BadInput


@click.group()
def review() -> None:
    """Have people label a sample of a run's answers, and hold the scores against them."""


@review.command(
    epilog="""\b
    Examples:
      orca-guard review export runs/release --sample 200 --out review
      orca-guard review export runs/release --sample 200 --stratify mark --seed 7 --out review"""
)
@click.argument("folder", type=PATH, metavar="RUN")
@click.option("--sample", type=click.IntRange(min=1), required=True, metavar="N", help="Records at most.")
@click.option("--stratify", default="", metavar="KEY", help="Equal parts by mark, disposition, or a group of items.")
@click.option("--blind/--not-blind", default=True, show_default=True, help="Whether arms and marks are left out.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw.")
@click.option("--out", type=PATH, required=True, metavar="DIR", help="A new folder.")
def export(*, folder: Path, sample: int, stratify: str, blind: bool, seed: int, out: Path) -> None:
    """Draw answers of the sealed run in RUN, and write a sheet for a spreadsheet and one for a browser.

    Hand on sheet.csv or sheet.html, and keep sample.json: it says whose answers they are.
    """
    from orca_guard import review as reviews  # noqa: PLC0415  # not needed for help
    from orca_guard.cli.show import note  # noqa: PLC0415

    _verified(folder)
    made = reviews.export(folder, out, sample=sample, stratify=stratify, blind=blind, seed=seed)
    note(f"{len(made.rows)} answers: {out / reviews.SHEET} and {out / reviews.FORM}")
    note(f"keep {out / reviews.SAMPLE} to yourself")


@review.command(
    "import",
    epilog="""\b
    Examples:
      orca-guard review import runs/release ada.csv --sample review/sample.json --name "A. Auditor" --role "model risk"
      orca-guard review import runs/release ada.csv ben.csv --decided decided.csv --sample review/sample.json \\
        --name "A. Auditor" --role "model risk" --key auditor.pem""",
)
@click.argument("folder", type=PATH, metavar="RUN")
@click.argument("sheets", type=PATH, nargs=-1, required=True, metavar="SHEET [SHEET]")
@click.option("--sample", type=PATH, required=True, metavar="FILE", help="The export's sample.json.")
@click.option("--decided", type=PATH, metavar="FILE", help="A sheet with what holds where the two differ.")
@speaker_options
def bring_in(
    *,
    folder: Path,
    sheets: tuple[Path, ...],
    sample: Path,
    decided: Path | None,
    name: str,
    role: str,
    key: Path | None,
) -> None:
    """Put the labels of one or two people beside the sealed run in RUN, as a statement. Reports then show them.

    A SHEET is a CSV file with the columns number and label (pass, fail, or empty), and is called after who labelled.
    """
    from orca_guard import review as reviews  # noqa: PLC0415  # not needed for help
    from orca_guard.cli.show import note  # noqa: PLC0415

    _verified(folder)
    speaker = {"name": name, "role": role}
    found = reviews.bring_in(folder, sheets, sample=sample, decided=decided, speaker=speaker, key=key)
    note(f"{found.settled} labels in {found.path}")
    renew_page(folder)
    if found.unsettled:
        note(
            f"{found.unsettled} records are not settled: the two differ. Decide them in a sheet, by --decided",
            style="yellow",
        )


@review.command(
    epilog="""\b
    Examples:
      orca-guard review verdict runs/release --public reviewer-public.pem
      orca-guard review verdict runs/release --json

    \b
    Exit codes: 0 all gates pass with the labels; 1 one fails, or the run does not verify; 2 no run, or no gate takes
    labels; 3 there is not enough evidence."""
)
@click.argument("folder", type=PATH, metavar="RUN")
@click.option("--public", type=PATH, metavar="KEYFILE", help="Ed25519 public key that the labels must be signed with.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verdict(*, folder: Path, public: Path | None, as_json: bool) -> int:
    """Say what the gates of the sealed run in RUN come to with the labels that were imported last.

    Gates that take labels (`labels = 100`) are inconclusive in the seal. They rule on the bounds of the scores and
    of the rate that people would give, both; labels must be signed. The seal stays as it is.
    """
    from orca_guard.cli.auditing import show_rulings  # noqa: PLC0415  # not needed for help
    from orca_guard.cli.show import note, working  # noqa: PLC0415
    from orca_guard.cli.streams import json_text  # noqa: PLC0415
    from orca_guard.errors import ExitCode  # noqa: PLC0415
    from orca_guard.gates import EXIT_CODES, result_json  # noqa: PLC0415
    from orca_guard.journal.signature import read_public  # noqa: PLC0415
    from orca_guard.reviewed import review as reviewed  # noqa: PLC0415
    from orca_guard.verify import verify  # noqa: PLC0415

    with working(f"verifying {folder}"):
        if verify(folder).faulty:
            raise BadInput(f"{folder} does not verify, and nothing is ruled on. Run: orca-guard verify {folder}")
        found = reviewed(folder)
    rows = [result_json(result) for result in found.results]
    if as_json:
        click.echo(json_text({"verdict": found.verdict.value, "key": found.key, "gates": rows}, indent=2))
    else:
        show_rulings(rows, found.verdict)
    if found.key and public is None:
        note(f"the labels are signed with {found.key}; give --public to say whose key that must be", style="yellow")
    if public is not None and found.key and read_public(public) != found.key:
        note(f"the labels are signed with another key: {found.key}", style="bold red")
        return ExitCode.FAILED
    return EXIT_CODES[found.verdict]


def _verified(folder: Path) -> None:
    """Raise `BadInput` where the run does not verify: nobody is to read for nothing, and nothing is stated of it."""
    from orca_guard.cli.show import working  # noqa: PLC0415  # not needed for help
    from orca_guard.verify import verify  # noqa: PLC0415

    with working(f"verifying {folder}"):
        if verify(folder).faulty:
            raise BadInput(f"{folder} does not verify, and nothing is stated of it. Run: orca-guard verify {folder}")
