"""How often the bounds of `orca_guard.stats` are wrong, and how far away they are: simulated, over a grid.

    python benchmarks/coverage.py            # the grid, some minutes on one core; ends with 1 where a cell fails
    python benchmarks/coverage.py --quick    # a tenth of it
    python benchmarks/coverage.py --write    # and put the tables into docs/statistics.md
    python benchmarks/coverage.py --upper 0.8 --even 1000   # what other choices would have come to

An item fails with a rate of its cluster's, which is drawn from a beta distribution with the mean and the correlation of
the cell. A false pass is a bound at 95 % on the wrong side of the true rate: a gate whose limit is just that rate would
have let it through. Of each cell both bounds are looked at, so that rates near 1 are there too. The width of a bound is
its distance from the estimate, held against that of an oracle which is told the correlation, over those trials in which
20 clusters or more hold an event. The arithmetic is that of `orca_guard.stats` on all trials at once; a test holds them
equal.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import NormalDist
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from scipy.special import betaincinv, stdtrit

from orca_guard.sequential import BETS, LEAST_PLANNED
from orca_guard.stats import EVEN, LEAST_CLUSTERS, UPPER

Array: TypeAlias = NDArray[np.float64]

CLUSTERS = (10, 20, 35, 100, 500)
CORRELATIONS = (0.0, 0.1, 0.3)
RATES = (0.0, 0.01, 0.05, 0.2, 0.5)
LEVEL = 0.95
WIDEST = 1.3
HOLDING = 20
SEED = 20231118
TRIALS = 10_000
PAGE = Path(__file__).parents[1] / "docs" / "statistics.md"
MARKS = ("<!-- coverage -->\n", "<!-- end of coverage -->")


# --- what is drawn -------------------------------------------------------------------------------------


def _alike(_: np.random.Generator, shape: tuple[int, int]) -> Array:
    return np.full(shape, 8.0)


def _uneven(chance: np.random.Generator, shape: tuple[int, int]) -> Array:
    return chance.integers(1, 16, shape).astype(float)


def _skewed(chance: np.random.Generator, shape: tuple[int, int]) -> Array:
    sizes: Array = np.minimum(1 + np.floor(chance.lognormal(1.0, 1.0, shape)), 60)
    return sizes


def _giant(_: np.random.Generator, shape: tuple[int, int]) -> Array:
    sizes = np.full(shape, 4.0)
    sizes[:, 0] = 4 * shape[1]
    return sizes


def _single(_: np.random.Generator, shape: tuple[int, int]) -> Array:
    return np.ones(shape)


def _three(_: np.random.Generator, shape: tuple[int, int]) -> Array:
    return np.full(shape, 3.0)


def _many(_: np.random.Generator, shape: tuple[int, int]) -> Array:
    return np.full(shape, 24.0)


def _geometric(chance: np.random.Generator, shape: tuple[int, int]) -> Array:
    return chance.geometric(0.2, shape).astype(float)


def _two_kinds(chance: np.random.Generator, shape: tuple[int, int]) -> Array:
    return np.where(chance.random(shape) < 0.5, 1.0, 12.0)  # noqa: PLR2004  # half of them


SIZES: dict[str, Callable[[np.random.Generator, tuple[int, int]], Array]] = {
    "single": _single,
    "8 each": _alike,
    "1 to 15": _uneven,
    "skewed": _skewed,
    "one giant": _giant,
}
"""Items a cluster. `skewed` is log-normal, most have 1 to 5 and some up to 60; the giant has half of all items."""

OTHER_SIZES = {"3 each": _three, "24 each": _many, "geometric": _geometric, "1 or 12": _two_kinds}
"""Of the second grid, on which nothing was chosen."""

OTHER_CLUSTERS = (13, 27, 60, 250)
OTHER_CORRELATIONS = (0.05, 0.2, 0.5)
OTHER_RATES = (0.02, 0.08, 0.15, 0.35)
OTHER_SEED = 19011215

WIDTH_SIZES = {"single", "8 each", "1 to 15", "skewed"}
"""Where the oracle is fair: how alike the items of one giant are, no one sample can tell."""


@dataclass(frozen=True)
class Cell:
    """One place of the grid."""

    sizes: str
    clusters: int
    correlation: float
    rate: float


def grid() -> Iterator[Cell]:
    """All cells. Single items have no correlation within."""
    for sizes, clusters, correlation, rate in product(SIZES, CLUSTERS, CORRELATIONS, RATES):
        if not (sizes == "single" and correlation):
            yield Cell(sizes, clusters, correlation, rate)


def other_grid() -> Iterator[Cell]:
    """All cells of the second grid."""
    for sizes, clusters, correlation, rate in product(OTHER_SIZES, OTHER_CLUSTERS, OTHER_CORRELATIONS, OTHER_RATES):
        yield Cell(sizes, clusters, correlation, rate)


def drawn(cell: Cell, trials: int, chance: np.random.Generator) -> tuple[Array, Array]:
    """Sizes and events, a row a trial and a column a cluster."""
    sizes = {**SIZES, **OTHER_SIZES}[cell.sizes](chance, (trials, cell.clusters))
    rates: Any = cell.rate
    if cell.correlation and cell.rate:
        spread = 1 / cell.correlation - 1
        rates = chance.beta(cell.rate * spread, (1 - cell.rate) * spread, sizes.shape)
    return sizes, chance.binomial(sizes.astype(int), rates).astype(float)


# --- what is made of it ----------------------------------------------------------------------------------


@dataclass
class Choices:
    """Of `orca_guard.stats`, or others to compare with."""

    upper: float = UPPER
    even: float = EVEN


CHOICES = Choices()


def effective(sizes: Array, events: Array) -> Array:
    """`Linear.effective` of a mean, on all trials at once."""
    n, clusters = sizes.sum(1), sizes.shape[1]
    p = events.sum(1) / n
    weights = sizes / n[:, None]
    residuals = (events - sizes * p[:, None]) / n[:, None]
    variance = (residuals**2 / (1 - weights)).sum(1)
    kish = 1 / (weights**2).sum(1)
    held = np.minimum((events > 0).sum(1), (events < sizes).sum(1))
    part = 2 / (9 * np.maximum(1, np.minimum(np.minimum(clusters - 1, held), CHOICES.even * kish)))
    shrink = np.maximum(0, 1 - part - NormalDist().inv_cdf(CHOICES.upper) * np.sqrt(part)) ** 3
    still = (np.abs(residuals) * n[:, None] < 1e-9).all(1)  # noqa: PLR2004  # as in stats
    worth = p * (1 - p) / np.where(still, 1, variance) * n / (n - 1) * shrink
    found: Array = np.where(still, clusters, np.minimum(n, np.maximum(worth, np.minimum(kish, clusters))))
    return found


def _independent(sizes: Array, _events: Array) -> Array:
    n: Array = sizes.sum(1)
    return n


def _korn_graubard(sizes: Array, events: Array) -> Array:
    """As it is in the literature: the variance as it is, and the ratio of Student's quantiles."""
    n, clusters = sizes.sum(1), sizes.shape[1]
    p = events.sum(1) / n
    squares = ((events - sizes * p[:, None]) ** 2).sum(1)
    variance = clusters / (clusters - 1) * squares / n**2
    certainty = (stdtrit(n - 1, 0.975) / stdtrit(clusters - 1, 0.975)) ** 2
    worth = p * (1 - p) / np.where(squares > 0, variance, 1) * n / (n - 1) * certainty
    found: Array = np.where(squares > 0, np.minimum(n, worth), clusters)
    return found


