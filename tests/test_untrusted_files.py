"""Files from a stranger: nothing that they hold is run, fetched or built, whatever verb reads them."""

from __future__ import annotations

import builtins
import os
import pickle
import socket
import subprocess
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fuzz.generators import TINY, checkpoint_content
from helpers import YAML_OF_LAUGHS, small
from torch import nn
from ultralytics.nn.modules.block import TorchVision
from ultralytics.nn.tasks import DetectionModel

from aigp_lightning.errors import WeightsError
from aigp_lightning.logfiles.run_config import read_config
from aigp_lightning.modules.registry import load_module
from aigp_lightning.modules.yolo.build import build_model
from aigp_lightning.modules.yolo.description import public_description
from aigp_lightning.modules.yolo.weights import load_weights, save_pt

NAMES = {0: "gate", 1: "tree"}
Cli = Callable[..., int]

pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any attempt to open a connection fails the test."""

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("opened a network connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


class Call:
    """Pickled, it is a call of anything with any arguments."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def touch(name: str = "ran") -> str:
    return f"__import__('pathlib').Path({name!r}).touch() or nn.SiLU()"


def network() -> Any:
    """A network of three layers, as `save_pt` would write it."""
    model: Any = build_model(TINY, NAMES, {}).half()
    model.args = {"task": "detect"}
    return model


def with_attribute(name: str, value: Any) -> Any:
    model = network()
    model.__dict__[name] = value
    return model


