"""`ppo export`: a policy as ONNX and TorchScript, from raw observations to actions within their bounds.

Every file is read back and compared with the policy on random observations before it takes its place.
"""

from __future__ import annotations

import io
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces

from aigp_lightning.errors import ConfigError, WeightsError, first_line, lacking
from aigp_lightning.files import DEBUG_RECORDS, is_stored, without_members
from aigp_lightning.policy.deployed import DeployedPolicy
from aigp_lightning.policy.models import Policy, find_model, load_policy, read_about
from aigp_lightning.policy.verb_config import ExportConfig
from aigp_lightning.terminal.output import print_line

FORMATS = ("onnx", "torchscript")
MAX_DEVIATIONS = 20.0
"""Standard deviations by which a random observation may differ from the mean, more than normalisation clips at."""
Predict = Callable[[np.ndarray], np.ndarray]


def export(config: ExportConfig, names_alone: bool = False) -> list[Path]:
    """Export a policy in the formats asked for; each file is checked and moved into place atomically.

    Args:
        config: model, formats, folder.
        names_alone: say the files' names without their folder, which is one for a while.

    Returns:
        The files written, in the order of `config.format`.

    Raises:
        ConfigError: an option is wrong, a package is missing, or the policy cannot be exported.
        WeightsError: the model is unreadable, or a written file does not answer as the policy does.
    """
    _check(config)
    source = find_model(config.model, "--model")
    folder = Path(config.out) if config.out else source
    if is_stored(folder):
        raise ConfigError(
            f"{folder} is a version in a store of models, which stays as it is: --out FOLDER says where to."
        )
    policy = load_policy(source)
    space = policy.statistics.observation_space
    if not isinstance(space, spaces.Box):
        raise ConfigError(
            f"{source}: only policies that take one array (a Box) can be exported, not {space}. Train in the "
            "environment wrapped by gymnasium.wrappers.FlattenObservation, which makes one array of it."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise ConfigError(f"--out {folder} cannot be a folder: {error.strerror}.") from error
    written = []
    for form in dict.fromkeys(config.format):
        path = folder / f"policy.{form}"
        written.append(_write(form, path, policy, source, config, path.name if names_alone else path))
    return written


def _check(config: ExportConfig) -> None:
    unknown = sorted(set(config.format) - set(FORMATS))
    if unknown or not config.format:
        raise ConfigError(f"--format {', '.join(unknown) or '[]'}: known are {', '.join(FORMATS)}.")
    config.check()
    if "onnx" in config.format and (missing := list(filter(None, map(lacking, ("onnx", "onnxruntime"))))):
        raise ConfigError(
            f"ONNX export needs {' and '.join(missing)}: pip install 'aigp_lightning[export]', or leave it out with "
            "--format '[torchscript]'."
        )


def _write(form: str, path: Path, policy: Policy, source: Path, config: ExportConfig, shown: str | Path) -> Path:
    """Write one file under a temporary name, check it, and move it into place."""
    makers = {"onnx": _make_onnx, "torchscript": _make_torchscript}
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    module = DeployedPolicy(policy).eval().requires_grad_(False)
    try:
        with warnings.catch_warnings(), torch.no_grad():  # about tracing; the result is checked
            warnings.simplefilter("ignore")
            exported = makers[form](temporary, module, _metadata(policy, source), config.opset)
        difference = _difference(exported, policy, config.samples)
        if not difference <= config.tolerance:  # a NaN is not
            raise WeightsError(
                f"{path.name} does not answer as the policy does: greatest difference {difference:.2g} of the actions' "
                f"range, --tolerance {config.tolerance:g}. It was removed."
            )
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    size = path.stat().st_size / 1e3
    print_line(f"{shown}  ({size:.0f} kB; greatest difference from the policy: {difference:.2g} of the actions' range)")
    return path


def _metadata(policy: Policy, source: Path) -> dict[str, str]:
    """Return the description of the policy that is stored in the file."""
    observation, action = policy.statistics.observation_space, policy.model.action_space
    described = {"observation": str(observation), "action": str(action), "model": source.name}
    return described | {"steps": str(read_about(source).get("steps", "")), "normalization": "inside"}


def _make_torchscript(path: Path, module: DeployedPolicy, metadata: dict[str, str], opset: int) -> Predict:
    example = torch.zeros(2, *module.observation_shape)
    jit = cast("Any", torch.jit)
    traced = jit.freeze(jit.trace(module, example, check_trace=False))  # drops the value network
    buffer = io.BytesIO()  # torch's own writer cannot open every path on Windows
    jit.save(traced, buffer, _extra_files={"config.txt": json.dumps(metadata)})
    path.write_bytes(without_members(buffer.getvalue(), DEBUG_RECORDS))
    reread = jit.load(io.BytesIO(path.read_bytes()))
    return lambda observations: cast("np.ndarray", reread(torch.from_numpy(observations)).numpy())


def _make_onnx(path: Path, module: DeployedPolicy, metadata: dict[str, str], opset: int) -> Predict:
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


def _difference(predict: Predict, policy: Policy, samples: int) -> float:
    """Return the greatest difference of actions as a share of their range, or the share of choices that differ."""
    observations = _observations(policy, samples)
    expected = policy(observations)
    results = [predict(observations), np.concatenate([predict(one[None]) for one in observations[:8]])]
    return max(_gap(actions, expected[: len(actions)], policy.model.action_space) for actions in results)


def _gap(actual: np.ndarray, expected: np.ndarray, space: spaces.Space[Any]) -> float:
    if actual.shape != expected.shape:
        return float("inf")
    if isinstance(space, spaces.Box):
        return float((np.abs(actual - expected) / (space.high - space.low)).max())
    return float((actual != expected).mean())


def _observations(policy: Policy, samples: int) -> np.ndarray:
    """Return random observations within the space's bounds, from usual ones to some that normalisation clips."""
    random, space = np.random.default_rng(0), cast("spaces.Box", policy.statistics.observation_space)
    statistics: Any = policy.statistics
    if not statistics.norm_obs:
        space.seed(0)
        return np.stack([space.sample() for _ in range(samples)]).astype(np.float32)
    spread = random.uniform(0, MAX_DEVIATIONS / 4, (samples, *(1 for _ in space.shape)))
    noise = spread * random.normal(size=(samples, *space.shape))
    drawn = statistics.obs_rms.mean + np.sqrt(statistics.obs_rms.var) * noise
    clipped: np.ndarray = np.clip(drawn, space.low, space.high).astype(np.float32)
    return clipped
