"""An orca-guard command in a process of its own, and the most memory that it held.

`python -m benchmarks.engine.watched WORDS… RESULT`: the command's words, and a file for the number of bytes and the
exit code. With no words, nothing is done but to import what an audit of `hf` imports: what is there before any model.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

from benchmarks.engine.clock import peak_bytes

IMPORTED = (
    "torch",
    "transformers.models.llama.modeling_llama",
    "transformers.models.bert.modeling_bert",
    "orca_guard.cli.audit",
    "orca_guard.figures",
    "orca_guard_hf.loader",
    "orca_guard_hf.model",
)


def main() -> None:
    """Do it."""
    words, out = sys.argv[1:-1], Path(sys.argv[-1])
    code = 0
    if words:
        from orca_guard.cli import invoke  # noqa: PLC0415  # what is imported is what is measured

        code = invoke(words)
    else:
        for name in IMPORTED:
            import_module(name)
    out.write_text(json.dumps({"peak": peak_bytes(), "code": code}), "utf-8")


if __name__ == "__main__":
    main()
