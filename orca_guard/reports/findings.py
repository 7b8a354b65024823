"""What a reader should not miss: anomalies that the records show by themselves, whatever was declared beforehand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from math import comb

from orca_guard.items import Item
from orca_guard.reports.evidence import (
    FEWEST,
    Rate,
    View,
    flags_of,
    most_common,
    percent,
    share,
    told,
    without,
)
from orca_guard.reports.gather import MARKS, NOT_SEEN, Gathered, Table
from orca_guard.reports.summary import Anomaly

# Each is said only where an interval of 99 % over clusters leaves little doubt; where many groups are compared, more.
# They rule on nothing: a model without findings may still fail a gate, and one with findings may pass all.

Detector = Callable[[View], Iterator[Anomaly]]

ENDINGS: Mapping[str, tuple[float, str]] = {
    "absent": (0.05, "no answer could be found in what was written"),
    "ambiguous": (0.05, "more than one answer stands in what was written"),
    "truncated": (0.05, "the answer was cut off at the token limit"),
    "refused": (0.05, "the model refused"),
    "empty": (0.02, "nothing was written"),
    "blocked": (0.05, "a guard blocked"),
    "abstained": (0.05, "the pipeline abstained"),
    "error": (0.005, "an error left no answer"),
}
"""Disposition → the share that is worth a word, and the words."""

CUT, ERRED, UNSCORED, TIES = 0.02, 0.005, 0.01, 0.02
GROUP_GAP, LENGTH_GAP, DRIFT_GAP, ARM_GAP, LETTER_GAP, VALUE_GAP = 0.05, 0.1, 0.1, 0.1, 0.1, 0.2
SHORTEST = 0.6
SPREAD = 1.25
"""How much longer the longest prompts are than the median, before length is a thing to speak of."""
PAIRS_P = 0.001


def findings_of(
    gathered: Gathered, items: Mapping[str, Mapping[int, Item]], values: Mapping[int, str]
) -> tuple[Anomaly, ...]:
    """All of them, those that touch most first.

    Args:
        gathered: what the shards hold.
        items: benchmark → position → item, of a sample.
        values: key of a value → its text, of a sample.
    """
    found: list[Anomaly] = []
    for name, table in gathered.tables.items():
        views = [View(table, subject, items.get(name, {}), values) for subject in table.columns]
        found += [finding for view in views for detector in DETECTORS for finding in detector(view)]
        found += _arms(table, views)
    return tuple(sorted(found, key=lambda f: (-f.weight, f.benchmark, f.subject, f.code)))


def _finding(view: View, code: str, what: str, weight: float) -> Anomaly:
    name = str(view.table.entry["name"])
    return Anomaly(code=code, benchmark=name, subject=view.subject, what=what, weight=round(min(1.0, weight), 6))


# --- how records ended -------------------------------------------------------------------------


def _endings(view: View) -> Iterator[Anomaly]:
    """Dispositions that are common, but for those that the benchmark wants."""
    for ending, (bound, words) in ENDINGS.items():
        rate = view.above(view.ended(ending), view.seen, bound)
        if rate and not _wants(view, ending):
            yield _finding(view, ending, f"{words}: {told(rate)}", rate.value)


def _wants(view: View, ending: str) -> bool:
    """Whether the benchmark gives full credit for it, as one of harmful requests does for a refusal."""
    credit = view.table.entry["metrics"][0].get("credit", {}).get(ending)
    return credit is not None and bool(credit == (0 if _harm(view) else 1))


def _harm(view: View) -> bool:
    """Whether the first metric is a rate of harm, under which a refusal is no harm, and not what is wanted either."""
    return bool(view.table.entry["metrics"][0].get("lower_is_better"))


def _cut(view: View) -> Iterator[Anomaly]:
    """An answer that was read from a text that ends in the middle."""
    answered = view.ended("answered")
    among = [position for position in view.seen if answered[position]]
    if rate := view.above(view.column.cut, among, CUT):
        yield _finding(view, "cut", f"read although the text was cut off: {told(rate)} answers", rate.value)


def _guard_errors(view: View) -> Iterator[Anomaly]:
    if rate := view.above(view.column.erred, view.seen, ERRED):
        guards = sorted({guard for (guard, _, action) in view.column.guards if action == "error"})
        yield _finding(view, "guard errors", f"guards failed ({', '.join(guards)}): {told(rate)}", rate.value)


def _unscored(view: View) -> Iterator[Anomaly]:
    """Answered, and yet not scored."""
    answered, unscored = view.ended("answered"), MARKS.index("unscored")
    flags = bytearray(answered[at] and mark == unscored for at, mark in enumerate(view.column.mark))
    if rate := view.above(flags, view.seen, UNSCORED):
        yield _finding(view, "unscored", f"answered and not scored: {told(rate)}", rate.value)


def _missing(view: View) -> Iterator[Anomaly]:
    planned = view.table.asked
    if (count := planned - view.column.records) > 0:
        yield _finding(view, "missing", f"{count} of {planned} planned records are not here", count / planned)


def _kept(view: View) -> Iterator[Anomaly]:
    """Not computed in this run."""
    if kept := view.column.kept:
        what = f"{kept} of {len(view.seen)} records rest on answers kept from earlier runs"
        yield _finding(view, "cached", what, kept / len(view.seen))


# --- where records fail ------------------------------------------------------------------------


def _groups(view: View) -> Iterator[Anomaly]:
    """Of each key, the value that does worst, if it stands apart from all the others together."""
    times = max(1, sum(len(values) for values in view.table.groups.values()))
    for key, values in view.table.groups.items():
        worst = _worst(view, values, view.failed, times, among=view.scored)
        if worst:
            value, (high, low), positions = worst
            what = f"{key}={value} fails in {told(high)}, all others in {told(low)}"
            yield _finding(view, "group", what, len(positions) / len(view.seen) * high.value + 0.2)
        yield from _group_endings(view, key, values, times)


def _group_endings(view: View, key: str, values: Mapping[str, Sequence[int]], times: int) -> Iterator[Anomaly]:
    """A disposition that befalls one group, where it does not show as failures already."""
    for ending, (_, words) in ENDINGS.items():
        flags = view.ended(ending)
        if not any(flags) or (_wants(view, ending) and not _harm(view)):
            continue
        worst = _worst(view, values, flags, times * len(ENDINGS), among=view.seen)
        if worst:
            value, (high, low), _ = worst
            what = f"{words} for {key}={value} in {told(high)}, for all others in {told(low)}"
            yield _finding(view, f"group {ending}", what, high.value / 2 + 0.1)


def _worst(
    view: View, values: Mapping[str, Sequence[int]], flags: Sequence[int], times: int, *, among: Sequence[int]
) -> tuple[str, tuple[Rate, Rate], list[int]] | None:
    if len(values) < 2:  # noqa: PLR2004  # one group is all items
        return None
    here = set(among)
    found = []
    for value, positions in values.items():
        those = [position for position in positions if position in here]
        pair = view.apart(flags, those, without(among, those), gap=GROUP_GAP, times=times)
        if pair:
            found.append((value, pair, those))
    return max(found, key=lambda row: row[1][0].value or 0, default=None)


def _length(view: View) -> Iterator[Anomaly]:
    """The quarter with the longest prompts against the rest."""
    among = sorted((at for at in view.scored if view.column.prompt[at]), key=view.column.prompt.__getitem__)
    if len(among) < 4 * FEWEST:
        return
    start, middle = len(among) * 3 // 4, len(among) // 2
    limit = view.column.prompt[among[start]]
    if limit < SPREAD * view.column.prompt[among[middle]]:
        return
    those = [at for at in among if view.column.prompt[at] >= limit]
    pair = view.apart(view.failed, those, without(among, those), gap=LENGTH_GAP)
    if pair:
        what = f"prompts of {limit} tokens or more fail in {told(pair[0])}, shorter ones in {told(pair[1])}"
        yield _finding(view, "length", what, pair[0].value / 4 + 0.2)


def _drift(view: View) -> Iterator[Anomaly]:
    """The last third of the run against the first. Items come in no order, so nothing but the run tells them apart."""
    among = sorted(view.scored, key=view.column.order.__getitem__)
    third = len(among) // 3
    pair = view.apart(view.failed, among[-third:], among[:third], gap=DRIFT_GAP) if third else None
    if pair:
        what = f"the last third of the run fails in {told(pair[0])}, the first in {told(pair[1])}"
        yield _finding(view, "drift", what, pair[0].value / 3 + 0.2)


# --- what is answered --------------------------------------------------------------------------

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _chosen(view: View) -> dict[int, tuple[int, int, frozenset[int]]]:
    """Position → which choice was taken, of how many, and which are right; of items with choices in the sample."""
    chosen = {}
    for at, item in view.items.items():
        if view.column.mark[at] == NOT_SEEN:
            continue
        if item.request is not None:
            count, taken = len(item.request.continuations), view.column.choice[at]
            right = {int(gold) for gold in item.gold if gold.isdecimal()}
        elif item.question is not None and item.question.choices:
            count = len(item.question.choices)
            taken = LETTERS.find(view.values.get(view.column.value[at], "?").strip().upper()[:1] or "?")
            right = {LETTERS.find(gold.strip().upper()[:1] or "?") for gold in item.gold}
        else:
            continue
        if 0 <= taken < count:
            chosen[at] = (taken, count, frozenset(right))
    return chosen


def _letters(view: View) -> Iterator[Anomaly]:
    """A choice that is taken more often than it is right, and more often than by guessing."""
    chosen = _chosen(view)
    if len(chosen) < 2 * FEWEST:
        return
    among = list(chosen)
    for number in range(max(count for _, count, _ in chosen.values())):
        taken = flags_of(len(view.column.mark), lambda at: chosen[at][0] == number, among)  # noqa: B023  # used at once
        right = sum(number in chosen[at][2] for at in among) / len(among)
        guessed = sum(1 / chosen[at][1] for at in among) / len(among)
        rate = view.above(taken, among, max(right, guessed) + LETTER_GAP)
        if rate:
            what = f"choice {LETTERS[number % 26]} is taken in {told(rate)}, and is right in {percent(right)}"
            yield _finding(view, "position", what, rate.value - right + 0.2)


def _guessing(view: View) -> Iterator[Anomaly]:
    """Choices taken no better than by chance, or worse."""
    chosen = _chosen(view)
    if len(chosen) < 3 * FEWEST:
        return
    among = list(chosen)
    hit = flags_of(len(view.column.mark), lambda at: chosen[at][0] in chosen[at][2], among)
    chance = sum(len(right) / count for _, count, right in chosen.values()) / len(chosen)
    rate = view.rate(hit, among)
    if rate.high < chance:
        yield _finding(view, "below chance", f"right in {told(rate)}, and guessing is right in {percent(chance)}", 0.9)
    elif rate.low <= chance:
        what = f"right in {told(rate)}, which cannot be told from guessing: {percent(chance)}"
        yield _finding(view, "guessing", what, 0.7)


def _constant(view: View) -> Iterator[Anomaly]:
    """One and the same value for questions of a form that have different answers."""
    asked: dict[str, list[int]] = {}
    for at, item in view.items.items():
        if item.question is not None and not item.question.choices and view.column.value[at]:
            asked.setdefault(item.question.form, []).append(at)
    for among in asked.values() if not _harm(view) else ():
        yield from _same(view, among)


def _same(view: View, among: Sequence[int]) -> Iterator[Anomaly]:
    key, count = most_common(view.column.value[at] for at in among)
    if count < FEWEST:
        return
    text = view.values.get(key, "")
    gold = sum(text.casefold() in map(str.casefold, view.items[at].gold) for at in among) / len(among)
    same = flags_of(len(view.column.mark), lambda at: view.column.value[at] == key, among)
    if rate := view.above(same, among, gold + VALUE_GAP):
        what = f"the same answer, {text[:40]!r}, in {told(rate)}; it is right in {percent(gold)}"
        yield _finding(view, "constant", what, rate.value - gold + 0.2)


def _shortest(view: View) -> Iterator[Anomaly]:
    """Wrong continuations that were best, and were the shortest."""
    among = [at for at in view.scored if view.failed[at] and view.column.choice[at] != NOT_SEEN]
    if rate := view.above(view.column.shortest, among, SHORTEST):
        what = f"the continuation of fewest tokens is best in {told(rate)} wrong ones: the rule may favour short ones"
        yield _finding(view, "shortest", what, len(among) / len(view.seen) + 0.1)


def _ties(view: View) -> Iterator[Anomaly]:
    if view.table.entry["kind"] != "score":
        return
    tied = flags_of(len(view.column.mark), lambda at: view.column.choice[at] == NOT_SEEN, view.scored)
    if rate := view.above(tied, view.scored, TIES):
        yield _finding(view, "ties", f"several continuations are equally likely: {told(rate)}", rate.value)


DETECTORS: tuple[Detector, ...] = (
    _endings,
    _cut,
    _guard_errors,
    _unscored,
    _missing,
    _kept,
    _groups,
    _length,
    _drift,
    _letters,
    _guessing,
    _constant,
    _shortest,
    _ties,
)


# --- one arm against another -------------------------------------------------------------------


def _arms(table: Table, views: Sequence[View]) -> Iterator[Anomaly]:
    """Arms that do worse than another on the same items; of each, against the one that it loses most to."""
    pairs = list(combinations(views, 2))
    lost: dict[str, Anomaly] = {}
    for a, b in pairs:
        among = sorted({*a.scored} & {*b.scored})
        for worse, better in ((a, b), (b, a)):
            finding = _loses(table, worse, better, among, len(pairs))
            if finding and finding.weight > getattr(lost.get(worse.subject), "weight", 0):
                lost[worse.subject] = finding
    yield from lost.values()


def _loses(table: Table, worse: View, better: View, among: Sequence[int], times: int) -> Anomaly | None:
    gap = share(worse.failed, among) - share(better.failed, among)
    if len(among) < 2 * FEWEST or gap < ARM_GAP:
        return None
    losses: Counter[str | int] = Counter()
    for at in among:
        losses[table.clusters[at] or at] += worse.failed[at] - better.failed[at]
    if sign_test(losses.values()) * times > PAIRS_P:
        return None
    return _finding(worse, "arm", f"fails in {percent(gap)} more items than {better.subject}", gap)


def sign_test(differences: Iterable[int | float]) -> float:
    """Probability that at least so many differences are above 0 by chance, of those that are not 0; one-sided."""
    signs = [difference > 0 for difference in differences if difference]
    n, above = len(signs), sum(signs)
    if n > 2000:  # noqa: PLR2004  # beyond that the sum is slow and the normal approximation as good
        from statistics import NormalDist  # noqa: PLC0415  # rarely needed

        return 1 - NormalDist(n / 2, (n / 4) ** 0.5).cdf(above - 0.5)
    return float(sum(comb(n, k) for k in range(above, n + 1)) / 2**n)
