"""The wheel in an empty environment, with all that it needs installed by pip, far from the project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_wheel_answers_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    environment, folder = tmp_path / "venv", tmp_path / "elsewhere"
    folder.mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ORCA_GUARD_", "PYTHON"))}

    def call(*command: str | Path) -> str:
        env = {**kept, "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    call(sys.executable, "-m", "venv", environment)
    python = environment / "bin" / "python"
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    call(*pip, "--constraint", ROOT / "constraints.txt", wheel)
    assert Path(call(python, "-c", "import orca_guard; print(orca_guard.__file__)")).is_relative_to(environment)
    call(python, "-m", "pip", "check")
    assert "failed" not in call(environment / "bin" / "orca-guard", "plugins")
    asked = ("run", "--strategy", "direct", "--offline", "What is the capital of France?")
    assert "Paris" in call(environment / "bin" / "orca-guard", *asked)
