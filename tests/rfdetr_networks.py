"""What tests of RF-DETR share: the smallest network that there is, and the package's own from the same numbers."""

from __future__ import annotations

import warnings
from argparse import Namespace
from typing import Any

import torch

from aigp_lightning.modules.rfdetr import RFDETRModule
from aigp_lightning.modules.rfdetr.description import DetrGains
from aigp_lightning.modules.rfdetr.package import module_of_package

NAMES = {0: "gate", 1: "tree"}
SIZE = 64
TINY: dict[str, Any] = {"groups": 2, "queries": 30, "decoder_layers": 2, "multi_scale": "off"}
OPTIONS = ("--model.groups", 2, "--model.queries", 30, "--model.decoder_layers", 1, "--model.multi_scale", "off")
"""The same on a command line, with one layer less."""


def tiny_module(
    seed: int = 0, names: dict[int, str] | None = None, fresh: bool = False, **options: Any
) -> RFDETRModule:
    """A module with a network of random weights; its heads are not at zero, unless it is to be as new ones are."""
    module = RFDETRModule("nano", **{**TINY, **options})
    module.imgsz = SIZE
    torch.manual_seed(seed)
    module.set_network(module.build_network(names or NAMES))
    if not fresh:
        module.network.model.load_state_dict(shaken(module.network.model.state_dict(), seed))
    return module


def shaken(state: dict[str, torch.Tensor], seed: int) -> dict[str, torch.Tensor]:
    """Random boxes and classes in the place of the zeros that a new head begins with."""
    random = torch.Generator().manual_seed(seed)
    return {
        name: value + 0.1 * torch.randn(value.shape, generator=random) if "embed" in name and value.ndim else value
        for name, value in state.items()
    }


def packages_configs(options: dict[str, Any] | None = None, classes: int = 2, **training: Any) -> tuple[Any, Any]:
    """The package's settings of the same network, and of a training."""
    config, sizes = module_of_package("rfdetr.config"), {**TINY, **(options or {})}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = config.RFDETRNanoConfig(
            num_classes=classes, resolution=SIZE, pretrain_weights=None, device="cpu", num_queries=sizes["queries"],
            num_select=sizes["queries"], group_detr=sizes["groups"], dec_layers=sizes["decoder_layers"],
        )  # fmt: skip
        usual = {"accelerator": "cpu", "num_workers": 0, "tensorboard": False, "multi_scale": False, "use_ema": False}
        train = config.TrainConfig(dataset_dir=".", output_dir=".", **{**usual, **training})
    return model, train


def packages_namespace(options: dict[str, Any] | None = None, **training: Any) -> Namespace:
    """What the package's own builders take."""
    made = module_of_package("rfdetr._namespace")._namespace_from_configs(*packages_configs(options, **training))
    return made  # type: ignore[no-any-return]


def packages_targets(batch: dict[str, Any]) -> list[dict[str, torch.Tensor]]:
    """The labels of each image, by a loop."""
    found = []
    for image in range(len(batch["img"])):
        mine = batch["batch_idx"] == image
        found.append({"labels": batch["cls"][mine], "boxes": batch["bboxes"][mine]})
    return found


__all__ = ["NAMES", "OPTIONS", "SIZE", "TINY", "DetrGains", "packages_configs", "packages_namespace", "tiny_module"]
