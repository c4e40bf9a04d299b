"""Give every option of every verb every wrong, odd and rare value, and run what is accepted: a batch, an episode.

    python tests/fuzz/options.py                            every verb: hours
    python tests/fuzz/options.py fit --only '^media'        some options
    python tests/fuzz/options.py fit --built                build everything, train nothing
    python tests/fuzz/options.py validate --values '[-1, .nan]'

A value must end in status 0, or in a line or two that name the option. Exit status 1 if one does not.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

import yaml  # noqa: E402
from helpers import draw_squares  # noqa: E402
from option_sweep import (  # noqa: E402
    VALUES,
    BuiltCLI,
    BuiltPlan,
    ParsedCLI,
    ParsedPlan,
    bases,
    call,
    fault,
    options_of,
)

from aigp_lightning.cli import plan, training  # noqa: E402

LEAST = ("--trainer.limit_train_batches", 1, "--trainer.limit_val_batches", 1, "--media.train_batches", 1)
LEAST_POLICY = (
    *("--env.n_envs", 2, "--ppo.n_steps", 8, "--ppo.batch_size", 8, "--total_timesteps", 16),
    *("--eval_env.n_episodes", 1, "--env.kwargs.max_seconds", 1),
)


def prepare(root: Path) -> dict[str, list[Any]]:
    """Make a data set, a trained model and a policy; returns by verb a call that works."""
    for split, count, seed in (("train", 8, 1), ("val", 4, 2), ("test", 4, 3)):
        draw_squares(root, split, count, seed)
    data = root / "data.yaml"
    data.write_text("train: images/train\nval: images/val\ntest: images/test\nnames: [square, disc]\n")
    words = bases(data, root)
    for verb in ("fit", "plan"):
        words[verb] += LEAST
    must_work([*words["fit"], "--run.name", "before"])
    weights = root / "runs" / "detect" / "before" / "weights" / "best.ckpt"
    for verb in ("validate", "test", "predict"):
        words[verb] = [*words["fit"], "--ckpt_path", weights]
        words[verb][0] = verb
    words["predict"] += ["--data.source", root / "images" / "val"]
    words["export"] = ["export", "--ckpt_path", weights, "--imgsz", 64, "--format", "[pt]"]
    words["ppo fit"] = ["ppo", "fit", *LEAST_POLICY, "--output", root / "policy"]
    must_work(words["ppo fit"])
    words["ppo evaluate"] = ["ppo", "evaluate", "--model", root / "policy", "--episodes", 1, "--trajectories", 1]
    words["ppo export"] = ["ppo", "export", "--model", root / "policy", "--format", "[torchscript]"]
    words["make-data"][-1] = root / "made"
    words["make-data"] += ["--force", "true", "--imgsz", "[64, 64]"]
    words["audit"][1], words["lint"][1] = root / "runs" / "detect" / "before", data
    return words


def must_work(words: list[Any]) -> None:
    """Call, and stop if that does not go well."""
    outcome = call(words)
    if outcome.status != 0:
        raise SystemExit(f"{' '.join(map(str, words))}\n{outcome.text}\n{outcome.error}")


def sweep(verb: str, base: list[Any], only: re.Pattern[str], values: tuple[str, ...]) -> int:
    """Try the values of a verb's options; prints what is wrong, and returns how many are."""
    options, wrong, tried, began = options_of(verb, base), 0, 0, time.perf_counter()
    as_ever = call(base)
    for option in filter(only.search, options):
        taken = []
        for value in values:
            outcome, tried = call([*base, f"--{option}={value}"]), tried + 1
            told = None if outcome.told == as_ever.told else fault(option, outcome, options)
            taken += [value] if told is None and outcome.status == as_ever.status else []
            if told is not None:
                wrong += 1
                print(f"{verb} --{option}={value!r}: {told}", flush=True)
        print(f"{verb} --{option}: taken are {' '.join(map(repr, taken)) or 'none'}", flush=True)
    print(f"{verb}: {tried} values tried, {wrong} wrong answers, {time.perf_counter() - began:.0f} s", flush=True)
    return wrong


def main() -> int:
    """Sweep, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verbs", nargs="*", help="all without one; `ppo fit` is one")
    parser.add_argument("--only", default="", help="regular expression for the names of options")
    parser.add_argument("--values", help="a YAML list, in place of all")
    parser.add_argument("--built", action="store_true", help="stop Lightning's verbs when everything is built")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    os.environ.update(AIGP_WANDB="0", WANDB_MODE="offline")
    values = VALUES if given.values is None else tuple(map(str, yaml.safe_load(given.values)))
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        words = prepare(Path(folder))
        training.AigpCLI, plan.PlanCLI = (BuiltCLI, BuiltPlan) if given.built else (ParsedCLI, ParsedPlan)  # type: ignore[misc]
        wrong = sum(sweep(verb, words[verb], re.compile(given.only), values) for verb in given.verbs or words)
        os.chdir(HERE)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
