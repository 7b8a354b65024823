"""Run the experiment: `python -m orca_guard_nano.experiment --out DIR`. It goes on where it was cut short.

One steerable base a seed, its best strategy a category measured on a selection split, five arms from that base, and a
test on fresh items of known templates and on templates never trained on. The plan is written and hashed first.
"""

import argparse
import json
import os
import platform
from pathlib import Path

import torch

from orca_guard_nano.recipe.train import device_name
from orca_guard_nano.recipe.trainer import device_of

from . import analysis
from .cells import Bench
from .plan import Plan, settle, small


def collect(plan: Plan, out: Path, *, device: torch.device) -> Path | None:
    """All seeds that are done, in one file."""
    paths = [out / f"seed-{seed}" / "result.json" for seed in plan.seeds]
    results = [json.loads(path.read_text("utf-8")) for path in paths if path.exists()]
    if not results:
        return None
    whole = {
        "plan": json.loads(plan.text()), "plan_sha256": plan.digest, "results": results,
        "device": device_name(device), "torch": torch.__version__, "python": platform.python_version(),
        "summary": analysis.summary(results, plan),
    }  # fmt: skip
    path = out / "results.json"
    path.write_text(json.dumps(whole, separators=(",", ":")) + "\n", "utf-8")
    return path


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m orca_guard_nano.experiment", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="where cells and results are kept")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto")
    parser.add_argument("--workers", type=int, default=0, help="processes that write documents (0: none)")
    parser.add_argument("--together", type=int, default=1, help="seeds trained side by side; 5 on a GPU")
    parser.add_argument("--width", type=int, default=64, help="questions a model answers at once; 512 on a GPU")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--small", action="store_true", help="everything in miniature, in about a minute")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    plan = small(Plan()) if asked.small else Plan()
    settle(plan, asked.out)
    device = device_of(asked.device)
    bench = Bench(plan, asked.out, device, workers=asked.workers, width=asked.width, log=_say)
    for start in range(0, len(plan.seeds), asked.together):
        bench.run(plan.seeds[start : start + asked.together])
        collect(plan, asked.out, device=device)
    _say(f"{asked.out / 'results.json'}")


if __name__ == "__main__":
    main()
