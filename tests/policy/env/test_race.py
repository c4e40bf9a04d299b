"""Episodes: how they begin, what is counted, how they end."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

import aigp_lightning.policy
from aigp_lightning.errors import ConfigError
from aigp_lightning.policy.env.gym_env import GateRaceEnv, GateRaceVectorEnv
from aigp_lightning.policy.env.options import race_options
from aigp_lightning.policy.env.race import Race
from aigp_lightning.policy.env.rotation import from_euler
from aigp_lightning.policy.follower import Follower

STILL = np.zeros(4, np.float32)
ALL = slice(None)
HARD: dict[str, Any] = {
    "track": "random",
    "start": "random",
    "start_noise": 0.5,
    "randomize": {"thrust": 0.1, "rates": 0.1, "drag": 0.2, "lag": 0.2, "delay": 2},
    "noise": {"corner": 0.02, "range": 0.02, "velocity": 0.1, "camera": True, "dropout": 0.1, "delay": 1},
}
EASY: dict[str, Any] = {"start_noise": 0.5, "laps": 1}


def place(race: Race, position: tuple[float, ...], velocity: tuple[float, ...] = (0, 0, 0), yaw: float = 0.0) -> None:
    angles = (np.array([value], np.float32) for value in (0.0, 0.0, yaw))
    race.drones.place(ALL, np.array(position)[:, None], np.array(velocity)[:, None], from_euler(*angles))


def end_of(env: GateRaceEnv, position: tuple[float, ...], velocity: tuple[float, ...] = (0, 0, 0)) -> dict[str, Any]:
    """Place a drone, let it fly hands off until its episode ends."""
    env.reset(seed=1)
    place(env.race, position, velocity)
    for _ in range(1000):
        _, _, terminated, truncated, info = env.step(STILL)
        if terminated or truncated:
            return {**info, "terminated": terminated, "truncated": truncated}
    raise AssertionError("the episode doesn't end")


@pytest.mark.parametrize(
    ("position", "velocity", "cause"),
    [
        ((10 - 3, 1.4, -2 - 1.0), (9.06, -4.23, 0), "frame"),  # into the first gate's upper bar
        ((10 - 3, 1.4, -4.5), (9.06, -4.23, 0), "miss"),
        ((0, 0, -1), (0, 0, 5), "ground"),
        ((-20, 0, -9), (-9, 0, 0), "bounds"),
        ((5, 2.3, -2), (0, 0, 0), "timeout"),
    ],
)
def test_causes(position: tuple[float, ...], velocity: tuple[float, ...], cause: str) -> None:
    info = end_of(GateRaceEnv(gate_seconds=2.0), position, velocity)
    assert info["cause"] == cause
    assert info["terminated"] and not info["truncated"]
    assert not info["is_success"]
    assert (info["gates_passed"], info["gates_total"], info["gate_index"]) == (0, 21, 0)
    assert info["gate_attempts"].tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert info["gate_passes"].sum() == 0


def test_time_limit_is_a_truncation_and_no_attempt() -> None:
    info = end_of(GateRaceEnv(max_seconds=0.5), (0, 0, -2))
    assert (info["cause"], info["terminated"], info["truncated"]) == ("time_limit", False, True)
    assert info["race_seconds"] == pytest.approx(0.5)
    assert info["gate_attempts"].sum() == 0


def test_missing_may_be_allowed() -> None:
    info = end_of(GateRaceEnv(gate_seconds=1.5, end_on_miss=False), (7, 1.4, -4.5), (9.06, -4.23, 0))
    assert info["cause"] == "timeout"


def test_a_gate_passed() -> None:
    env = GateRaceEnv(reward={"progress": 0, "perception": 0, "rates": 0, "smooth": 0, "gate": 3.0})
    env.reset(seed=0)
    yaw = np.deg2rad(-25.0)
    towards = np.array([np.cos(yaw), np.sin(yaw), 0])
    place(env.race, tuple(np.array([10, 0, -2]) - 0.05 * towards), tuple(12 * towards), yaw)
    _, value, terminated, _, info = env.step(STILL)
    assert value == pytest.approx(3.0)
    assert not terminated and info == {}
    assert env.state.gate.tolist() == [1]
    assert env.race.score.passed.tolist() == [1]


def test_finishing_time_is_the_moment_of_the_crossing(tmp_path: Any) -> None:
    """An open course of one gate, met at 10 m/s after 1.03 m: 0.103 s, in the seventh step."""
    file = tmp_path / "one.yaml"
    file.write_text("gates: [{position: [10, 0, -2], yaw: 0}]", encoding="utf-8")
    env = GateRaceEnv(track=str(file), vehicle={"drag": [0, 0, 0]})
    info = end_of(env, (10 - 1.03, 0, -2), (10, 0, 0))
    assert (info["cause"], info["is_success"], info["gates_passed"]) == ("finish", True, 1)
    assert info["terminated"] and not info["truncated"]
    assert info["race_seconds"] == pytest.approx(0.103, abs=1e-4)
    assert info["best_lap"] == pytest.approx(0.103, abs=1e-4)
    looped = end_of(GateRaceEnv(track=str(file), loop=True), (9, 0, -2), (10, 0, 0))
    assert (looped["cause"], looped["truncated"], looped["terminated"]) == ("finish", True, False)


def test_actions_take_effect_after_the_delay() -> None:
    """Three steps of physics of delay at two a control step: the second half of the second control step."""
    env = GateRaceEnv(vehicle={"delay": 3, "rate_lag": 0.0})
    env.reset(seed=0)
    rates = []
    for _ in range(3):
        env.step(np.array([0, 0, 0, 1], np.float32))
        rates.append(float(env.state.rates[0, 2]))
    assert rates == pytest.approx([0, 4, 4])
    env.reset(seed=0)
    env.race._fly()
    assert env.state.rates[0, 2] == 0  # nothing is left of the last episode


@pytest.mark.parametrize("options", [EASY, HARD])
def test_one_and_many_fly_alike(options: dict[str, Any]) -> None:
    """To the last bit, over the ends of episodes."""
    n, ends, options = 4, 0, {**options, "gate_seconds": 1.2}
    many = GateRaceVectorEnv(n, **options)
    singles = [GateRaceEnv(**options) for _ in range(n)]
    observations, _ = many.reset(seed=7)
    assert np.array_equal(observations, [env.reset(seed=7 + i)[0] for i, env in enumerate(singles)])
    generator = np.random.default_rng(0)
    for _ in range(200):
        actions = (generator.uniform(-1, 1, (n, 4)) * 0.5).astype(np.float32)
        observations, rewards, terminated, truncated, infos = many.step(actions)
        for i, env in enumerate(singles):
            seen, reward, over, cut, info = env.step(actions[i])
            assert (reward, over, cut) == (rewards[i], terminated[i], truncated[i])
            if over or cut:
                ends += 1
                assert np.array_equal(infos["final_obs"][i], seen)
                for key, value in info.items():
                    assert infos["final_info"][f"_{key}"][i]
                    np.testing.assert_array_equal(infos["final_info"][key][i], value)
                seen, _ = env.reset()
            assert np.array_equal(observations[i], seen)
    assert ends > n


def test_the_same_seed_gives_the_same_races_and_another_one_others() -> None:
    env = GateRaceVectorEnv(3, **HARD)
    first = env.reset(seed=11)[0]
    assert np.array_equal(env.reset(seed=11)[0], first)
    assert not np.array_equal(env.reset(seed=12)[0], first)
    assert np.array_equal(env.reset(seed=12)[0][0], first[1])  # environment i is seeded by seed + i
    assert np.array_equal(env.reset(seed=[13, 12, 11])[0], first[::-1])
    assert not np.array_equal(GateRaceEnv(**HARD).reset()[0], GateRaceEnv(**HARD).reset()[0])


def test_episodes_begin_anew_in_the_step_that_ends_them() -> None:
    env = gymnasium.make_vec(
        aigp_lightning.policy.ENV_ID, num_envs=3, vectorization_mode="vector_entry_point", max_seconds=0.1
    )
    assert env.metadata["autoreset_mode"] is gymnasium.vector.AutoresetMode.SAME_STEP
    first, _ = env.reset(seed=0)
    for step in range(1, 7):
        seen, _, terminated, truncated, infos = env.step(np.full((3, 4), 0.2, np.float32))
        assert not terminated.any()
        assert truncated.all() == (step == 6)
        assert (infos == {}) == (step < 6)
    assert np.array_equal(seen, first)  # the start is not perturbed
    assert infos["_final_obs"].all() and infos["_final_info"].all()
    assert not np.array_equal(infos["final_obs"], first)
    assert infos["final_info"]["cause"].tolist() == ["time_limit"] * 3
    assert np.isnan(infos["final_info"]["best_lap"]).all()
    assert infos["final_info"]["gate_attempts"].shape == (3, 7)


@pytest.mark.parametrize("options", [EASY, HARD])
def test_checkers_of_gymnasium_and_sb3(options: dict[str, Any]) -> None:
    from gymnasium.utils.env_checker import check_env
    from stable_baselines3.common.env_checker import check_env as sb3_check_env

    env = gymnasium.make(aigp_lightning.policy.ENV_ID, **options).unwrapped
    check_env(env)
    sb3_check_env(env)


def test_starts_in_flight_are_behind_any_gate_and_fly_to_the_next() -> None:
    env = GateRaceVectorEnv(400, start="random", start_noise=0.5)
    env.reset(seed=0)
    state, gates = env.state, env.track
    assert set(state.gate.tolist()) == set(range(7))
    assert (state.gate == 0).mean() == pytest.approx(0.5 + 0.5 / 7, abs=0.08)
    flying = state.gate > 0
    target = gates.centre[:, state.gate, np.arange(400)].T
    closing = ((target - state.position) * state.velocity).sum(axis=1)
    assert (closing[flying] > 0).all()
    assert (np.abs(state.position[~flying] - [0, 2, -1.5]) <= 0.5).all()


def test_the_follower_finishes() -> None:
    """The built-in track and generated ones, from perturbed starts: nothing is out of a drone's reach."""
    for options, share in (({"laps": 1}, 1.0), ({"track": "random"}, 0.9)):
        env = GateRaceVectorEnv(32, start_noise=0.5, randomize=0.1, **options)
        env.reset(seed=0)
        ended: dict[int, dict[str, Any]] = {}
        follower = Follower()
        while len(ended) < env.num_envs:
            _, _, terminated, truncated, infos = env.step(follower.act(env))
            for i in np.flatnonzero(terminated | truncated):
                ended.setdefault(int(i), {key: infos["final_info"][key][i] for key in ("is_success", "best_lap")})
        assert np.mean([info["is_success"] for info in ended.values()]) >= share
        if "laps" in options:
            laps = [info["best_lap"] for info in ended.values()]
            assert 10 < min(laps) < max(laps) < 12


def test_a_single_race_can_be_followed_too() -> None:
    env = GateRaceEnv(laps=1)
    env.reset(seed=0)
    over, info = False, {}
    while not over:
        _, _, terminated, truncated, info = env.step(Follower().act(env))
        over = terminated or truncated
    assert info["is_success"]
    assert info["gate_passes"].tolist() == [1] * 7
    assert info["best_lap"] == pytest.approx(info["race_seconds"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"control_hz": 50}, "divisor of 120"),
        ({"laps": 0}, "laps"),
        ({"start": "air"}, "line or random"),
        ({"noise": {"fog": 1}}, r"noise\.fog"),
        ({"noise": 3}, "mapping"),
        ({"wind": 1}, "wind"),
        ({"randomize": 2.0}, "randomize"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        race_options(**options)


def test_the_environment_needs_no_framework() -> None:
    import ast
    from pathlib import Path

    folder = Path(aigp_lightning.policy.__file__).parent
    for file in [folder / "__init__.py", folder / "follower.py", *sorted((folder / "env").glob("*.py"))]:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        roots = {name.split(".")[0] for name in names}
        assert roots.isdisjoint({"torch", "lightning", "wandb", "stable_baselines3", "tensorboard"}), file
