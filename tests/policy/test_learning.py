"""The quick configuration learns: gates are passed that were not before."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from helpers import REPO

CONFIGS = [word for name in ("policy", "policy-quick") for word in ("--config", REPO / "configs" / f"{name}.yaml")]


def test_the_quick_configuration_shows_clear_learning(tmp_path: Path, run_cli: Callable[..., int]) -> None:
    """Two fifths of its steps, against a policy after a single update, on the same starts."""
    found = []
    for name, total in (("untrained", 1), ("trained", 400_000)):
        options = ("--total_timesteps", total, "--eval_freq", 0, "--save_freq", 0, "--output", tmp_path / name)
        assert run_cli("ppo", "fit", *CONFIGS, *options) == 0
        with (tmp_path / name / "evaluations.csv").open(newline="", encoding="utf-8") as file:
            (row,) = csv.DictReader(file)
        found.append({key: float(row[key]) for key in ("pass_rate", "gates", "reward", "success")})
    before, after = found
    assert before["pass_rate"] < 0.1 and before["success"] == 0
    assert after["pass_rate"] > 0.25  # over the seeds 0 to 3: 0.41 to 0.65
    assert after["reward"] > before["reward"] + 8
