"""`ppo evaluate`: numbers, tables and pictures agree with what was flown."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigp_lightning.policy.episodes import wilson_interval


def table(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as source:
        return list(csv.DictReader(source))


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory, run_cli: Callable[..., int]) -> Path:
    """An evaluation of the hand-written follower, one lap."""
    out = tmp_path_factory.mktemp("followed")
    words = ("--env.kwargs.laps", 1, "--env.kwargs.start_noise", 0.3, "--env.n_envs", 4)
    status = run_cli(
        "ppo", "evaluate", "--policy", "follower", *words, "--episodes", 6, "--trajectories", 3, "--out", out
    )
    assert status == 0
    return out


def test_the_follower_is_a_baseline(followed: Path) -> None:
    found = json.loads((followed / "evaluation.json").read_text())
    episodes = table(followed / "episodes.csv")
    assert found["episodes"] == len(episodes) == 6
    finished = [row for row in episodes if row["is_success"] == "True"]
    assert found["success"] == len(finished) / 6 > 0.5
    assert found["interval"] == pytest.approx(wilson_interval(len(finished), 6))
    assert found["race_seconds"] == pytest.approx(np.mean([float(row["race_seconds"]) for row in finished]))
    assert found["best_lap"] == pytest.approx(min(float(row["best_lap"]) for row in finished))
    assert found["causes"] == Counter(row["cause"] for row in episodes)
    assert sum(gate["attempts"] for gate in found["gates_by_number"]) >= sum(int(r["gates_passed"]) for r in episodes)
    assert found["policy"] == "the hand-written follower" and found["env"] == "aigp/GateRace-v0"


def test_paths_are_flown_from_the_start_through_the_gates(followed: Path) -> None:
    rows = table(followed / "trajectories.csv")
    lengths = {row["env"]: int(row["length"]) for row in table(followed / "episodes.csv") if row["number"] == "0"}
    counted = Counter(row["env"] for row in rows)
    assert counted == {env: lengths[env] for env in ("0", "1", "2")}, "a row a step, of the first episodes only"
    first = [row for row in rows if row["env"] == "0"]
    places = np.array([[float(row[key]) for key in "xyz"] for row in first])
    speeds = np.array([[float(row[f"v{key}"]) for key in "xyz"] for row in first])
    assert float(first[1]["seconds"]) == pytest.approx(1 / 60, abs=1e-4)
    moved = np.diff(places, axis=0) * 60
    assert np.abs(moved - (speeds[1:] + speeds[:-1]) / 2).max() < 0.5, "velocities are the places' changes"
    gates = [int(row["gate"]) for row in first]
    assert gates[0] == 0 and set(np.diff(gates)) <= {0, 1}, "one gate after the other"
    assert (places[:, 2] < 0).all(), "above the ground; z points down"


def test_pictures_show_the_paths(followed: Path) -> None:
    for name in ("trajectories_above.png", "trajectories_3d.png"):
        with Image.open(followed / name) as picture:
            pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3).astype(int)
            assert min(picture.size) > 400
        frames = (np.abs(pixels - (0xD2, 0x49, 0x1A)).sum(1) < 30).sum()
        assert frames > 100, f"{name}: the gates"
        assert len(np.unique(pixels // 16, axis=0)) > 50, f"{name}: paths coloured by speed"


def test_a_model_is_judged_in_its_own_environment(
    raced: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a word about the environment: the run's configuration says it; a random track each, drawn apart."""
    words = ("--model", raced, "--episodes", 5, "--trajectories", 2, "--eval_env.kwargs.track", "random")
    assert run_cli("ppo", "evaluate", *words) == 0
    out = raced / "evaluation" / "last"
    found = json.loads((out / "evaluation.json").read_text())
    assert found["kwargs"] == {"max_seconds": 2, "track": "random"}
    assert found["episodes"] == 5 and found["steps"] == 512
    assert sum(found["causes"].values()) == 5
    assert {path.name for path in out.iterdir()} == {
        "evaluation.json", "episodes.csv", "trajectories.csv", "trajectories_above.png", "trajectories_3d.png",
    }  # fmt: skip
    said = capsys.readouterr().out
    assert "95 % interval" in said and "ended by" in said and f"results: {out}" in said


def test_a_model_without_its_run_says_where_it_flies(
    raced: Path, tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(raced / "last", tmp_path / "given")
    words = ("--model", tmp_path / "given", "--episodes", 1, "--trajectories", 0, "--out", tmp_path / "out")
    assert run_cli("ppo", "evaluate", *words, "--eval_env.kwargs.max_seconds", 1) == 0
    assert "so the environment is the default one" in capsys.readouterr().err


def test_any_environment_is_judged(
    reached: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    out = reached.parent / "judged"
    assert run_cli("ppo", "evaluate", "--model", reached / "best", "--episodes", 7, "--out", out) == 0
    found = json.loads((out / "evaluation.json").read_text())
    assert found["success"] >= 0.9 and found["gates_by_number"] == [] and found["best_lap"] is None
    assert {path.name for path in out.iterdir()} == {"evaluation.json", "episodes.csv"}
    assert "no paths are drawn" in capsys.readouterr().out


def test_a_saved_model_flies_as_it_did_in_training(reached: Path, run_cli: Callable[..., int]) -> None:
    """From the same starts the best model has the very figures by which it was chosen: its statistics are its own."""
    out = reached.parent / "again"
    assert run_cli("ppo", "evaluate", "--model", reached / "best", "--starts", 1000, "--out", out) == 0
    found = json.loads((out / "evaluation.json").read_text())
    chosen = [row for row in table(reached / "evaluations.csv") if row["best"] == "1"][-1]
    for key in ("reward", "success", "race_seconds", "length"):
        assert found[key] == float(chosen[key])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--config", "nothing"], "--config nothing: there is no such file"),
        ([], "which policy? Give --model a model's folder, or choose --policy follower"),
        (["--model", "nowhere"], "--model nowhere: no model there"),
        (["--policy", "follower", "--env.id", "Pendulum-v1", "--env.backend", "dummy"], "flies aigp/GateRace-v0 with"),
    ],
)
def test_mistakes_end_in_a_line(
    words: list[str], told: str, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli("ppo", "evaluate", *words) == 2
    assert told in capsys.readouterr().err


def test_a_model_of_another_environment_is_refused(
    reached: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli("ppo", "evaluate", "--model", reached, "--env.id", "Pendulum-v1") == 2
    assert "was trained in another environment than --env.id: Observation spaces do not match" in (
        capsys.readouterr().err
    )
