"""Choose the operating point on dev and measure on report: `python -m orca_guard_toxicity.recipe.evaluate DATA DIR`."""

import argparse
import csv
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from orca_guard.identity import digest_file
from orca_guard.stats import Aggregator, Estimate, Sample, gap, mean
from orca_guard_toxicity.ngrams import Ngrams

from . import rows as labelled
from . import terms
from .linear import ANALYSERS, BALANCES, STRENGTHS, Array, Scores, tfidf
from .measures import auroc, compared, interval, resampled, threshold
from .rows import DAVIDSON, LABELLED, Row
from .scorers import FILES, LABELS, MOST

STRIDE: Final = 32
SEED: Final = 7
SWAPPED: Final = 500
"""Rows that name a group, and whose counterfactuals are looked at: the first by their digests."""
SPEED_TEXTS: Final = 200


def encoder(directory: Path, *, size: int = 64) -> Scores:
    """A directory → probabilities [texts, labels], the highest over windows where a text is long."""
    tokenizer: Any = AutoTokenizer.from_pretrained(directory)
    model: Any = AutoModelForSequenceClassification.from_pretrained(directory, dtype=torch.float32)
    model.eval()

    def _rate(texts: Sequence[str]) -> Array:
        scores = np.zeros((len(texts), len(LABELS)))
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        for start in range(0, len(order), size):
            places = order[start : start + size]
            found = tokenizer(
                [texts[place] for place in places], truncation=True, stride=STRIDE, return_overflowing_tokens=True,
                padding=True, return_tensors="pt",
            )  # fmt: skip
            owners = found.pop("overflow_to_sample_mapping").tolist()
            with torch.inference_mode():
                rated = model(**found).logits.sigmoid().double().numpy()
            np.maximum.at(scores, [places[owner] for owner in owners], rated)
        return scores

    return _rate


def chosen_baselines(train: Sequence[Row], *, dev: Sequence[Row]) -> dict[str, tuple[dict[str, Any], Scores]]:
    """The best TF-IDF model over words, and the best of any terms, by the mean AUROC of the sets on dev."""
    found: list[tuple[float, dict[str, Any], Scores]] = []
    for name, strength, balance in product(ANALYSERS, STRENGTHS, BALANCES):
        settings = {"terms": name, "strength": strength, "balance": balance}
        model = tfidf(train, terms=name, strength=strength, balance=balance)
        found.append((_mean_auroc(model([row.text for row in dev]), dev), settings, model))
    words = max((each for each in found if each[1]["terms"] == "words"), key=lambda each: each[0])
    best = max(found, key=lambda each: each[0])
    return {"words": words[1:], "best": best[1:]}


def _mean_auroc(scores: Array, rows: Sequence[Row]) -> float:
    return float(np.mean([auroc(scores[at], _toxic(rows)[at]) for at in (_of(rows, name) for name in LABELLED)]))


def _toxic(rows: Sequence[Row]) -> Array:
    return np.array([row.toxic for row in rows])


def _of(rows: Sequence[Row], source: str) -> Array:
    return np.array([row.source == source for row in rows])


def separation(scores: dict[str, Array], rows: Sequence[Row]) -> dict[str, Any]:
    """AUROC of every scorer on every set, and of the encoder above each other one, paired on resampled clusters."""
    found = {}
    for source in LABELLED:
        here = _of(rows, source)
        mine = [row for row in rows if row.source == source]
        counts = {"n": len(mine), "toxic": sum(row.toxic for row in mine)}
        found[source] = counts | _separation({name: each[here] for name, each in scores.items()}, mine)
    return found


def _separation(scores: dict[str, Array], rows: Sequence[Row]) -> dict[str, Any]:
    draws = resampled([row.cluster for row in rows], seed=SEED)
    found: dict[str, Any] = {}
    for name in [name for name in scores if name != "encoder"]:
        first, second, above = compared(scores["encoder"], scores[name], toxic=_toxic(rows), draws=draws)
        found |= {"encoder": asdict(first), name: asdict(second), f"above {name}": asdict(above)}
    return found


def operating_point(scores: Array, rows: Sequence[Row], *, most: float = MOST) -> float:
    """The threshold for the bound, on harmless rows of the labelled sets, every set counted alike."""
    harmless = [place for place, row in enumerate(rows) if not row.toxic and row.source in LABELLED]
    counts = {source: sum(rows[place].source == source for place in harmless) for source in LABELLED}
    weights = np.array([1 / counts[rows[place].source] for place in harmless])
    return threshold(scores[harmless], weights=weights, most=most)


def rates(scores: Array, rows: Sequence[Row], *, at: float) -> dict[str, Any]:
    """True and false positive rates of every set, with cluster-robust intervals."""
    found: dict[str, dict[str, list[tuple[bool, str]]]] = {}
    for score, row in zip(scores, rows, strict=True):
        kinds = found.setdefault(row.source, {})
        kinds.setdefault("tpr" if row.toxic else "fpr", []).append((bool(score >= at), row.cluster))
    return {source: {rate: share(hits) for rate, hits in kinds.items()} for source, kinds in found.items()}


def share(hits: Iterable[tuple[bool, str]], *, classes: Sequence[str] = (), by: Aggregator = mean) -> dict[str, Any]:
    """A share of clustered hits with its interval."""
    scores, clusters = zip(*hits, strict=True)
    return _estimate(by(Sample(scores=[float(hit) for hit in scores], clusters=clusters, classes=classes)))


