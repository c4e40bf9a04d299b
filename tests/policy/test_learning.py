"""The quick configuration learns: gates are passed that were not before."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from helpers import REPO


def test_the_quick_configuration_shows_clear_learning(tmp_path: Path, run_cli: Callable[..., int]) -> None:
    """Half of its steps; what an untrained policy does is measured on the same starts."""
    configs = [word for name in ("policy", "policy-quick") for word in ("--config", REPO / "configs" / f"{name}.yaml")]
    options = ("--total_timesteps", 500_000, "--eval_freq", 4_096, "--save_freq", 0, "--output", tmp_path / "run")
    first, last = (*options[:1], 4_096, *options[2:-1], tmp_path / "first"), (*options[:3], 500_000, *options[4:])
    for words in (first, last):
        assert run_cli("ppo", "fit", *configs, *words) == 0
    found = {}
    for name in ("first", "run"):
        with (tmp_path / name / "evaluations.csv").open(newline="", encoding="utf-8") as file:
            found[name] = list(csv.DictReader(file))
    before, after = found["first"][0], max(found["run"], key=lambda row: float(row["pass_rate"]))
    assert float(before["pass_rate"]) < 0.2 and float(before["success"]) == 0
    assert float(after["pass_rate"]) > 0.5
    assert float(after["reward"]) > float(before["reward"]) + 15
