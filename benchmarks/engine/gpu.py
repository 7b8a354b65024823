"""Measures the engine on a GPU beside its peers, on a model of Orca 2's shape: `python -m benchmarks.engine.gpu`.

The model has random weights, made under a seed in the GPU's memory; it speaks the tokenizer of the CPU benchmark. What
is needed of published data is made where the data are (`--prepare`), and can be carried in one folder to the GPU.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import torch
import transformers

from benchmarks.engine import gpu_peers
from benchmarks.engine.agreement import agreement_of_scores
from benchmarks.engine.gpu_table import PAGE_MARKS, RESULTS, conditions, markdown
from benchmarks.engine.models import MODELS, write_llama
from benchmarks.engine.rows import SEED
from benchmarks.engine.table import written_into
from benchmarks.engine.work import gpu_rows
from orca_guard.contracts import ModelSpec
from orca_guard.types import Decoding, Generate, Message, Request, Score
from orca_guard_hf import profiles
from orca_guard_hf.classify import Classifiers
from orca_guard_hf.growing import Limits
from orca_guard_hf.loader import HuggingFace
from orca_guard_hf.model import HFModel
from orca_guard_hf.network import Network
from orca_guard_hf.prompting import Prompter
from orca_guard_hf.scoring import fitted

ROOT = Path(__file__).parents[2]
SHAPE = {
    "vocab_size": 32_003,
    "hidden_size": 4096,
    "intermediate_size": 11_008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 4096,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}
"""Orca 2 7B's."""
SLOTS = 64
MANY = 128
"""Answers that are written side by side."""
ALONE = 128
"""Tokens of an answer that is written alone."""


def main() -> None:
    """Prepare, or measure and write down."""
    options = _options()
    folder = options.folder / "gpu"
    if options.prepare or not (folder / "rows.json").exists():
        gpu_rows(options.folder, options.data, folder)
    if options.prepare:
        return
    if not torch.cuda.is_available():
        sys.exit("There is no CUDA device here. With --prepare the rows are made, to be measured where there is one.")
    found = measured(folder, options)
    print(markdown(found))
    if options.write:
        written_into(ROOT / "docs/performance.md", PAGE_MARKS, markdown(found))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine.gpu", description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "build/bench", help="where models and rows are kept")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data", help="folder of the benchmarks' data")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", metavar="REGEX", help="of a work's name")
    parser.add_argument("--prepare", action="store_true", help="make the rows, which needs no GPU, and no more")
    parser.add_argument("--small", action="store_true", help="two layers, few rows: whether it runs, not how fast")
    parser.add_argument("--out", type=Path, help="another file for the results")
    parser.add_argument("--write", action="store_true", help="into docs/performance.md too")
    return parser.parse_args()


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What the device was seen to do: FLOP/s of a product of matrices, bytes/s read and written by a copy."""

    flops: float
    bytes: float


@dataclass(frozen=True, slots=True)
class Subject:
    """The model, as the engine and as its peers see it."""

    ours: HFModel
    model: Any
    tokenizer: Any
    layers: int
    """Weights in the layers."""
    head: int
    """Weights of the output layer."""


def measured(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Everything, as it is written down; it is written after every work."""
    rounds, small = options.rounds, options.small
    ceilings = _ceilings()
    rows = json.loads((folder / "rows.json").read_text("utf-8"))
    subject = _subject(folder, layers=2 if small else 32)
    if small:
        rows = {name: some[:12] for name, some in rows.items()}
    results: list[dict[str, Any]] = []
    failed: list[str] = []
    where = conditions(ceilings.flops, ceilings.bytes, rounds)
    results += _others(options, where)
    found = {"conditions": where, "results": results}
    for name, work in _works(subject, rows, ceilings, rounds).items():
        if not re.search(options.only, name):
            continue
        try:
            results.append({"work": name} | work())
        except Exception:  # noqa: BLE001  # what else there is to measure is worth having
            failed.append(name)
            traceback.print_exc()
            continue
        (options.out or RESULTS).write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        print(json.dumps(results[-1]), flush=True)
        gc.collect()
        torch.cuda.empty_cache()
    if failed:
        print(f"Not measured, because they failed: {', '.join(failed)}.", file=sys.stderr)
    return found


