"""The documents of the base and of the arms, and the items that measure them."""

import hashlib
import re
from collections.abc import Mapping
from random import Random
from typing import Final

from orca_guard_nano.recipe import forms, mixture
from orca_guard_nano.recipe.items import Item, normal
from orca_guard_nano.recipe.messages import CAUTIOUS, DIRECT, EXPLICIT, SYSTEM
from orca_guard_nano.recipe.mixture import Document, render

from . import rich
from .plan import ANSWERS, ARMS, CATEGORIES, ERASED, KEPT, RANDOM, SINGLE, UNSEEN

SELECTION: Final = "selection"
_INVENTED: Final = re.compile(r"\b(noun|verb|place)-.*?(?=( back)? *\d+\*?\*?$)")


def _drawn(rng: Random) -> Item:
    category = rng.choices(CATEGORIES, [mixture.WEIGHTS[c] for c in CATEGORIES])[0]
    return mixture.fresh(rng, category=category)


def _said(item: Item, whole: str, *, message: str, strategy: str) -> Document:
    return render(SYSTEM[message], [forms.Turn(whole, rich.reply(item, strategy=strategy))])


def base_document(rng: Random, *, drills: float) -> Document:
    """Any question under any strategy's own message; the cautious message is never seen."""
    if rng.random() < drills:
        return rng.choice(mixture.DRILLS)(rng)
    item, whole, _ = forms.presented(_drawn(rng), rng)
    strategy = rng.choice(EXPLICIT)
    return _said(item, whole, message=strategy, strategy=strategy)


def arm_documents(rng: Random, *, best: Mapping[str, str], blind: Mapping[str, str], single: str,
                  share: float) -> tuple[Document, ...]:  # fmt: skip
    """One question for every arm, in the order of ARMS.

    Erased and kept write the same answer to the same question, a measured one or a mixed one. Erased puts the cautious
    message over the measured ones, kept over the mixed ones: they differ in what stands above an answer, no more.
    """
    item, whole, _ = forms.presented(_drawn(rng), rng)
    mixed, measured = rng.choice(EXPLICIT), best[item.category]
    practice = _said(item, whole, message=mixed, strategy=mixed)
    erase = rng.random() < share

    def erased(strategy: str) -> Document:
        return _said(item, whole, message=CAUTIOUS, strategy=strategy) if erase else practice

    made = {
        ANSWERS: _said(item, whole, message=CAUTIOUS, strategy=DIRECT),
        KEPT: _said(item, whole, message=measured, strategy=measured)
        if erase
        else _said(item, whole, message=CAUTIOUS, strategy=mixed),
        ERASED: erased(measured),
        RANDOM: erased(blind[item.category]),
        SINGLE: erased(single),
    }
    return tuple(made[arm] for arm in ARMS)


def for_selection(item: Item) -> bool:
    """Which half of the held-out items chooses the strategies; the other half tests."""
    digest = hashlib.sha1(normal(item.key or item.question).encode(), usedforsecurity=False).digest()
    return digest[1] % 2 == 0


def sample(seed: int, *, split: str, category: str, count: int) -> list[tuple[Item, str]]:
    """Items as they are asked, of the selection half, of the test half, or of templates never trained on."""
    rng = Random(f"{split} {category} {seed}")
    found: list[tuple[Item, str]] = []
    while len(found) < count:
        item = mixture.fresh(rng, category=category, unseen=split == UNSEEN, test=True)
        if split == UNSEEN or for_selection(item) == (split == SELECTION):
            shown, whole, _ = forms.presented(item, rng)
            found.append((shown, whole))
    return found


def template(item: Item) -> str:
    """The cluster an item belongs to: its template, with relations made up on the spot taken together."""
    return " ".join(_INVENTED.sub(r"\1", item.template).split())
