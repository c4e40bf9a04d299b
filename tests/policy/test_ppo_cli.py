"""The policy's command line: help at once, options typed, mistakes in one line."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path

import pytest
import yaml
from helpers import REPO

from aigp_lightning.cli.ppo import parse
from aigp_lightning.policy.config import PolicyConfig
from aigp_lightning.policy.env.options import race_options
from aigp_lightning.policy.verb_config import EvaluateConfig, ExportConfig

Out = pytest.CaptureFixture[str]
HEAVY = {"torch", "stable_baselines3", "lightning", "gymnasium", "numpy", "wandb", "jsonargparse", "matplotlib"}
POLICY = REPO / "configs" / "policy.yaml"


def modules_of(*words: str) -> tuple[str, set[str]]:
    code = (
        f"import sys\nfrom aigp_lightning.cli.main import main\ntry: main({list(words)!r})\nexcept SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=600,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )  # fmt: skip
    return done.stdout, set(done.stderr.split())


def test_help_imports_nothing_heavy() -> None:
    said, modules = modules_of("ppo", "--help")
    for verb in ("fit", "evaluate", "export"):
        assert f"\n  {verb} " in said
    assert modules & HEAVY == set()


VERB_CLASSES = {"fit": PolicyConfig, "evaluate": EvaluateConfig, "export": ExportConfig}


def options_of(kind: type, prefix: str = "") -> Iterator[str]:
    """Yield the options of a dataclass, those of its groups below them."""
    for each in fields(kind):
        made = each.default_factory() if callable(each.default_factory) else None
        if is_dataclass(made):
            yield from options_of(type(made), f"{prefix}{each.name}.")
        else:
            yield prefix + each.name


@pytest.mark.parametrize("verb", VERB_CLASSES)
def test_help_of_a_verb_looks_like_that_of_the_others(verb: str, run_cli: Callable[..., int], capsys: Out) -> None:
    """Every option with a value as it is typed, its own first; no types, no constructor's names, 80 columns."""
    assert run_cli("ppo", verb, "--help") == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: python -m aigp_lightning ppo {verb} [options]\n")
    assert not re.search(
        r"type:|Literal|Union|\bdict\b|\blist\b|Linear|CONFIG|\b(None|True|False)\b|[A-Z_]{6,}\n|\x08", said
    )
    assert max(map(len, said.splitlines())) <= 80
    shown = re.findall(r"^  --([\w.]+)( \S.*)?$", said, re.MULTILINE)
    kind = VERB_CLASSES[verb]
    assert {name for name, _ in shown} == {*options_of(kind), "config", "print_config"}
    assert [name for name, value in shown if not value] == ["print_config"]
    flat_own = [name for name in kind.__annotations__ if name in {*options_of(kind)}]
    flat = [name for name, _ in shown if name in {each.name for each in fields(kind)}]
    assert flat[: len(flat_own)] == flat_own
    assert said.rstrip().rpartition("example:\n  ")[2].startswith(f"python -m aigp_lightning ppo {verb} ")


@pytest.mark.parametrize("verb", VERB_CLASSES)
def test_values_in_help_are_taken(verb: str, run_cli: Callable[..., int], capsys: Out) -> None:
    """All of them at once, as a shell reads them; and the example."""
    assert run_cli("ppo", verb, "--help") == 0
    said = capsys.readouterr().out
    typed = [line for line in said.splitlines() if re.match(r"  --(?!print_config|config)", line)]
    parse(VERB_CLASSES[verb], verb, shlex.split(" ".join(typed)))
    words = shlex.split(said.rpartition("example:\n")[2].replace("\\\n", ""))
    words = [str(REPO / word) if word.startswith("configs/") else word for word in words[5:]]
    parse(VERB_CLASSES[verb], verb, words)


def test_a_verbs_help_imports_nothing_heavy() -> None:
    said, modules = modules_of("ppo", "fit", "--help")
    for option in ("--env.kwargs", "--ppo.learning_rate", "--eval_env.n_episodes", "--early_stop.success", "--resume"):
        assert option in said
    assert "example:\n  python -m aigp_lightning ppo fit --config configs/policy.yaml" in said
    assert modules & HEAVY == set()


