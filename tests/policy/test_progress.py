"""Where a training's time goes, and how its view looks."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from aigp_lightning.policy.episodes import Summary
from aigp_lightning.policy.progress import LastScalars, Stopwatch, race_scalars
from aigp_lightning.policy.view import PolicyView, curve, describe


def test_rollouts_updates_and_evaluations_are_kept_apart() -> None:
    now = 0.0
    watch = Stopwatch(lambda: now)
    assert watch.shares is None
    for _ in range(2):
        watch.start("rollout")
        now += 5
        watch.exclude(2)  # an evaluation
        watch.start("update")
        now += 9
    watch.start(None)
    now += 100
    assert watch.seconds == {"rollout": 6.0, "update": 18.0}
    assert watch.last == {"rollout": 3.0, "update": 9.0}
    assert watch.shares == (0.25, 0.75)
    assert watch.elapsed == 128


def test_what_an_environment_reports_is_logged_by_name() -> None:
    found = Summary(4, 1.0, 0.5, 9.0, 0.5, (0.1, 0.9), 7.0, 70.0, 3.0, 3.5, 2.0, [0.5, None], [4, 0], {"frame": 3})
    assert race_scalars(found) == {
        "success_rate": 0.5, "pass_rate": 0.5, "gates_passed": 2.0, "race_seconds": 7.0, "best_lap": 3.0,
        "mean_lap": 3.5, "pass_rate_gate_00": 0.5, "cause_frame": 0.75,
    }  # fmt: skip
    assert race_scalars(Summary(4, 1.0, 0.5, 9.0)) == {}


def test_the_last_value_of_everything_is_kept() -> None:
    kept = LastScalars()
    kept.write({"train/std": 1.0, "note": "text"}, {}, 1)
    kept.write({"train/std": 0.5, "time/fps": 7}, {}, 2)
    assert kept.values == {"train/std": 0.5, "time/fps": 7.0}


FULL = PolicyView(
    steps=1_500_000, total=6_000_000, elapsed=75, left=225, speed=20123.4, shares=(0.3, 0.7), episodes=1234,
    summary=Summary(256, 80.5, 1.0, 640.0, 0.75, (0.6, 0.9), 24.25, 1455, 7.5, 8.0, 5.0, [1.0, 0.875, None], [9, 8, 0],
                    {"finish": 192, "frame": 64}),
    history={"return": [1.0, 5.0, 80.5], "length": [100.0, 640.0], "success": [0.0, 0.75]}, best_lap=7.25,
    learning={"train/approx_kl": 0.0123, "train/clip_fraction": 0.15, "train/entropy_loss": 1.5,
              "train/explained_variance": 0.9, "train/std": 0.25, "train/value_loss": 4.0},
    last=(1_500_000, Summary(64, 90.0, 1.0, 500.0, 0.9375, (0.85, 0.975), 22.5, 1350, 7.0)),
    best=(1_250_000, Summary(64, 91.0, 1.0, 500.0, 1.0, (0.943, 1.0), 23.0, 1380, 7.1)), output="output/apex_policy",
)  # fmt: skip


def drawn(view: PolicyView, width: int = 100, ascii_only: bool = False) -> list[str]:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii" if ascii_only else "utf-8")
    console = Console(file=stream, width=width, force_terminal=False)
    console.print(view)
    stream.seek(0)
    return [line.strip() for line in stream.read().splitlines()]


def test_the_view_shows_the_training() -> None:
    lines = drawn(FULL)
    text = "\n".join(lines)
    assert lines[0].startswith("steps  1500000/6000000") and lines[0].endswith("3 min 45 s left") and "25 %" in lines[0]
    assert lines[1] == "20,123 steps/s   rollout 30%, update 70%   1,234 episodes   1 min 15 s elapsed"
    assert "return          80.500  ▁▁█" in text
    assert "0.941 of the attempts passed" in text and "0 1.00   1 0.88   2 -" in text
    assert "best lap 7.25 s, race 24.25 s" in text
    assert "ended by    finish      ━━━━━━━━━━━━━━━━━━ 75%" in lines and "frame       ━━━━━━ 25%" in lines
    assert "KL 0.012   clip fraction 0.150   entropy -1.500   explained variance 0.900   std 0.250" in lines
    assert "last eval   1,500,000 steps: success 93.8% (95 %: 85.0% to 97.5%), race 22.50 s, best lap 7.00 s" in text
    assert "best eval   1,250,000 steps: success 100.0%" in text
    assert lines[-1] == "output/apex_policy"


def test_rows_without_values_are_left_out() -> None:
    """Any environment: no gates, no laps, no causes, no success."""
    text = "\n".join(
        drawn(PolicyView(steps=0, total=1000, summary=Summary(9, 1.0, 0.5, 9.0), history={"return": [1.0]}))
    )
    assert "return" in text and "steps" in text
    for word in ("gate", "best lap", "ended by", "success", "KL", "eval", "left", "rollout"):
        assert word not in text


@pytest.mark.parametrize("width", [20, 40, 200])
def test_it_fits_every_terminal(width: int) -> None:
    for plain in (True, False):
        lines = drawn(FULL, width, plain)
        assert max(map(len, lines)) <= width
        assert not plain or all(line.isascii() for line in lines)


def test_a_curve_is_as_high_as_its_values() -> None:
    assert curve([0, 1, 2, 3, 4, 5, 6, 7], 8, plain=False) == "▁▂▃▄▅▆▇█"
    assert curve([0, 0, 7, 7], 2, plain=False) == "▁█", "means where columns are few"
    assert curve([3, 3], 9, plain=True) == "__"
    assert curve([], 9, plain=False) == curve([1], 0, plain=False) == ""


def test_an_evaluation_in_a_line() -> None:
    assert describe(Summary(16, 448.25, 1.0, 448.25)) == "return 448.250, 16 episodes"
