"""What is fixed before anything is trained: seeds, budgets, splits, the rule of choice and the contrasts."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Final

from orca_guard_nano.recipe.items import ARITHMETIC, CHOICE, COMPOSITIONS, FACTS, READING
from orca_guard_nano.recipe.messages import EXPLICIT

CATEGORIES: Final = (ARITHMETIC, FACTS, COMPOSITIONS, READING, CHOICE)
ANSWERS, KEPT, ERASED, RANDOM, SINGLE = "answers only", "messages kept", "erased", "random, erased", "single, erased"
ARMS: Final = (ANSWERS, KEPT, ERASED, RANDOM, SINGLE)
KNOWN, UNSEEN = "known", "unseen"
SPLITS: Final = (KNOWN, UNSEEN)
MEASURES: Final = ("right", "tokens")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that decides what the experiment does and how it is read."""

    seeds: tuple[int, ...] = (101, 102, 103, 104, 105)
    size: str = "small"
    vocabulary: int = 3072
    batch: int = 4096
    base_tokens: int = 24_000_000
    arm_tokens: int = 4_500_000
    base_rates: tuple[float, float] = (0.01, 0.003)
    arm_rates: tuple[float, float] = (0.004, 0.001)
    cautious_share: float = 0.5
    drills: float = 0.35
    # Of the strategies within this much of the most accurate one, the cheapest is best.
    tolerance: float = 0.01
    selection: int = 240
    test: int = 240
    steering: int = 40
    draws: int = 10_000
    longest: int = 200

    @property
    def contrasts(self) -> tuple[tuple[str, str, str, str], ...]:
        """Measure, split, and the two arms whose difference is taken."""
        others = tuple(arm for arm in ARMS if arm != ERASED)
        return tuple((m, split, ERASED, other) for m in MEASURES for split in SPLITS for other in others)

    def random_assignment(self, seed: int) -> dict[str, str]:
        """A strategy for each category, drawn blindly."""
        rng = Random(f"assignment {seed}")
        return {category: rng.choice(EXPLICIT) for category in CATEGORIES}

    def text(self) -> str:
        """Everything above in one canonical form."""
        drawn = {str(seed): self.random_assignment(seed) for seed in self.seeds}
        whole = {**asdict(self), "arms": ARMS, "contrasts": self.contrasts, "random": drawn, "categories": CATEGORIES}
        return json.dumps(whole, sort_keys=True, indent=1) + "\n"

    @property
    def digest(self) -> str:
        """sha256 of the text."""
        return hashlib.sha256(self.text().encode()).hexdigest()


def settle(plan: Plan, out: Path) -> None:
    """Write the plan down before training, or refuse to go on under another one."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "plan.json"
    if path.exists() and path.read_text("utf-8") != plan.text():
        raise SystemExit(f"{path} holds another plan: give a new folder, or the options that this one was begun with")
    path.write_text(plan.text(), "utf-8")
    (out / "plan.sha256").write_text(f"{plan.digest}  plan.json\n", "utf-8")


def small(plan: Plan) -> Plan:
    """The same in miniature, to see that everything holds together."""
    return replace(
        plan, seeds=plan.seeds[:2], size="tiny", vocabulary=1024, batch=2048, base_tokens=30_000, arm_tokens=8_000,
        selection=4, test=4, steering=2, draws=200, longest=40,
    )  # fmt: skip
