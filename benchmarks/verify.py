"""How long `verify` takes on a large bundle, and how much memory: a synthetic run of short answers, sealed for real."""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from orca_guard.freezing import Planned, item_lines
from orca_guard.identity import digest_bytes, digest_of
from orca_guard.items import ACCURACY, Item, metric_json
from orca_guard.journal.bundle import Bundle
from orca_guard.journal.shard import Shard
from orca_guard.journal.texts import Texts
from orca_guard.journal.units import Unit, schedule_of
from orca_guard.reading import final_answer, read
from orca_guard.recording import question_record, score_record
from orca_guard.scoring import Rules
from orca_guard.sealing import seal
from orca_guard.types import (
    Action,
    Answer,
    Generation,
    Likelihood,
    Message,
    Pass,
    Question,
    Score,
    Scores,
    Segment,
    Verdict,
)

UNIT = 256
WORDS = ("river", "stone", "light", "seven", "because", "answer", "under", "green", "slowly", "market", "of", "house")
RULES = Rules("match-folded", (ACCURACY,))


def main() -> None:
    """Make the bundle if it is not there, verify it in a process of its own, and say what that took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--folder", type=Path, default=Path("build/verify"), help="where the bundle is made and kept")
    parser.add_argument("--again", action="store_true", help="make the bundle anew")
    options = parser.parse_args()
    folder = options.folder / str(options.records)
    if options.again:
        shutil.rmtree(folder, ignore_errors=True)
    if not (folder / "seal.json").exists():
        started = time.perf_counter()
        make(Bundle(folder), options.records)
        print(f"made in {time.perf_counter() - started:.0f} s")
    size = sum(path.stat().st_size for path in folder.iterdir())
    started = time.perf_counter()
    ended = subprocess.run([str(Path(sys.executable).parent / "orca-guard"), "verify", str(folder)], check=False)
    seconds = time.perf_counter() - started
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{options.records} records in {size / 2**20:.0f} MiB, exit {ended.returncode}")
    print(f"{seconds:.1f} s, {most:.0f} MiB of memory")


def make(bundle: Bundle, records: int) -> None:
    """Two fifths of the records are likelihoods of one model, the others answers of two arms."""
    questions = [_question(n) for n in range(records * 3 // 10)]
    requests = [_request(n) for n in range(records - 2 * len(questions))]
    planned = [_planned("questions", questions), _planned("requests", requests)]
    lines = item_lines(planned)
    model = {"kind": "synthetic"}
    arms = {f"arm-{n}": {"model": model, "number": n} for n in range(2)}
    plan: dict[str, Any] = {
        "format": 1,
        "name": "synthetic",
        "nonce": "",
        "seed": 0,
        "unit": UNIT,
        "code": {"version": "0", "digest": digest_of("code")},
        "arms": [{"name": n, "pipeline": digest_of(i), "model": "model", "identity": i} for n, i in arms.items()],
        "models": [{"name": "model", "digest": digest_of(model), "identity": model}],
        "benchmarks": [p.entry for p in planned],
        "absent": [],
        "items": {"count": len(questions) + len(requests), "digest": digest_bytes(lines)},
        "gates": [],
        "requires": [],
        "records": records,
    }
    digest = bundle.begin(plan, lines)
    schedule = schedule_of(plan, bundle.read_items(plan))
    items = [*questions, *requests]
    names = {row["name"]: row.get("pipeline") or row["digest"] for row in (*plan["arms"], *plan["models"])}
    with (
        Texts(bundle.texts(0), secret=bytes(32), plan=digest) as texts,
        Shard(bundle.journal(0), plan=digest, rank=0, world=1, sizes=schedule.sizes()) as shard,
    ):
        for unit in schedule.units:
            recorded = list(_records(unit, items, names, texts))
            texts.flush()
            shard.write(unit.number, recorded)
    seal(bundle)


def _planned(name: str, items: list[Item]) -> Planned:
    kind = items[0].kind
    items.sort(key=lambda item: digest_of([0, item.id]))
    entry = {
        "name": name,
        "version": "1",
        "plugin": {"distribution": "none", "version": "0", "digest": digest_of("plugin")},
        "kind": kind,
        "scoring": RULES.scoring if kind == "question" else "likelihood",
        "metrics": [metric_json(ACCURACY)],
        "data": {},
        "items": len(items),
        "not_covered": [],
    }
    return Planned(entry=entry, metrics=RULES.metrics, items=tuple(items))


def _question(number: int) -> Item:
    rng = random.Random(number)  # noqa: S311  # nothing is hidden
    form: Any = ("letter", "number", "span", "free")[number % 4]
    choices = tuple(f"{_prose(rng, 4)} {n}" for n in range(4)) if form == "letter" else ()
    question = Question(messages=(Message("user", _prose(rng, 60)),), choices=choices, form=form, id=f"q-{number}")
    gold = {"letter": "B", "number": "42"}.get(form, "a green stone")
    return Item(id=f"q-{number}", question=question, gold=(gold,), cluster=f"passage {number // 5}")


def _request(number: int) -> Item:
    rng = random.Random(number)  # noqa: S311  # as above
    request = Score(context=_prose(rng, 40), continuations=tuple(f" {_prose(rng, 5)}" for _ in range(4)))
    return Item(id=f"r-{number}", request=request, gold=(str(number % 4),))


def _prose(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(WORDS, k=words))


def _records(unit: Unit, items: list[Item], names: dict[str, str], texts: Texts) -> Iterator[dict[str, Any]]:
    for item in items[unit.start : unit.stop]:
        for subject in unit.subjects:
            rng = random.Random(f"{item.id} {subject}")  # noqa: S311  # as above
            made = _answered(item, rng, texts) if item.question else _rated(item, rng, texts)
            yield {"benchmark": unit.benchmark, "subject": subject, "identity": names[subject], **made}


def _answered(item: Item, rng: random.Random, texts: Texts) -> dict[str, Any]:
    assert item.question is not None, "an item of questions"
    said = {"letter": "ABCD", "number": ("42", "17")}.get(item.question.form, ("a green stone", "the river"))
    text = f"{_prose(rng, 50)}.\nAnswer: {rng.choice(said)}"
    segment = Segment(text=text, answer=final_answer(text))
    found = read(segment, item.question.form, choices=item.question.choices)
    prompt = f"<|user|>\n{item.question.prompt}\n<|assistant|>\n"
    generation = Generation(text=text, prompt=prompt, prompt_tokens=80, new_tokens=60)
    step = Pass(name="answer", strategy="direct", messages=(), generation=generation)
    answer = Answer(
        id=item.id,
        action=Action.ALLOW,
        segment=segment,
        outcome=found.outcome,
        value=found.value,
        strategy="direct",
        verdicts=tuple(Verdict(action=Action.ALLOW, guard=f"guard-{n}", part="answer") for n in range(3)),
        tokens=(80, 60),
        seconds=0.5,
    )
    case: Any = SimpleNamespace(passes=(step,), attempts=(SimpleNamespace(action=Action.ALLOW),))
    return question_record(item, answer, case, rules=RULES, address=texts.add)


def _rated(item: Item, rng: random.Random, texts: Texts) -> dict[str, Any]:
    rows = tuple(Likelihood(logprob=-10 * rng.random(), tokens=5, greedy=False) for _ in range(4))
    return score_record(item, Scores(likelihoods=rows), rules=Rules("likelihood", (ACCURACY,)), address=texts.add)


if __name__ == "__main__":
    main()