def _others(options: argparse.Namespace, where: dict[str, Any]) -> list[dict[str, Any]]:
    """What a call for other works has measured on such a device with these versions, which stays."""
    path = options.out or RESULTS
    if not options.only or not path.exists():
        return []
    before = json.loads(path.read_text("utf-8"))
    same = all(before["conditions"][name] == where[name] for name in ("date", "device", "packages"))
    return [one for one in before["results"] if same and not re.search(options.only, one["work"])]


def _works(
    subject: Subject, rows: dict[str, Any], ceilings: Ceilings, rounds: int
) -> dict[str, Callable[[], dict[str, Any]]]:
    works: dict[str, Callable[[], dict[str, Any]]] = {}
    for name, some in rows.items():
        if name != "prompts":
            works[f"scoring, {name}"] = partial(_scoring, subject, some, ceilings, rounds)
            works[f"scoring, {name}, 100 questions"] = partial(_beside, subject, some, rounds)
    works["placements"] = partial(_placements, subject.ours.directory, rows)
    works["one answer alone"] = partial(_alone, subject, rows["prompts"], ceilings, rounds)
    works["answers of many lengths"] = partial(_many, subject, rows["prompts"][:MANY], ceilings, rounds)
    return works


# --- works -------------------------------------------------------------------------------------


def _scoring(subject: Subject, rows: Sequence[Any], ceilings: Ceilings, rounds: int) -> dict[str, Any]:
    """How near the likelihoods of all rows come to the rate of a product of matrices."""
    requests: list[Request] = [Score(context=context, continuations=tuple(choices)) for context, choices in rows]
    taken = [_run(subject.ours, requests) for _ in range(rounds + 1)][1:]  # the first wakes libraries up
    judged = len({prefix for row in rows for prefix in _judged(subject, row)})
    flops = 2 * (taken[-1]["tokens"] * subject.layers + judged * subject.head)
    seconds = [one["seconds"] for one in taken]
    return {
        "requests": len(requests),
        "tokens": taken[-1]["tokens"],
        "seconds": seconds,
        "share of matmul": flops / median(seconds) / ceilings.flops,
        "peak bytes": max(one["peak"] for one in taken),
    }


def _beside(subject: Subject, rows: Sequence[Any], rounds: int) -> dict[str, Any]:
    """The first hundred questions, which the peer asks one choice at a time."""
    some = rows[:200]
    if find_spec("lm_eval") is None:
        return {"peer": "lm-evaluation-harness", "missing": "it is not installed"}
    requests: list[Request] = [Score(context=context, continuations=tuple(choices)) for context, choices in some]
    sizes = {size: gpu_peers.likelihoods(subject, some[:40], size)["seconds"] for size in (16, 64)}
    batch = min(sizes, key=lambda size: sizes[size])
    ours, theirs = _in_turns(
        lambda: _run(subject.ours, requests), lambda: gpu_peers.likelihoods(subject, some, batch), rounds
    )
    return _compared("lm-evaluation-harness", batch, ours, theirs) | {
        "tokens": {"ours": ours[-1]["tokens"], "peer": theirs[-1]["tokens"]},
        "agreement": agreement_of_scores(ours[-1]["values"], theirs[-1]["values"]),
    }


def _alone(subject: Subject, prompts: Sequence[Any], ceilings: Ceilings, rounds: int) -> dict[str, Any]:
    """One answer of a fixed length: every weight is read once a token."""
    request = Generate(messages=(Message("user", prompts[0][0]),), decoding=Decoding(max_new_tokens=ALONE))
    one = [(prompts[0][0], ALONE)]
    _run(subject.ours, [request])
    ours, theirs = _in_turns(lambda: _run(subject.ours, [request]), lambda: gpu_peers.generate(subject, one, 1), rounds)
    prompt = len(subject.ours.prompter.prompt(subject.ours.prompter.chat(request.messages)).ids)
    token = sum(table.nbytes for pair in subject.ours.network.sample for table in pair)
    read = 2 * (subject.layers + subject.head) + token * (prompt + ALONE / 2)
    shares = [ALONE * read / one["seconds"] / ceilings.bytes for one in ours]
    peer = [ALONE * read / one["seconds"] / ceilings.bytes for one in theirs]
    return _compared("generate", 1, ours, theirs) | {
        "tokens a second": {side: ALONE / median(o["seconds"] for o in some) for side, some in _sides(ours, theirs)},
        "share of bandwidth": {"ours": median(shares), "peer": median(peer)},
        "agreement": _same(ours, theirs),
    }