PEERS = {"items taken for independent": _independent, "Korn and Graubard": _korn_graubard}
"""Other effective sizes, for the same interval."""


def bounds(p: Array, n: Array) -> tuple[Array, Array]:
    """Clopper and Pearson, each side at `LEVEL`."""
    hits, misses = p * n, (1 - p) * n
    low = np.where(hits > 0, betaincinv(np.maximum(hits, 1e-300), misses + 1, 1 - LEVEL), 0)
    high = np.where(misses > 0, betaincinv(hits + 1, np.maximum(misses, 1e-300), LEVEL), 1)
    return low, high


@dataclass(frozen=True)
class Row:
    """What became of a cell.

    Attributes:
        upper: share of trials whose upper bound is below the true rate.
        lower: share whose lower bound is above it.
        covered: share whose bounds, at 95 % together, hold it.
        width: of the upper bound, over the oracle's; NaN where too few trials have the events.
        peers: false passes of other methods; the worse of the two sides.
    """

    cell: Cell
    trials: int
    upper: float
    lower: float
    covered: float
    width: float
    peers: dict[str, float]

    @property
    def faults(self) -> list[str]:
        """What is not as it must be. Simulation errs by three standard errors at most."""
        allowed = 1 - LEVEL + 3 * float(np.sqrt(LEVEL * (1 - LEVEL) / self.trials))
        wide = self.cell.sizes != "one giant" and self.width > WIDEST
        told = [f"false pass {max(self.upper, self.lower):.2%}"] if max(self.upper, self.lower) > allowed else []
        return told + ([f"width {self.width:.3f}"] if wide else [])