def _estimate(found: Estimate) -> dict[str, Any]:
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n, "clusters": found.clusters}


def point(score: Scores, *, dev: Sequence[Row], held: Sequence[Row], harmless: Sequence[str]) -> dict[str, Any]:
    """A scorer's threshold, and what verdicts at it are worth."""
    chosen, scores = score([row.text for row in dev]), score([row.text for row in held])
    at = operating_point(chosen, dev)
    return {
        "threshold": at,
        "dev": rates(chosen, dev, at=at),
        "report": rates(scores, held, at=at),
        "groups": by_group(scores, held, at=at),
        "counterfactuals": counterfactuals(score, held, at=at),
        "xstest safe": share([(bool(s >= at), text) for s, text in zip(score(harmless), harmless, strict=True)]),
    }


def by_group(scores: Array, rows: Sequence[Row], *, at: float) -> dict[str, Any]:
    """False positive rates of ToxiGen's groups, and worst minus best."""
    found = [
        (bool(s >= at), row.cluster, row.group)
        for s, row in zip(scores, rows, strict=True)
        if row.group and not row.toxic
    ]
    names = sorted({group for *_, group in found})
    return {
        "groups": {name: share([(hit, cluster) for hit, cluster, group in found if group == name]) for name in names},
        "gap": share([each[:2] for each in found], classes=[group for *_, group in found], by=gap),
    }


def counterfactuals(score: Scores, rows: Sequence[Row], *, at: float) -> dict[str, Any]:
    """How often a verdict changes when the first group that a text names is put in another's place.

    Over all texts that name one, and over those that were stopped as they stood.
    """
    named = [row for row in rows if row.source in LABELLED and terms.mentioned(row.text)]
    named = sorted(named, key=lambda row: labelled.digest([row]))[:SWAPPED]
    first = [terms.mentioned(row.text)[0] for row in named]
    before = score([row.text for row in named]) >= at
    flips: list[tuple[bool, str, bool]] = []
    for new in terms.GROUPS:
        after = score([terms.swapped(row.text, old=old, new=new) for row, old in zip(named, first, strict=True)]) >= at
        flips += [
            (bool(a != b), row.cluster, bool(b))
            for a, b, row, old in zip(after, before, named, first, strict=True)
            if old != new
        ]
    stopped = [flip[:2] for flip in flips if flip[2]]
    return {"all": share([flip[:2] for flip in flips]), "stopped": share(stopped) if stopped else None}


def safe_prompts(data: Path) -> list[str]:
    """The safe prompts of XSTest, which is for evaluation only."""
    with (data / "xstest" / "xstest_prompts.csv").open(encoding="utf-8", newline="") as lines:
        return [row["prompt"] for row in csv.DictReader(lines) if row["label"] == "safe"]


def attack(scores: Array, rows: Sequence[Row]) -> dict[str, Any]:
    """AUROC of the second label: tweets called hate speech by most people, against all other tweets."""
    places = [place for place, row in enumerate(rows) if row.source == DAVIDSON]
    kinds = np.array([(rows[place].attack or 0.0) > 0.5 for place in places])
    draws = resampled([rows[place].cluster for place in places], seed=SEED)
    held = scores[places]
    return asdict(interval(lambda weights: auroc(held, kinds, weights=weights), draws=draws))


def speed(score: Scores, texts: Sequence[str]) -> float:
    """Texts a second, one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    score(texts[:32])
    begun = time.process_time()
    score(texts)
    torch.set_num_threads(threads)
    return len(texts) / (time.process_time() - begun)


def report(data: Path, directory: Path, *, rows: Sequence[Row]) -> dict[str, Any]:
    """Everything that the card states. Only thresholds and the baselines' settings come from dev."""
    rate, second = encoder(directory), Ngrams.load(directory / FILES["second"])
    scorers: dict[str, Scores] = {
        "encoder": lambda texts: np.asarray(rate(texts)[:, 0]),
        "second": lambda texts: np.array(second.score(texts)),
    }
    dev, held = labelled.choosing(rows), labelled.reporting(rows)
    baselines = chosen_baselines([row for row in labelled.training(rows) if row.fold], dev=dev)
    texts = [row.text for row in held]
    scores = {name: score(texts) for name, score in scorers.items()}
    linear = {f"tfidf {name}": model(texts) for name, (_, model) in baselines.items()}
    return {
        "weights": {file: digest_file(directory / file, fresh=True) for file in FILES.values()},
        "rows": {part: labelled.described(found) for part, found in (("dev", dev), ("report", held))},
        "baselines": {name: settings for name, (settings, _) in baselines.items()},
        "separation": separation({**scores, **linear}, held),
        "identity_attack": attack(np.asarray(rate(texts)[:, 1]), held),
        "points": {
            name: point(score, dev=dev, held=held, harmless=safe_prompts(data)) for name, score in scorers.items()
        },
        "texts_per_second": round(speed(scorers["encoder"], texts[:SPEED_TEXTS])),
    }  # fmt: skip


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=labelled.folder)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    found = report(arguments.data, arguments.directory, rows=labelled.read(arguments.data))
    (arguments.directory / "figures.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