def _many(subject: Subject, prompts: Sequence[Any], ceilings: Ceilings, rounds: int) -> dict[str, Any]:
    """Answers of many lengths, against `generate`, transformers' continuous batching, and the harness."""
    requests: list[Request] = [
        Generate(messages=(Message("user", text),), decoding=Decoding(max_new_tokens=limit)) for text, limit in prompts
    ]
    total = sum(limit for _, limit in prompts)
    wide = replace(subject.ours, batch_size=SLOTS)
    _run(wide, requests)
    taken: dict[str, list[dict[str, Any]]] = {"ours": []}
    peers: dict[str, Callable[[], dict[str, Any]]] = {
        "generate": lambda: gpu_peers.generate(subject, prompts, SLOTS),
        "continuous batching": lambda: gpu_peers.batching(subject, prompts, SLOTS),
    }
    for name, peer in peers.items():
        try:
            peer()  # wakes it up as ours was
            taken[name] = []
        except Exception as error:  # noqa: BLE001  # a peer that does not run here is no reason to measure nothing
            print(f"{name} did not run: {type(error).__name__}: {error}", file=sys.stderr)
    for number in range(rounds):
        sides = list(taken) if number % 2 == 0 else list(reversed(taken))
        for side in sides:
            taken[side].append(_run(wide, requests) if side == "ours" else peers[side]())
    ours = taken.pop("ours")
    speeds = {side: total / median(one["seconds"] for one in some) for side, some in {"ours": ours, **taken}.items()}
    return {
        "answers": len(prompts),
        "tokens": total,
        "slots": SLOTS,
        "tokens a second": speeds,
        "peak bytes": {side: max(one["peak"] for one in some) for side, some in {"ours": ours, **taken}.items()},
        "peers": [
            _compared(name, SLOTS, ours, some) | {"agreement": _same(ours, some)} for name, some in taken.items()
        ],
        "bandwidth bound": _bound(subject, prompts, ceilings) / median(one["seconds"] for one in ours),
    }


def _placements(folder: Path, rows: dict[str, Any]) -> dict[str, Any]:
    """Whether a model of 110 million weights gives the same numbers wherever its layers lie."""
    requests: list[Request] = [
        Score(context=context, continuations=tuple(choices)) for context, choices in rows["TruthfulQA zero-shot"][:40]
    ]
    requests += [
        Generate(messages=(Message("user", text),), decoding=Decoding(max_new_tokens=24))
        for text, _ in rows["prompts"][:8]
    ]
    layers = range(12)
    split = {f"model.layers.{n}": (0, "cpu", "disk")[n % 3] for n in layers}
    split |= {"model.embed_tokens": 0, "model.rotary_emb": 0, "model.norm": 0, "lm_head": 0}
    wishes: dict[str, dict[str, Any]] = {
        "GPU, memory limited": {"device_map": "auto", "max_memory": {"0": "200MB", "cpu": "4GiB"}},
        "GPU, CPU and disk in turns": {"device_map": split},
        "CPU": {"device_map": "cpu"},
    }
    with tempfile.TemporaryDirectory() as place:
        whole = write_llama(Path(place) / "110M", MODELS["110M"], folder / "tokenizer")
        one = _answers(whole, requests, device_map="cuda:0")
        found = {name: _apart(one, _answers(whole, requests, **wish)) for name, wish in wishes.items()}
    return {"than": "all on one GPU", "placements": found}


def _answers(path: Path, requests: Sequence[Request], **wish: Any) -> list[Any]:
    model = HuggingFace().open(ModelSpec(reference=str(path), dtype="float32", **wish))
    replies = {id(request): reply for request, reply in model.run(requests)}
    return [_plain(replies[id(request)]) for request in requests]


def _apart(one: Sequence[Any], other: Sequence[Any]) -> dict[str, Any]:
    scored = [
        (a, b) for x, y in zip(one, other, strict=True) if isinstance(x[0], list) for a, b in zip(x, y, strict=True)
    ]
    written = [(x, y) for x, y in zip(one, other, strict=True) if not isinstance(x[0], list)]
    return {
        "largest": max(abs(a[0] - b[0]) for a, b in scored),
        "identical": sum(x == y for x, y in written),
        "of": len(written),
    }


def _bound(subject: Subject, prompts: Sequence[Any], ceilings: Ceilings) -> float:
    """Seconds that reading the weights takes, once for every token of so many answers side by side."""
    steps = sum(limit for _, limit in prompts) / SLOTS
    return float(steps * 2 * (subject.layers + subject.head) / ceilings.bytes)


