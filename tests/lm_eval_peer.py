"""lm-evaluation-harness on a model and rows of ours, run where it is installed: `python lm_eval_peer.py SETTINGS`.

SETTINGS is a JSON file: `model` (a directory), `tasks` (name → the harness's own file to include, rows as a JSON Lines
file and their split, and perhaps a prompt), `out` (where results go). What comes out is a task's accuracy, and of every
row the prompt, the log-likelihood of every choice, and its accuracy.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main(settings: dict[str, Any]) -> None:
    import lm_eval  # in its own environment alone
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.tasks import TaskManager

    tasks = Path(lm_eval.__file__).parent / "tasks"
    folder = Path(settings["out"]).parent / "tasks"
    folder.mkdir()
    for name, task in settings["tasks"].items():
        lines = {
            "task": name,
            "include": str(tasks / task["include"]),
            "dataset_path": "json",
            "dataset_name": None,
            "training_split": None,
            "dataset_kwargs": {"data_files": {task["split"]: task["rows"]}},
            **({"doc_to_text": task["prompt"]} if task.get("prompt") else {}),
        }
        (folder / f"{name}.yaml").write_text(json.dumps(lines), "utf-8")
    found = simple_evaluate(
        model="hf",
        model_args={"pretrained": settings["model"], "dtype": "float32"},
        tasks=list(settings["tasks"]),
        task_manager=TaskManager(include_path=str(folder)),
        device="cpu",
        batch_size=4,
        bootstrap_iters=0,
        log_samples=True,
    )
    told = {name: _told(found, name) for name in settings["tasks"]}
    Path(settings["out"]).write_text(json.dumps(told), "utf-8")


def _told(found: dict[str, Any], name: str) -> dict[str, Any]:
    rows = sorted(found["samples"][name], key=lambda sample: sample["doc_id"])
    return {
        "accuracy": found["results"][name]["acc,none"],
        "rows": [
            {
                "prompt": row["arguments"][0][0],
                "choices": [continuation for _, continuation in row["arguments"]],
                "likelihoods": [float(reply[0][0]) for reply in row["resps"]],
                "accuracy": float(row["acc"]),
            }
            for row in rows
        ],
    }


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text("utf-8")))
