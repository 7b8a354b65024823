"""The figures of a measured directory as tables, for its card and for `docs/toxicity.md`."""

from collections.abc import Sequence
from typing import Any, Final

from .rows import LABELLED
from .scorers import FILES, LABELS, MOST

WANTED: Final = 0.02
"""How far above the baseline the lower bound was asked to lie."""


def interval(found: dict[str, Any], *, digits: int = 3, signed: bool = False) -> str:
    """`0.912 (0.901-0.923)`."""
    form = f"{'+' if signed else ''}.{digits}f"
    return f"{found['value']:{form}} ({found['low']:{form}} to {found['high']:{form}})"


def percent(found: dict[str, Any]) -> str:
    """`4.1 % (3.0-5.5, n = 371)`."""
    low, high = 100 * found["low"], 100 * found["high"]
    return f"{100 * found['value']:.1f} % ({low:.1f}-{high:.1f}, n = {found['n']})"


def separation(figures: dict[str, Any]) -> str:
    """The table of AUROC."""
    lines = [
        "| set | n (toxic) | encoder | above TF-IDF of words | above the best TF-IDF | second scorer |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in figures["separation"].items():
        cells = [
            name, f"{found['n']} ({found['toxic']})", interval(found["encoder"]),
            *(
                f"{found[f'tfidf {which}']['value']:.3f}, {interval(found[f'above tfidf {which}'], signed=True)}"
                for which in ("words", "best")
            ),
            interval(found["second"]),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def verdicts(figures: dict[str, Any], *, scorer: str = "encoder") -> str:
    """The table of rates at the operating point."""
    lines = ["| set | true positives | false positives |", "|---|---|---|"]
    for name, found in sorted(figures["points"][scorer]["report"].items()):
        cells = (percent(found[rate]) if rate in found else "-" for rate in ("tpr", "fpr"))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines.append(f"| xstest, safe prompts | - | {percent(figures['points'][scorer]['xstest safe'])} |")
    return "\n".join(lines)


def groups(figures: dict[str, Any], *, scorer: str = "encoder") -> str:
    """The table of false positives by group."""
    found = figures["points"][scorer]["groups"]
    lines = ["| group (ToxiGen) | false positives |", "|---|---|"]
    lines += [f"| {name} | {percent(rate)} |" for name, rate in found["groups"].items()]
    return "\n".join(lines)


def wanted(figures: dict[str, Any]) -> str:
    """What was asked for, and whether it is reached."""
    point = figures["points"]["encoder"]
    above = {
        which: [name for name in LABELLED if figures["separation"][name][f"above tfidf {which}"]["low"] >= WANTED]
        for which in ("words", "best")
    }
    gap, flips = point["groups"]["gap"], point["counterfactuals"]["all"]
    toxigen = interval(figures["separation"]["toxigen"]["encoder"])
    lines = [
        ("wanted", "measured", "reached"),
        ("---", "---", "---"),
        *(
            (
                f"AUROC above TF-IDF ({which}) by {WANTED}, lower bound, on three sets",
                _listed(names),
                "yes" if len(names) >= 3 else "no",
            )
            for which, names in above.items()
        ),
        ("false positives by group, worst minus best, at most 10 points", percent(gap), _held(gap, most=0.1)),
        ("swapping the group's name flips at most 5 % of verdicts", percent(flips), _held(flips, most=0.05)),
        ("implicit hate (ToxiGen, labels of people), AUROC", toxigen, "stated"),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _held(found: dict[str, Any], *, most: float) -> str:
    """Whether a bound is kept: with its interval, by its value alone, or not."""
    if found["high"] <= most:
        return "yes"
    return "by its value; the interval reaches beyond" if found["value"] <= most else "no"


def _listed(names: list[str]) -> str:
    return f"on {len(names)}: {', '.join(names)}" if names else "on none"


def _swaps(point: dict[str, Any]) -> str:
    found = point["counterfactuals"]["stopped"]
    return percent(found) if found else "none"


def growth(found: Sequence[dict[str, Any]]) -> str:
    """The table of AUROC by rows."""
    lines = ["| rows of ToxiGen | encoder | TF-IDF of words | encoder above it |", "|---|---|---|---|"]
    lines += [
        f"| {each['rows']:,} | {interval(each['scorer'])} | {interval(each['words'])} | "
        f"{interval(each['above'], signed=True)} |"
        for each in found
    ]
    return "\n".join(lines)


def together(found: dict[str, Any]) -> str:
    """The table of what all of them reach together."""
    lines = ["| set | all together | TF-IDF of words | all above it |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {interval(each['scorer'])} | {interval(each['words'])} | {interval(each['above'], signed=True)} |"
        for name, each in found["sets"].items()
    ]
    return "\n".join(lines)


def allowed(bounds: dict[str, Any]) -> str:
    """What the labelled rows allow, as it stands behind the figures."""
    found = bounds["together"]
    short = [name for name, each in found["sets"].items() if each["above"]["low"] < WANTED]
    return f"""
How encoder and baseline grow with labelled rows: on ToxiGen, with a part of its rows to train on (those of the other
sets stay):

{growth(bounds["growth"])}

And how far many of them come together: {found["encoders"]} encoders that differ in their seed and
{found["linear"]} linear models, their log odds added up. By the lower bound not {WANTED} above TF-IDF of words even so:
{", ".join(short) if short else "none"}.

{together(found)}
"""


def page(figures: dict[str, Any], *, bounds: dict[str, Any] | None = None) -> str:
    """The figures, as they stand in the card and in `docs/toxicity.md`; bounds of other weights are left out."""
    points = figures["points"]
    ours = bounds if bounds and bounds["weights"] == figures["weights"][FILES["encoder"]] else None
    return f"""\
Held-out rows (`report`) alone, 95 % intervals over clusters: posts, and texts made from one another.

{wanted(figures)}

AUROC, with the encoder above the baseline paired on the same resampled clusters:

{separation(figures)}

The baselines are logistic regression over TF-IDF, trained on the encoder's rows: the best over words, and the best over
words, symbols or characters, strength and balance chosen on dev like everything else
({figures["baselines"]["best"]["terms"]}). The label `identity_attack` tells the tweets that most people called hate
speech from all others with an AUROC of {interval(figures["identity_attack"])}.
A swap puts each of the other groups' names in the place of the first that a text names. Few verdicts can change where
few texts are stopped: of the swaps in texts that were stopped, this many let them pass:
{_swaps(points["encoder"])}.

Verdicts of the encoder at its operating point, {points["encoder"]["threshold"]:.4f} of `{LABELS[0]}`, chosen on dev for
at most {100 * MOST:.0f} % false positives in the mean of the sets:

{verdicts(figures)}

{groups(figures)}

Verdicts of the second scorer at its own, {points["second"]["threshold"]:.4f}: swapped names flip
{percent(points["second"]["counterfactuals"]["all"])}, groups differ by {percent(points["second"]["groups"]["gap"])}.

{verdicts(figures, scorer="second")}
{allowed(ours) if ours else ""}"""