# --- runs --------------------------------------------------------------------------------------


def _run(model: HFModel, requests: Sequence[Request]) -> dict[str, Any]:
    """Seconds on the wall, tokens through the layers, replies and peak of memory."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before, started = model.network.forwarded, time.perf_counter()
    replies = {id(request): reply for request, reply in model.run(requests)}
    torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    values = [_plain(replies[id(request)]) for request in requests]
    tokens, peak = model.network.forwarded - before, torch.cuda.max_memory_allocated()
    return {"seconds": seconds, "tokens": tokens, "values": values, "peak": peak}


def _plain(reply: Any) -> Any:
    if hasattr(reply, "likelihoods"):
        return [[one.logprob, one.greedy] for one in reply.likelihoods]
    if hasattr(reply, "ids"):
        return list(reply.ids)
    raise reply.error


def _in_turns(
    ours: Callable[[], dict[str, Any]], theirs: Callable[[], dict[str, Any]], rounds: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rounds in which who goes first changes, after one that counts for nobody."""
    ours(), theirs()
    one, other = [], []
    for number in range(rounds):
        if number % 2:
            other.append(theirs())
            one.append(ours())
        else:
            one.append(ours())
            other.append(theirs())
    return one, other


def _compared(
    peer: str, batch: int, ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    ratios = [b["seconds"] / a["seconds"] for a, b in zip(ours, theirs, strict=True)]
    return {
        "peer": peer,
        "batch": batch,
        "seconds": {side: [round(one["seconds"], 4) for one in some] for side, some in _sides(ours, theirs)},
        "ratio": {"median": median(ratios), "low": min(ratios), "high": max(ratios)},
    }


def _sides(ours: Sequence[Any], theirs: Sequence[Any]) -> tuple[tuple[str, Sequence[Any]], ...]:
    return ("ours", ours), ("peer", theirs)


def _same(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> dict[str, int]:
    pairs = list(zip(ours[-1]["values"], theirs[-1]["values"], strict=True))
    return {"identical": sum(a == b for a, b in pairs), "of": len(pairs)}


def _judged(subject: Subject, row: Any) -> Iterator[int]:
    """Positions of a row that need logits: prefixes whose next token is scored, each by its hash."""
    context, choices = row
    joint = fitted(Score(context=context, continuations=tuple(choices)), subject.ours.prompter, None)
    return (hash(tokens[:at]) for tokens in joint.rows for at in range(joint.boundary, len(tokens)))


# --- device and model --------------------------------------------------------------------------


def _ceilings() -> Ceilings:
    size = 8192
    one, other = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    product = _seconds(lambda: one @ other)
    source = torch.empty(1 << 31, dtype=torch.int8, device="cuda").random_()
    target = torch.empty_like(source)
    copy = _seconds(lambda: target.copy_(source))
    return Ceilings(flops=2 * size**3 / product, bytes=2 * source.nbytes / copy)


def _seconds(work: Callable[[], Any]) -> float:
    """Of one call, the median over some, by the device's own clock."""
    for _ in range(3):
        work()
    taken = []
    for _ in range(15):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        work()
        end.record()
        end.synchronize()
        taken.append(start.elapsed_time(end) / 1000)
    return float(median(taken))


def _subject(folder: Path, *, layers: int) -> Subject:
    make: Any = transformers.LlamaConfig
    loader: Any = transformers.AutoTokenizer
    config = make(**SHAPE | {"num_hidden_layers": layers})
    torch.manual_seed(SEED)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("cuda"):
            built: Any = transformers.LlamaForCausalLM
            model = built(config).eval()
    finally:
        torch.set_default_dtype(before)
    tokenizer = loader.from_pretrained(folder / "tokenizer", padding_side="left")
    traits = profiles.traits_of(config.to_dict(), tokenizer)
    profile = profiles.choose("own", directory=folder / "tokenizer", traits=traits)
    device = torch.device("cuda:0")
    ours = HFModel(
        name="7B",
        identity={},
        directory=folder,
        prompter=Prompter(tokenizer, profile),
        limits=Limits(stop_ids=frozenset(), context=4096),
        network=Network(model, device=device),
        batch_size=16,
        classifiers=Classifiers(device=device, trust_remote_code=False, offline=True),
    )
    inner = sum(p.numel() for p in model.model.layers.parameters())
    return Subject(ours, model, tokenizer, layers=inner, head=model.lm_head.weight.numel())


if __name__ == "__main__":
    random.seed(SEED)
    main()
