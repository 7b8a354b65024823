"""`orca-guard review`: answers out to people, and their labels back."""

from __future__ import annotations

from pathlib import Path

import click

from orca_guard.cli.run import PATH
from orca_guard.cli.stating import note_old_page, speaker_options
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
    from orca_guard.cli.show import note, working  # noqa: PLC0415
    from orca_guard.verify import verify  # noqa: PLC0415

    with working(f"verifying {folder}"):
        if verify(folder).faulty:
            raise BadInput(f"{folder} does not verify, and nothing is stated of it. Run: orca-guard verify {folder}")
    speaker = {"name": name, "role": role}
    found = reviews.bring_in(folder, sheets, sample=sample, decided=decided, speaker=speaker, key=key)
    note(f"{found.settled} labels in {found.path}")
    note_old_page(folder)
    if found.unsettled:
        note(
            f"{found.unsettled} records are not settled: the two differ. Decide them in a sheet, by --decided",
            style="yellow",
        )
