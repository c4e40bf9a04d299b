"""The `ppo` verb: the policy's own table of verbs. Everything is logged on this machine alone.

It stands outside `policy/`, whose import registers the environment with Gymnasium, which help does not need.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from aigp_lightning.cli.class_help import help_of_class
from aigp_lightning.cli.verb_help import PROGRAM as ALL
from aigp_lightning.cli.verb_help import continued
from aigp_lightning.terminal.output import print_line, print_text

PROGRAM = f"{ALL} ppo"
HELP_WORDS = ("-h", "--help")
VERBS = {
    "fit": "train a policy with PPO",
    "evaluate": "success, times, gates and crashes of a policy, and where it flew",
    "export": "a policy as ONNX and TorchScript, with its normalisation inside",
}
HELP = """\
usage: {program} VERB [options]

Train a racing policy with stable-baselines3's PPO in any Gymnasium environment.
Everything stays on this machine: TensorBoard's files, models and pictures go to
output/apex_policy, and no W&B is involved.

verbs:
{verbs}

examples:
{examples}
"""
CALLS = (
    "ppo fit --config configs/policy.yaml",
    "ppo fit --config configs/policy.yaml --config configs/policy-quick.yaml --output output/quick",
    "ppo fit --resume output/apex_policy --total_timesteps 12000000",
    "ppo fit --env.module my_simulator --env.id my/Race-v0 --env.backend subproc --env.n_envs 8",
    "ppo evaluate --model output/apex_policy/best",
    "ppo export --model output/apex_policy/best",
    "ppo VERB --help",
)
"""Examples of the help of all verbs."""
EXAMPLES = {
    "fit": "fit --config configs/policy.yaml --ppo.learning_rate '{start: 3e-4, end: 0}' --env.kwargs.track my.yaml",
    "evaluate": "evaluate --model output/apex_policy/best --episodes 1000",
    "export": "export --model output/apex_policy/best --format '[onnx]' --out deploy",
}
CLASSES = {
    "fit": "aigp_lightning.policy.config.PolicyConfig",
    "evaluate": "aigp_lightning.policy.verb_config.EvaluateConfig",
    "export": "aigp_lightning.policy.verb_config.ExportConfig",
}
"""Classes of the verbs' options."""
Options = TypeVar("Options")


def main(verb: str, arguments: list[str]) -> int:
    """Run one of the policy's verbs.

    Args:
        verb: `ppo`.
        arguments: a verb of `VERBS` and its options.

    Returns:
        The exit status: 0, 128 + the signal that ended a training.

    Raises:
        ConfigError: there is no such verb.
    """
    if not arguments or arguments[0] in (*HELP_WORDS, "help"):
        print_text(_help())
        return 0
    verbs: dict[str, Callable[[list[str]], int]] = {"fit": _fit, "evaluate": _evaluate, "export": _export}
    if arguments[0] not in verbs:
        from difflib import get_close_matches

        from aigp_lightning.errors import ConfigError

        near = get_close_matches(arguments[0], verbs, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"ppo has no verb {arguments[0]!r}.{meant} `{PROGRAM} --help` lists them.")
    if set(HELP_WORDS) & set(arguments):
        name = arguments[0]
        print_text(help_of_class(f"ppo {name}", CLASSES[name], _sentence(name), f"ppo {EXAMPLES[name]}"))
        return 0
    return verbs[arguments[0]](arguments[1:])


def _help() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {name:<{width}}  {line}" for name, line in VERBS.items())
    examples = "\n".join(f"  {ALL} {continued(call)}" for call in CALLS)
    return HELP.format(program=PROGRAM, verbs=verbs, examples=examples).rstrip()


def _sentence(verb: str) -> str:
    return f"{VERBS[verb][0].upper()}{VERBS[verb][1:]}."


def _fit(arguments: list[str]) -> int:
    from aigp_lightning.policy.config import PolicyConfig

    config = _parse_with_run_config(PolicyConfig, "fit", arguments, "resume")
    from aigp_lightning.policy.train import train

    ended_by = train(config).signal
    return 0 if ended_by is None else 128 + ended_by


def _evaluate(arguments: list[str]) -> int:
    from aigp_lightning.policy.verb_config import EvaluateConfig

    config = _parse_with_run_config(EvaluateConfig, "evaluate", arguments, "model")
    from aigp_lightning.policy.evaluate import evaluate

    evaluate(config)
    return 0


def _export(arguments: list[str]) -> int:
    from aigp_lightning.policy.verb_config import ExportConfig

    config = parse(ExportConfig, "export", arguments)
    from aigp_lightning.policy.export import export

    export(config)
    return 0


def _parse_with_run_config(kind: type[Options], verb: str, arguments: list[str], option: str) -> Options:
    """Parse the options; if one of them names a run's model, on top of that run's configuration."""
    config = parse(kind, verb, arguments)
    model = getattr(config, option)
    if model is None:
        return config
    from aigp_lightning.policy.models import find_model, find_run

    run = find_run(Path(model))
    if run is None:
        find_model(model, f"--{option}")
        if not any(word.startswith("--config") for word in arguments):
            print_line(
                f"note: no run's config.yaml lies above {model}, so the environment is the default one; --config names "
                "another",
                err=True,
            )
        return config
    return parse(kind, verb, arguments, str(run / "config.yaml"))


def parse(kind: type[Options], verb: str, arguments: list[str], base: str | None = None) -> Options:
    """Parse the options of a verb into a dataclass; mistakes end the program, as in argparse.

    Args:
        kind: the dataclass; its fields are the options, its docstring their help.
        verb: one of `VERBS`.
        arguments: the words after it.
        base: a YAML file that other options override.
    """
    from jsonargparse import ArgumentParser

    from aigp_lightning.cli.parser import StrictParser

    parser_class: Any = type("PolicyParser", (StrictParser, ArgumentParser), {})
    parser = parser_class(
        prog=f"{PROGRAM} {verb}",
        usage=f"{PROGRAM} {verb} [options]",
        description=_sentence(verb),
    )
    parser.add_argument("--config", action="config", help="a YAML with options; may be repeated, later ones on top")
    parser.add_class_arguments(kind, as_group=False)
    parser.check_words(arguments)
    # jsonargparse reads its `default_config_files` as patterns, and passes over one in a folder called `[a]`
    parsed = parser.parse_args([f"--config={base}", *arguments] if base else arguments)
    build = getattr(parser, "instantiate", None) or parser.instantiate_classes
    built = build(parsed).as_dict()
    return kind(**{key: value for key, value in built.items() if key != "config"})
