"""`ppo export`: a policy as ONNX and TorchScript, from observations as the environment gives them to actions in bounds.

Every file is read back and held against the policy on random observations before it takes its place.
"""

from __future__ import annotations

import io
import json
import os
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces

from aigp_lightning.errors import ConfigError, WeightsError
from aigp_lightning.policy.deployed import DeployedPolicy
from aigp_lightning.policy.env_checks import first_line
from aigp_lightning.policy.models import Policy, about, find_model, load_policy
from aigp_lightning.policy.verb_config import ExportConfig

FORMATS = ("onnx", "torchscript")
FAR = 20.0
"""Deviations that a random observation may be from the mean: beyond what normalisation clips, too."""
Answer = Callable[[np.ndarray], np.ndarray]


def export(config: ExportConfig) -> list[Path]:
    """Write the files that the options ask for, each checked, and written whole or not at all.

    Returns:
        The files written, in the order of `config.format`.

    Raises:
        ConfigError: an option is wrong, a package is missing, or the policy cannot be exported.
        WeightsError: the model is unreadable, or a written file does not answer as the policy does.
    """
    _check(config)
    source = find_model(config.model, "--model")
    policy = load_policy(source)
    space = policy.model.observation_space
    if not isinstance(space, spaces.Box):
        raise ConfigError(f"{source}: only policies that take one array (a Box) can be exported, not {space}.")
    folder = Path(config.out) if config.out else source
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise ConfigError(f"--out {folder} cannot be a folder: {error.strerror}.") from error
    return [_write(form, folder / f"policy.{form}", policy, source, config) for form in dict.fromkeys(config.format)]


def _check(config: ExportConfig) -> None:
    unknown = sorted(set(config.format) - set(FORMATS))
    if unknown or not config.format:
        raise ConfigError(f"--format {', '.join(unknown) or '[]'}: known are {', '.join(FORMATS)}.")
    if not config.tolerance > 0 or config.samples < 1:
        raise ConfigError("--tolerance must be above 0, and --samples 1 or more.")
    missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    if "onnx" in config.format and missing:
        raise ConfigError(
            f"ONNX export needs {' and '.join(missing)}: pip install 'aigp_lightning[export]', or leave it out with "
            "--format '[torchscript]'."
        )


def _write(form: str, path: Path, policy: Policy, source: Path, config: ExportConfig) -> Path:
    """Write one file under a passing name, check it, and only then give it its place."""
    makers = {"onnx": _make_onnx, "torchscript": _make_torchscript}
    passing = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    module = DeployedPolicy(policy).eval().requires_grad_(False)
    try:
        with warnings.catch_warnings(), torch.no_grad():  # on tracing and its future; what was traced is checked
            warnings.simplefilter("ignore")
            answer = makers[form](passing, module, _metadata(policy, source), config.opset)
        difference = _difference(answer, policy, config.samples)
        if not difference <= config.tolerance:  # a NaN is not
            raise WeightsError(
                f"{path.name} does not answer as the policy does: greatest difference {difference:.2g} of the actions' "
                f"range, --tolerance {config.tolerance:g}. It was removed."
            )
        os.replace(passing, path)
    finally:
        passing.unlink(missing_ok=True)
    size = path.stat().st_size / 1e3
    print(f"{path}  ({size:.0f} kB; greatest difference from the policy: {difference:.2g} of the actions' range)")
    return path


def _metadata(policy: Policy, source: Path) -> dict[str, str]:
    """What whoever loads the file needs to know, as text."""
    observation, action = policy.model.observation_space, policy.model.action_space
    told = {"observation": str(observation), "action": str(action), "model": source.name}
    return told | {"steps": str(about(source).get("steps", "")), "normalization": "inside"}


def _make_torchscript(path: Path, module: DeployedPolicy, metadata: dict[str, str], opset: int) -> Answer:
    example = torch.zeros(2, *module.observation_shape)
    jit = cast("Any", torch.jit)
    traced = jit.freeze(jit.trace(module, example, check_trace=False))  # without the value's network
    buffer = io.BytesIO()  # torch's own writer cannot open every path on Windows
    jit.save(traced, buffer, _extra_files={"config.txt": json.dumps(metadata)})
    path.write_bytes(buffer.getvalue())
    reread = jit.load(io.BytesIO(path.read_bytes()))
    return lambda observations: cast("np.ndarray", reread(torch.from_numpy(observations)).numpy())


def _make_onnx(path: Path, module: DeployedPolicy, metadata: dict[str, str], opset: int) -> Answer:
    import onnx
    import onnxruntime

    buffer = io.BytesIO()
    example = torch.zeros(2, *module.observation_shape)
    try:
        torch.onnx.export(  # the tracing exporter, since the other needs one more package
            module, (example,), cast("Any", buffer), opset_version=opset, input_names=["observation"],
            output_names=["action"], dynamic_axes={"observation": {0: "batch"}, "action": {0: "batch"}},
            dynamo=False, external_data=False,
        )  # fmt: skip
    except Exception as error:
        raise ConfigError(f"cannot export to ONNX with --opset {opset}: {first_line(error)}") from error
    graph = onnx.load_model_from_string(buffer.getvalue())
    for key, value in metadata.items():
        graph.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(graph)
    path.write_bytes(graph.SerializeToString())
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return lambda observations: cast("np.ndarray", session.run(None, {"observation": observations})[0])


def _difference(answer: Answer, policy: Policy, samples: int) -> float:
    """Greatest difference of actions, as a share of their range; of choices, the share that is another."""
    observations = _observations(policy, samples)
    wanted = policy(observations)
    found = [answer(observations), np.concatenate([answer(one[None]) for one in observations[:8]])]
    return max(_gap(each, wanted[: len(each)], policy.model.action_space) for each in found)


def _gap(found: np.ndarray, wanted: np.ndarray, space: spaces.Space[Any]) -> float:
    if found.shape != wanted.shape:
        return float("inf")
    if isinstance(space, spaces.Box):
        return float((np.abs(found - wanted) / (space.high - space.low)).max())
    return float((found != wanted).mean())


def _observations(policy: Policy, samples: int) -> np.ndarray:
    """Random observations, from usual ones to such as normalisation clips; within the space's bounds."""
    random, space = np.random.default_rng(0), cast("spaces.Box", policy.model.observation_space)
    statistics: Any = policy.statistics
    if not statistics.norm_obs:
        space.seed(0)
        return np.stack([space.sample() for _ in range(samples)]).astype(np.float32)
    spread = random.uniform(0, FAR / 4, (samples, *(1 for _ in space.shape)))
    noise = spread * random.normal(size=(samples, *space.shape))
    drawn = statistics.obs_rms.mean + np.sqrt(statistics.obs_rms.var) * noise
    clipped: np.ndarray = np.clip(drawn, space.low, space.high).astype(np.float32)
    return clipped