def row_of(cell: Cell, trials: int, seed: int = SEED) -> Row:
    """Simulate a cell."""
    chance = np.random.default_rng([seed, *map(ord, f"{cell}")])
    sizes, events = drawn(cell, trials, chance)
    n = sizes.sum(1)
    p, worth = events.sum(1) / n, effective(sizes, events)
    low, high = bounds(p, worth)
    tail = (1 - LEVEL) / 2
    outer_low = np.where(p > 0, betaincinv(np.maximum(p * worth, 1e-300), (1 - p) * worth + 1, tail), 0)
    outer_high = np.where(p < 1, betaincinv(p * worth + 1, np.maximum((1 - p) * worth, 1e-300), 1 - tail), 1)
    inside = (outer_low <= cell.rate) & (cell.rate <= outer_high)
    within = (sizes**2).sum(1) / n - 1
    known = bounds(p, n / (1 + cell.correlation * within))[1]
    enough = (events > 0).sum(1) >= HOLDING
    width = (high - p)[enough].mean() / (known - p)[enough].mean() if enough.mean() >= 0.02 else np.nan  # noqa: PLR2004
    return Row(
        cell=cell,
        trials=trials,
        upper=float((high < cell.rate).mean()),
        lower=float((low > cell.rate).mean()),
        covered=float(inside.mean()),
        width=float(width),
        peers={name: _wrong(bounds(p, of(sizes, events)), cell.rate) for name, of in PEERS.items()},
    )


def _wrong(found: tuple[Array, Array], rate: float) -> float:
    return max(float((found[1] < rate).mean()), float((found[0] > rate).mean()))


# --- differences -----------------------------------------------------------------------------------------

PARTS = ((0.0, 0.01), (0.0, 0.05), (0.02, 0.02), (0.02, 0.05), (0.05, 0.1), (0.1, 0.1), (0.1, 0.3), (0.3, 0.3))
"""Shares of items in which the first of two is better and in which it is worse."""

PAIRED_CLUSTERS = (20, 50, 100, 500)
ALIKE = 3.0
"""How much clusters differ in these shares: the total of a Dirichlet distribution's parameters; correlation 1 / 4."""


def paired_error(sizes: str, clusters: int, parts: tuple[float, float], trials: int) -> float:
    """Share of trials in which a bound of the difference is on the wrong side of the true one; the worse of the two."""
    up, down = parts
    chance = np.random.default_rng([SEED, clusters, *map(ord, f"{sizes} {parts}")])
    of = SIZES[sizes](chance, (trials, clusters))
    shares = np.broadcast_to(np.array([up, down, 1 - up - down]), (*of.shape, 3))
    if sizes != "single":
        drawn = chance.standard_gamma(np.maximum(ALIKE * shares, 1e-12))
        shares = drawn / drawn.sum(-1, keepdims=True)
    better = chance.binomial(of.astype(int), shares[..., 0])
    rest = np.clip(shares[..., 1] / np.maximum(1 - shares[..., 0], 1e-12), 0, 1)
    worse = chance.binomial(of.astype(int) - better, rest)
    lows = [
        _difference_low(of, one.astype(float), other.astype(float)) for one, other in ((better, worse), (worse, better))
    ]
    return max(float((low > truth + 1e-12).mean()) for low, truth in zip(lows, (up - down, down - up), strict=True))