@pytest.mark.parametrize("overlay", sorted(path.name for path in (REPO / "configs").glob("policy*.yaml")))
def test_the_shipped_configurations_are_accepted(
    overlay: str, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """By themselves or on top of policy.yaml; all options of the environment are among those it knows."""
    with pytest.raises(SystemExit) as stop:
        run_cli("ppo", "fit", "--config", POLICY, "--config", REPO / "configs" / overlay, "--print_config")
    assert stop.value.code in (0, None)
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["env"]["id"] == "aigp/GateRace-v0"
    options = race_options(**{**config["env"]["kwargs"], **config["eval_env"]["kwargs"]})
    assert options.loop is False and race_options(**config["env"]["kwargs"]).loop is True
    assert (config["output"] == "output/apex_policy") == (overlay == "policy.yaml"), "runs of others stay apart"


def test_the_defaults_are_those_of_the_shipped_configuration() -> None:
    """But for what the environment is given: that is the configuration's own."""
    shipped, plain = asdict(parse(PolicyConfig, "fit", ["--config", str(POLICY)])), asdict(PolicyConfig())
    for config in (shipped, plain):
        config["env"].pop("kwargs")
        config["eval_env"].pop("kwargs")
    assert shipped == plain


def test_later_configurations_and_options_go_on_top(tmp_path: Path) -> None:
    overlay = tmp_path / "mine.yaml"
    overlay.write_text("ppo: {gamma: 0.9, learning_rate: {start: 1e-3}}\ntotal_timesteps: 20_000_000\n")
    words = ["--config", str(POLICY), "--config", str(overlay), "--seed", "7", "--env.kwargs.track", "sprint"]
    config = parse(PolicyConfig, "fit", words)
    config.check()
    plain = parse(PolicyConfig, "fit", ["--config", str(POLICY)])
    wanted = asdict(plain)
    wanted["ppo"] |= {"gamma": 0.9, "learning_rate": {"start": 0.001, "end": 0.0, "until": 1.0}}
    wanted["env"]["kwargs"] |= {"track": "sprint"}
    assert asdict(config) == wanted | {"seed": 7, "total_timesteps": 20_000_000}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--ppo.n_steps", "many"], "n_steps"),
        (["--ppo.learning_rate", "fast"], "--ppo.learning_rate fast: a number"),
        (["--ppo.activation", "sigmoid"], "sigmoid"),
        (["--env.backend", "threads"], "threads"),
        (["--config", "wrong.yaml"], "Group 'env' does not accept option 'ids'"),
    ],
)
def test_typos_name_the_option(
    words: list[str], told: str, tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.yaml").write_text("env: {ids: x}\n")
    with pytest.raises(SystemExit) as stop:
        run_cli("ppo", "fit", *words)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.count("error:") == 1 and told in said[said.index("error:") :]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["fi"], "ppo has no verb 'fi'. Did you mean 'fit'?"),
        (["fit", "--ppo.gama", "0.9"], "ppo fit has no option --ppo.gama. Did you mean --ppo.gamma?"),
        (["fit", "--total_timestep", "9"], "ppo fit has no option --total_timestep. Did you mean --total_timesteps?"),
        (["fit", "--ppo.gamma", "1.5"], "--ppo.gamma 1.5: a number from 0 to 1."),
        (["fit", "--env.n_envs", "0"], "--env.n_envs 0: a number from 1 to "),
        (
            ["fit", "--env.n_envs", "2", "--ppo.n_steps", "4"],
            "--ppo.batch_size 4096: a number from 2 to 8.",
        ),
        (["fit", "--eval_freq", "-1"], "--eval_freq -1: a number 0 or more."),
        (["fit", "--early_stop.success", "90"], "--early_stop.success 90: a number above 0 to 1."),
        (["fit", "--config", "nowhere.yaml"], "--config nowhere.yaml: there is no such file."),
        (["fit", "--ppo.learning_rate", "{start: 1e-3, end: -1}"], "--ppo.learning_rate.end -1: a number 0 or more."),
        (["fit", "--ppo.net_arch", "{pi: [64], q: [8]}"], "there is no network q, only pi and vf."),
        (["fit", "--ppo.net_arch", "[64, 0]"], "--ppo.net_arch [64, 0]: units of a layer"),
        (["fit", "--resume", "nowhere"], "--resume nowhere: no model there"),
        (["fit", "--env.kwargs.trak", "x"], "trak: no such option of the race"),
        (["fit", "--env.kwargs.track", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_wrong_values_end_in_one_line(
    words: list[str], told: str, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run_cli("ppo", *words) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert told in errors[0]
    assert not (tmp_path / "output").exists(), "no folder for a run that never began"