CALLS = {
    "os.system": (os.system, "touch ran"),
    "eval": (builtins.eval, "open('ran', 'w')"),
    "exec": (builtins.exec, "open('ran', 'w')"),
    "Popen": (subprocess.Popen, ["touch", "ran"]),
    "torch.hub": (torch.hub.load, "nobody/nothing", "ran"),
    "torch.load": (torch.load, "other.pt"),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_in_a_checkpoint_are_refused_by_every_verb(
    name: str, run_cli: Cli, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is anywhere in the file: read as `.ckpt` or as `.pt`, it ends in one line and nothing was run."""
    torch.save({"aigp": {}, "state_dict": {}, "model": Call(*CALLS[name])}, "evil.ckpt")
    Path("evil.pt").write_bytes(Path("evil.ckpt").read_bytes())
    verbs = [("export", "--ckpt_path", "evil.ckpt"), ("export", "--weights", "evil.pt")]
    if name == "os.system":
        options = small(shapes, tmp_path / "runs")
        verbs += [
            *((verb, *options, "--ckpt_path", "evil.ckpt") for verb in ("fit", "validate")),
            ("predict", *options, "--ckpt_path", "evil.ckpt", "--data.source", "a.png"),
            ("validate", *options, "--model.weights", "evil.pt"),
        ]
    for words in verbs:
        assert run_cli(*words) == 2, words
        said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
        assert len(said) == 1, said
        assert "evil" in said[0]
    assert not Path("ran").exists()


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_bare_pickle_is_not_unpickled(protocol: int, run_cli: Cli) -> None:
    for name, option in (("evil.ckpt", "--ckpt_path"), ("evil.pt", "--weights")):
        Path(name).write_bytes(pickle.dumps(Call(*CALLS["os.system"]), protocol))
        assert run_cli("export", option, name) == 2
    assert not Path("ran").exists()


def test_lightning_itself_reads_nothing_but_data() -> None:
    """What checks the file first is not the only guard: a checkpoint may change between the two."""
    from aigp_lightning.checkpoints.io import AtomicCheckpointIO

    torch.save({"state_dict": Call(*CALLS["os.system"])}, "evil.ckpt")
    with pytest.raises(pickle.UnpicklingError):
        AtomicCheckpointIO().load_checkpoint("evil.ckpt", weights_only=False)
    assert not Path("ran").exists()


EVIL = [{**TINY, "activation": touch()}, {**TINY, "backbone": [[-1, 1, "Conv", [touch(), 3, 2]]]}]


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(lambda: Call(DetectionModel, "https://example.invalid/a.yaml"), id="a class that fetches YAML"),
        pytest.param(lambda: Call(DetectionModel, EVIL[0]), id="a class that evaluates YAML"),
        pytest.param(lambda: Call(TorchVision, "resnet18", "DEFAULT"), id="a layer that fetches weights"),
        pytest.param(lambda: Call(nn.Linear, 10**9, 10**9), id="a layer larger than any memory"),
        pytest.param(lambda: Call(getattr, DetectionModel, "load"), id="getattr"),
        pytest.param(lambda: with_attribute("yaml", EVIL[0]), id="an activation that is code"),
        pytest.param(lambda: with_attribute("yaml", EVIL[1]), id="an argument that is code"),
        pytest.param(
            lambda: with_attribute("yaml", {**TINY, "backbone": [[-1, 1, "TorchVision", [8, "resnet18", "DEFAULT"]]]}),
            id="a described layer that fetches weights",
        ),
        pytest.param(
            lambda: with_attribute(
                "yaml", {**TINY, "backbone": [[-1, 1, "DetectionModel", ["https://x.invalid/a.yaml"]]]}
            ),
            id="a described layer that is a model",
        ),
        pytest.param(
            lambda: with_attribute("yaml", {**TINY, "backbone": [[-1, 1, "nn.Linear", [10**9, 10**9]]] * 2}),
            id="described layers larger than any memory",
        ),
        pytest.param(
            lambda: with_attribute("yaml", {**TINY, "backbone": [[-1, 10**9, "Conv", [8, 3, 2]]]}), id="too many layers"
        ),
        pytest.param(lambda: with_attribute("yaml", "https://example.invalid/a.yaml"), id="a YAML to fetch"),
        pytest.param(lambda: with_attribute("_modules", {"model": [1]}), id="no layers"),
    ],
)
def test_what_a_pickled_model_would_do_is_not_done(model: Callable[[], Any]) -> None:
    torch.save({"model": model(), "ema": None}, "evil.pt")
    with pytest.raises(WeightsError, match=r"evil\.pt"):
        load_weights("evil.pt")
    assert not Path("ran").exists()


@pytest.mark.parametrize("name", ["forward", "float", "state_dict", "load", "fuse", "_apply", "children", "__class__"])
def test_attributes_that_stand_in_for_methods_are_left_out(name: str) -> None:
    """Also hooks: the network that comes out is Ultralytics' own, with the file's numbers."""
    model = with_attribute(name, DetectionModel)
    for hooks in ("_forward_hooks", "_forward_pre_hooks", "_state_dict_hooks", "_load_state_dict_pre_hooks"):
        model.__dict__[hooks] = OrderedDict({0: DetectionModel})
    torch.save({"model": model}, "evil.pt")
    loaded = load_weights("evil.pt")
    assert type(loaded) is DetectionModel
    assert name not in vars(loaded)
    assert not any(vars(part)[hooks] for part in loaded.modules() for hooks in ("_forward_hooks", "_forward_pre_hooks"))
    weight = model._modules["model"][0].conv.weight
    assert torch.equal(loaded.model[0].conv.weight, weight.float())
    assert loaded(torch.zeros(1, 3, 64, 64))


def test_what_was_allowed_before_stays_allowed(tmp_path: Path) -> None:
    """Reading a file neither adds to PyTorch's list of classes nor takes from it."""
    with torch.serialization.safe_globals([SimpleNamespace]):
        before = set(torch.serialization.get_safe_globals())
        save_pt(tmp_path / "a.pt", build_model(TINY, NAMES, {}), metrics={"fitness": 0.5})
        load_weights(tmp_path / "a.pt")
        assert set(torch.serialization.get_safe_globals()) == before


def test_a_fused_model_loads() -> None:
    """As `YOLO.save` writes it after predicting: no batch normalization is left."""
    model = network().float().eval()
    picture = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = model(picture)[0]
        model.fuse(verbose=False)
        assert not any(".bn." in key for key in model.state_dict())
        torch.save({"model": model}, "fused.pt")
        torch.testing.assert_close(load_weights("fused.pt").eval()(picture)[0], expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    "change",
    [
        {"names": {0: "gate", 5: "tree"}},
        {"names": ["gate", "tree"]},
        {"task": ["detect"]},
        {"last_step": float("nan")},
        {"network": {}},
        {"network": {"yaml": {**TINY, "activation": touch()}}},
        {"network": {"yaml": "https://example.invalid/a.yaml"}},
        {"class_weights": "x"},
    ],
)
def test_a_checkpoint_that_was_changed_is_refused(change: dict[str, Any]) -> None:
    content = checkpoint_content()
    torch.save({**content, "aigp": {**content["aigp"], **change}}, "evil.ckpt")
    with pytest.raises(WeightsError):
        load_module("evil.ckpt")
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("yaml", "line"),
    [
        ("names: !!python/object/apply:os.system ['touch ran']", 3),
        ("names: !!python/object/new:subprocess.Popen [['touch', 'ran']]", 3),
        ("names: !!python/name:os.system", 3),
        ("names: [gate]\ndownload: \"open('ran', 'w')\"", None),  # Ultralytics runs such a line
    ],
)
def test_a_data_yaml_runs_nothing(
    yaml: str, line: int | None, run_cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("data.yaml").write_text(f"train: images\nval: images\n{yaml}\n", encoding="utf-8")
    assert run_cli("lint", "data.yaml") == 2
    assert (f"data.yaml:{line}: not valid YAML" if line else "there is no") in capsys.readouterr().err
    assert not Path("ran").exists()


def test_a_data_yaml_of_nested_aliases_is_refused_at_once(run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    Path("data.yaml").write_text(f"{YAML_OF_LAUGHS}train: images\nval: images\nnames: *l8\n", encoding="utf-8")
    assert run_cli("lint", "data.yaml") == 2
    assert "data.yaml:4: not valid YAML: aliases (`*`) repeat more than 10,000 values" in capsys.readouterr().err


def test_a_description_of_nested_lists_is_refused_at_once() -> None:
    """A YAML's aliases, or a pickle's, make lists that hold one another many times."""
    row: list[Any] = [1]
    for _ in range(7):
        row = [row] * 100
    with pytest.raises(ValueError, match="more than 100,000"):
        public_description({"head": row})


@pytest.mark.parametrize("content", [f"{YAML_OF_LAUGHS}data: *l8\n", "data: &a [*a]\n", f"data: {'9' * 400}\n"])
def test_the_configuration_of_a_run_is_read_within_limits(content: str, tmp_path: Path) -> None:
    """Audit, report, ship and the store read it, and W&B's and MLflow's YAML in the same way."""
    (tmp_path / "config.yaml").write_text(content, encoding="utf-8")
    assert read_config(tmp_path) == (None, "is not valid YAML")


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (f"model:\n  max_det: 0x{'f' * 4000}\n", 2, "a whole number beyond 64 bits"),
        (f"data:\n  augment:\n    degrees: {'1:' * 300}1.5\n", 3, "a number beyond 64 bits"),
    ],
)
def test_a_config_has_numbers_of_64_bits(
    text: str, line: int, problem: str, run_cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a.yaml").write_text(text, encoding="utf-8")
    assert run_cli("fit", "--config", "a.yaml") == 2
    assert f"--config a.yaml:{line}: it is no YAML: {problem}" in capsys.readouterr().err


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system ['touch ran']", "!!python/name:os.system"])
def test_a_config_cannot_carry_python_tags(tag: str, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """A configuration is the user's own program, but it says what it builds by `class_path`, not by YAML's tags."""
    Path("a.yaml").write_text(f"model:\n  class_path: {tag}\n", encoding="utf-8")
    assert run_cli("fit", "--config", "a.yaml") == 2
    assert "--config a.yaml:2: " in (said := capsys.readouterr().err)
    assert "is no kind of value for an option" in said
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    "option",
    [
        ("--model", "os.system"),
        ("--model", "subprocess.Popen"),
        ("--trainer.callbacks", "subprocess.Popen"),
        ("--trainer.logger", "subprocess.Popen"),
        ("--trainer.plugins", "subprocess.Popen"),
    ],
)
def test_a_class_of_another_kind_is_refused(
    option: tuple[str, str], run_cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    where, path = option
    with pytest.raises(SystemExit) as caught:
        run_cli("fit", where, f'{{"class_path": "{path}", "init_args": {{"args": ["touch", "ran"]}}}}')
    assert caught.value.code == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(said) == 1
    assert where.lstrip("-") in said[0]
    assert not Path("ran").exists()