def _difference_low(sizes: Array, better: Array, worse: Array) -> Array:
    """`paired.difference(...).interval` at `LEVEL` on one side, on all trials at once."""
    n = sizes.sum(1)
    p, q = better.sum(1) / n, worse.sum(1) / n
    one, other = better - sizes * p[:, None], worse - sizes * q[:, None]
    scale = np.sqrt((one**2).sum(1) * (other**2).sum(1))
    rho = np.where(scale > 0, np.minimum(0, (one * other).sum(1) / np.where(scale > 0, scale, 1)), 0)
    a = p - bounds(p, effective(sizes, better))[0]
    b = bounds(q, effective(sizes, worse))[1] - q
    low: Array = p - q - np.sqrt(a * a + b * b - 2 * rho * a * b)
    return low


def paired_table(trials: int) -> tuple[str, list[str]]:
    """Markdown, and what is wrong."""
    allowed = 1 - LEVEL + 3 * float(np.sqrt(LEVEL * (1 - LEVEL) / trials))
    lines, wrong = ["| items a cluster | clusters | wrong bounds of a difference, most |", "|---|---:|---:|"], []
    for sizes, clusters in product(("single", "1 to 15"), PAIRED_CLUSTERS):
        most = max(paired_error(sizes, clusters, parts, trials) for parts in PARTS)
        lines.append(f"| {sizes} | {clusters} | {most:.1%} |")
        wrong += [f"differences of {clusters} clusters, {sizes}: {most:.2%}"] if most > allowed else []
    return "\n".join(lines) + "\n", wrong


# --- sequential gates --------------------------------------------------------------------------------------

STOPS = ((0.0, 0.05), (0.01, 0.05), (0.01, 0.02), (0.025, 0.05), (0.05, 0.1), (0.1, 0.2), (0.2, 0.4))
"""True rates and limits at least twice as high."""

SOON = 0.4
"""A gate should have ruled after this share of clusters."""


def paying(means: Array, limit: float, side: int) -> NDArray[np.bool_]:
    """`orca_guard.sequential.Stakes`, after every cluster of every trial: whether the bets have paid."""
    held = np.zeros(means.shape)
    for bet in BETS:
        with np.errstate(divide="ignore"):
            held += np.exp(np.cumsum(np.log1p(np.maximum(bet * side * (means - limit), -1)), axis=1))
    paid: NDArray[np.bool_] = held / len(BETS) >= 1 / (1 - LEVEL)
    paid[:, : LEAST_CLUSTERS - 1] = False
    return paid


def shuffled(cell: Cell, trials: int, seed: int) -> tuple[Array, Array]:
    """Sizes and events in the order in which clusters are asked, which nobody chose."""
    chance = np.random.default_rng([seed, *map(ord, f"sequential {cell}")])
    sizes, events = drawn(cell, trials, chance)
    order = np.argsort(chance.random(sizes.shape), axis=1)
    return np.take_along_axis(sizes, order, 1), np.take_along_axis(events, order, 1)


def sequential_error(cell: Cell, trials: int, seed: int = SEED) -> float:
    """Share of trials in which a gate at the true rate ever passes, wherever asking stopped; the worse of two sides."""
    sizes, events = shuffled(cell, trials, seed)
    return max(float(paying(events / sizes, cell.rate, side).any(1).mean()) for side in (-1, 1))


