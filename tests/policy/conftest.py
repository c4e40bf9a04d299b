"""What tests of the policy share: short trainings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from policy_envs import RACE, REACH


@pytest.fixture(scope="session")
def reached(tmp_path_factory: pytest.TempPathFactory, run_cli: Callable[..., int]) -> Path:
    """The folder of a training in a small environment of a team's own, by the command line."""
    folder = tmp_path_factory.mktemp("reached") / "run"
    assert run_cli("ppo", "fit", *REACH, "--total_timesteps", 2048, "--output", folder) == 0
    return folder


@pytest.fixture(scope="session")
def raced(tmp_path_factory: pytest.TempPathFactory, run_cli: Callable[..., int]) -> Path:
    """The folder of a training of a moment in the race."""
    folder = tmp_path_factory.mktemp("raced") / "run"
    assert run_cli("ppo", "fit", *RACE, "--output", folder) == 0
    return folder
