"""A sweep over all options of all verbs: a wrong, odd or rare value ends in a line that names the option, or is taken.

Here one value each, and everything is built and nothing trained; `tests/fuzz/options.py` tries them all, and trains.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from option_sweep import BuiltCLI, BuiltPlan, bases, call, chosen, fault, options_of

from aigp_lightning.cli import plan, training

OF_LIGHTNING = ("plan", "validate", "test", "predict")
"""Verbs that share their options with `fit`: what they have besides is swept for them."""
OTHERS = ("export", "make-data", "audit", "keys", "lint", "ppo fit", "ppo evaluate", "ppo export")
FEWEST = {"fit": 150, "export": 8, "make-data": 10, "audit": 5, "lint": 2, "ppo fit": 45, "ppo evaluate": 50}
"""Options that a verb has at least: the sweep finds them by itself, and must not lose them without a word."""


@pytest.fixture(autouse=True)
def _built_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(training, "AigpCLI", BuiltCLI)
    monkeypatch.setattr(plan, "PlanCLI", BuiltPlan)
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def sweep(verb: str, gates: Path, root: Path, but: frozenset[str] = frozenset()) -> None:
    base = bases(gates, root)[verb]
    options = options_of(verb, base)
    assert len(options) >= FEWEST.get(verb, 0)
    as_ever = call(base)
    faults = []
    for option, value in options.items():
        if option in but:
            continue
        word = f"--{option}={chosen(option, value)}"
        outcome = call([*base, word])
        if outcome.told != as_ever.told and (wrong := fault(option, outcome, options)):
            faults.append(f"{word}: {wrong}")
    assert not faults, "\n".join(faults)
    assert not (root / "runs").exists() or not list((root / "runs").rglob("run.json")), "a run folder is left behind"


def test_options_of_fit(gates: Path, tmp_path: Path) -> None:
    sweep("fit", gates, tmp_path)


def test_options_of_another_family(gates: Path, tmp_path: Path) -> None:
    """Only those that the model has, since all others are the same ones."""
    base = [*bases(gates, tmp_path)["fit"], "--model", "RFDETRModule", "--data.resize", "stretch"]
    options = options_of("fit", base)
    own = {name: value for name, value in options.items() if name.startswith("model.")}
    assert len(own) >= 25
    faults = [
        f"{word}: {wrong}"
        for option, value in own.items()
        for word in (f"--{option}={chosen(option, value)}",)
        if (wrong := fault(option, call([*base, word]), options))
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("verb", OF_LIGHTNING)
def test_options_that_fit_has_not(verb: str, gates: Path, tmp_path: Path) -> None:
    known = frozenset(options_of("fit", bases(gates, tmp_path)["fit"])) - {"ckpt_path", "run.json"}
    sweep(verb, gates, tmp_path, known)


@pytest.mark.parametrize("verb", OTHERS)
def test_options_of_other_verbs(verb: str, gates: Path, tmp_path: Path) -> None:
    sweep(verb, gates, tmp_path)


def test_a_file_to_be_written_that_is_a_folder(gates: Path, tmp_path: Path) -> None:
    """Told before a run begins, and not when its metrics are to be written."""
    base = bases(gates, tmp_path)
    for verb, option in (("fit", "--run.json"), ("plan", "--json"), ("audit", "--json")):
        outcome = call([*base[verb], option, tmp_path])
        assert (outcome.status, outcome.told) == (2, f"error: {option} {tmp_path} is a folder; name a file.")