@dataclass(frozen=True)
class Stopped:
    """How soon a gate rules whose limit is not near: the median share of clusters, how often within `SOON`, and how
    often the usual gate passes that has just the first `SOON` of the clusters.
    """

    median: float
    soon: float
    usual: float


def stopped(sizes: str, correlation: float, rate: float, limit: float, trials: int) -> Stopped:
    """Of 500 clusters."""
    cell = Cell(sizes, max(CLUSTERS), correlation, rate)
    of, events = shuffled(cell, trials, SEED)
    paid = paying(events / of, limit, -1)
    first = np.where(paid.any(1), paid.argmax(1) + 1, paid.shape[1]) / paid.shape[1]
    part = slice(0, int(SOON * cell.clusters))
    some, hits = of[:, part], events[:, part]
    high = bounds(hits.sum(1) / some.sum(1), effective(some, hits))[1]
    soon = paid[:, part].any(1).mean()
    return Stopped(float(np.median(first)), float(soon), float((high <= limit).mean()))


def sequential_tables(trials: int) -> tuple[str, list[str]]:
    """Markdown, and what is wrong."""
    allowed = 1 - LEVEL + 3 * float(np.sqrt(LEVEL * (1 - LEVEL) / trials))
    lines = ["| items a cluster | clusters | sequential gate: false pass, most | its correlation, rate |"]
    lines, wrong = [*lines, "|---|---:|---:|---|"], []
    for sizes, clusters in product(SIZES, (count for count in CLUSTERS if count >= LEAST_PLANNED)):
        cells = [cell for cell in grid() if (cell.sizes, cell.clusters) == (sizes, clusters)]
        errors = {cell: sequential_error(cell, trials) for cell in cells}
        worst = max(errors, key=lambda cell: errors[cell])
        lines.append(f"| {sizes} | {clusters} | {errors[worst]:.1%} | {worst.correlation:g}, {worst.rate:g} |")
        wrong += [f"sequential, {cell}: {error:.2%}" for cell, error in errors.items() if error > allowed]
    lines += ["", "| true rate | limit | clusters asked, median | ruled within 40 % | a usual gate on those 40 % |"]
    lines += ["|---:|---:|---:|---:|---:|"]
    for rate, limit in STOPS:
        found = {
            (sizes, correlation): stopped(sizes, correlation, rate, limit, trials // 5)
            for sizes, correlation in product(SIZES, CORRELATIONS)
            if not (sizes == "single" and correlation)
        }
        median, soon, usual = ([getattr(one, name) for one in found.values()] for name in ("median", "soon", "usual"))
        lines.append(
            f"| {rate:g} | {limit:g} | {min(median):.0%} to {max(median):.0%} | {min(soon):.0%} to {max(soon):.0%} | "
            f"{min(usual):.0%} to {max(usual):.0%} |"
        )
        wrong += [
            f"sequential, {where}, rate {rate:g} and limit {limit:g}: half of them rule after {one.median:.0%}"
            for where, one in found.items()
            if one.median > SOON and one.usual > LEVEL
        ]
    return "\n".join(lines) + "\n", wrong


# --- what is said ------------------------------------------------------------------------------------------


def table(rows: list[Row]) -> str:
    """Markdown: a row a kind of sizes and number of clusters; the worst of its cells, and which that is."""
    lines = [
        "| items a cluster | clusters | false pass, most | its correlation, rate | covered, least | width, most |",
        "|---|---:|---:|---|---:|---:|",
    ]
    for sizes, clusters in product(SIZES, CLUSTERS):
        of = [row for row in rows if (row.cell.sizes, row.cell.clusters) == (sizes, clusters)]
        worst = max(of, key=lambda row: max(row.upper, row.lower))
        widths = [row.width for row in of if not np.isnan(row.width)]
        lines.append(
            f"| {sizes} | {clusters} | {max(worst.upper, worst.lower):.1%} | {worst.cell.correlation:g}, "
            f"{worst.cell.rate if worst.upper >= worst.lower else 1 - worst.cell.rate:g} | "
            f"{min(row.covered for row in of):.1%} | {f'{max(widths):.2f}' if widths else '-'} |"
        )
    return "\n".join(lines) + "\n"


def other_table(trials: int) -> tuple[str, list[str]]:
    """Markdown of the second grid, a row a kind of sizes, and what is wrong."""
    rows = [row_of(cell, trials, OTHER_SEED) for cell in other_grid()]
    lines = [
        "| items a cluster, second grid | false pass | clusters, correlation, rate | sequential | covered | width |",
        "|---|---:|---|---:|---:|---:|",
    ]
    late = {
        row.cell: sequential_error(row.cell, trials, OTHER_SEED)
        for row in rows
        if row.cell.clusters == max(OTHER_CLUSTERS)
    }
    for sizes in OTHER_SIZES:
        of = [row for row in rows if row.cell.sizes == sizes]
        worst = max(of, key=lambda row: max(row.upper, row.lower))
        where = f"{worst.cell.clusters}, {worst.cell.correlation:g}, {worst.cell.rate:g}"
        most = max(error for cell, error in late.items() if cell.sizes == sizes)
        lines.append(
            f"| {sizes} | {max(worst.upper, worst.lower):.1%} | {where} | {most:.1%} | "
            f"{min(row.covered for row in of):.1%} | {np.nanmax([row.width for row in of]):.2f} |"
        )
    allowed = 1 - LEVEL + 3 * float(np.sqrt(LEVEL * (1 - LEVEL) / trials))
    wrong = [f"second grid, {row.cell}: {', '.join(row.faults)}" for row in rows if row.faults]
    wrong += [f"second grid, sequential, {cell}: {error:.2%}" for cell, error in late.items() if error > allowed]
    return "\n".join(lines) + "\n", wrong


def peer_table(rows: list[Row]) -> str:
    """Markdown: a row a method, with its worst cell but for the giant's."""
    lines = [
        "| interval of Clopper and Pearson on | false pass, most | clusters, correlation, rate |",
        "|---|---:|---|",
    ]
    fair = [row for row in rows if row.cell.sizes in WIDTH_SIZES]
    for name in PEERS:
        worst = max(fair, key=lambda row: row.peers[name])
        where = f"{worst.cell.clusters}, {worst.cell.correlation:g}, {worst.cell.rate:g}"
        lines.append(f"| {name} | {worst.peers[name]:.1%} | {where} |")
    ours = max(fair, key=lambda row: max(row.upper, row.lower))
    where = f"{ours.cell.clusters}, {ours.cell.correlation:g}, {ours.cell.rate:g}"
    lines.append(f"| an upper estimate, as here | {max(ours.upper, ours.lower):.1%} | {where} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Simulate, say and perhaps write; 1 where a cell fails."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a tenth of the trials")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/statistics.md")
    parser.add_argument("--upper", type=float, default=UPPER, help="confidence of the upper estimate of a variance")
    parser.add_argument("--even", type=float, default=EVEN, help="degrees of freedom per cluster of equal weight")
    asked = parser.parse_args()
    CHOICES.upper, CHOICES.even = asked.upper, asked.even
    trials = TRIALS // 10 if asked.quick else TRIALS
    rows = [row_of(cell, trials) for cell in track(list(grid()), console=Console(stderr=True), transient=True)]
    of_pairs, wrong = paired_table(trials)
    of_stops, late = sequential_tables(trials)
    of_others, other = other_table(trials)
    failed = [*(f"{row.cell}: {', '.join(row.faults)}" for row in rows if row.faults), *wrong, *late, *other]
    told = f"{table(rows)}\n{of_others}\n{peer_table(rows)}\n{of_pairs}\n{of_stops}"
    print(told, *failed, sep="\n")
    if asked.write:
        before, mark, rest = PAGE.read_text("utf-8").partition(MARKS[0])
        PAGE.write_text(f"{before}{mark}{told}{MARKS[1]}{rest.partition(MARKS[1])[2]}", "utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    assert min(CLUSTERS) >= LEAST_CLUSTERS, "the grid begins where intervals do"
    sys.exit(main())
