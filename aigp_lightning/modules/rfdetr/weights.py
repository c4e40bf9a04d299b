"""RF-DETR's weights files: reading them as data, and writing what `rfdetr` opens."""

from __future__ import annotations

import io
import math
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aigp_lightning.checkpoints.schema import METADATA, checkpoint_metadata, family_of
from aigp_lightning.errors import WeightsError, first_line
from aigp_lightning.files import write_atomic
from aigp_lightning.modules.rfdetr.network import Description, RFDETRNetwork
from aigp_lightning.modules.rfdetr.package import module_of_package
from aigp_lightning.modules.rfdetr.variants import VARIANTS, Variant

FAMILY = "rfdetr"
"""Name of the family in checkpoints."""
SUFFIXES = (".pth", ".ckpt")
OURS = "network.model."
"""Before the names of the network's tensors in our checkpoints; in the package's own it is `model.`."""
CLASS_HEADS = ("class_embed.", "transformer.enc_out_class_embed.")
"""Layers with a row for each class."""
QUERIES = ("refpoint_embed.weight", "query_feat.weight")
"""Embeddings of all groups' queries, one group after the other."""
POSITIONS = "backbone.0.encoder.encoder.embeddings.position_embeddings"
PATCHES = "backbone.0.encoder.encoder.embeddings.patch_embeddings.projection.weight"
COCO_ROWS = 91
"""Rows of the published weights' heads: COCO numbers its 80 classes from 1 to 90, with gaps."""
WIDTH = 256
"""Width of the decoder of all variants here."""


@dataclass(frozen=True)
class FoundWeights:
    """The content of a weights file.

    Attributes:
        path: the file.
        tensors: of the package's network, by their names; a row a class, and one of none at the end.
        names: class names by id.
        description: of the network that they fit.
        settings: of the data, as far as the file says: `imgsz`, `resize`, `data`, `single_cls`.
    """

    path: Path
    tensors: dict[str, Tensor]
    names: dict[int, str]
    description: Description
    settings: dict[str, Any]


def read_weights(path: str | Path) -> FoundWeights:
    """Read an RF-DETR `.pth`, the package's own checkpoint, or one of ours; no code in it is run.

    Args:
        path: the file.

    Raises:
        WeightsError: there is no such file, or it holds no RF-DETR that this version knows.
    """
    path = Path(path)
    if not path.is_file():  # asked here, since the package would look for it on the network
        raise WeightsError(f"no weights file at {path}. Give the path of an RF-DETR .pth on this disk.")
    if path.suffix not in SUFFIXES:
        raise WeightsError(
            f"{path} is no weights file of RF-DETR's, which end in .pth; those of YOLO are another family."
        )
    content = _load(path)
    tensors = _tensors(content, path)
    try:
        described = _described(tensors, _said(content))
    except (KeyError, IndexError, ValueError) as error:
        raise WeightsError(f"{path} holds no RF-DETR detector: {first_line(error)}.") from error
    names = _names(content, path, tensors)
    _drop_unnamed_rows(tensors, names)
    described = Description(**{**described.state(), "classes": len(names)})
    return FoundWeights(path, tensors, dict(enumerate(names.values())), described, _settings(content, described))


def _load(path: Path) -> dict[str, Any]:
    """Load a file with tensors and plain values; what argparse makes, as in earlier files of the package, is one."""
    try:
        with torch.serialization.safe_globals([Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen types for a file that is cut off or no checkpoint
        raise WeightsError(
            f"cannot read {path}: it is cut off, or holds more than tensors and plain values."
        ) from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds no RF-DETR detector.")
    return content


def _tensors(content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """Return the network's tensors, from a `.pth` or a Lightning checkpoint."""
    ours = content.get(METADATA)
    if isinstance(content.get("state_dict"), dict) and isinstance(ours, dict):
        family = family_of(checkpoint_metadata(content, path))
        if family != FAMILY:
            raise WeightsError(f"{path} is of family {family}; the configuration asks for {FAMILY}.")
    found: Any = content.get("model")
    if not isinstance(found, dict):
        prefix, state = OURS if isinstance(ours, dict) else "model.", content.get("state_dict")
        state = state if isinstance(state, dict) else {}
        found = {name.removeprefix(prefix): value for name, value in state.items() if str(name).startswith(prefix)}
        found = {name.removeprefix("_orig_mod."): value for name, value in found.items()}  # of a compiled network
    found = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
    if not found:
        raise WeightsError(f"{path} holds no RF-DETR detector.")
    return {name: value.float() if value.is_floating_point() else value for name, value in found.items()}


def _said(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that the package keeps in a file: those of the training, and over them the network's."""
    said: dict[str, Any] = {}
    for key in ("args", "hyper_parameters", "model_config"):
        values = content.get(key)
        values = vars(values) if isinstance(values, Namespace) else values
        said |= values if isinstance(values, dict) else {}
    return {**said, "model_name": content.get("model_name") or said.get("model_name")}


def _described(tensors: Mapping[str, Tensor], said: Mapping[str, Any]) -> Description:
    """Describe a network by the shapes of its tensors, and choose among variants that share them by what is said."""
    rows, width = tensors["class_embed.weight"].shape
    if width != WIDTH or any(name.startswith(("segmentation_head", "keypoint_embed")) for name in tensors):
        raise ValueError("it is another kind of network, for segmentation, keypoints or of an earlier version")
    patch, layers = tensors[PATCHES].shape[-1], _count(tensors, "transformer.decoder.layers.")
    groups = max(_count(tensors, "transformer.enc_out_class_embed."), 1)
    positions = math.isqrt(tensors[POSITIONS].shape[1] - 1)
    fitting = [name for name, variant in VARIANTS.items() if (variant.patch, variant.layers) == (patch, layers)]
    fitting = fitting or [name for name, variant in VARIANTS.items() if variant.patch == patch]
    named = [name for name in fitting if VARIANTS[name].model == said.get("model_name")]
    sized = [name for name in fitting if VARIANTS[name].imgsz == positions * patch]
    variant = (named or sized or fitting)[0]
    size = said.get("resolution")
    imgsz = size if type(size) is int and size > 0 else _usual_size(VARIANTS[variant], positions)
    queries = tensors[QUERIES[0]].shape[0] // groups
    return Description(variant, rows - 1, imgsz, positions, layers, queries, groups)


def _usual_size(variant: Variant, positions: int) -> int:
    """Return the side of the input that embeddings of positions were trained at, where the file does not say."""
    size = positions * variant.patch
    return size if size % variant.stride == 0 else variant.imgsz


def _count(tensors: Mapping[str, Tensor], prefix: str) -> int:
    """Return how many numbered layers there are under a name."""
    numbers = {name.removeprefix(prefix).partition(".")[0] for name in tensors if name.startswith(prefix)}
    return len(numbers)


def _names(content: Mapping[str, Any], path: Path, tensors: Mapping[str, Tensor]) -> dict[int, str]:
    """Return the classes' names by their rows in the head."""
    ours = content.get(METADATA)
    if isinstance(ours, dict) and isinstance(ours.get("names"), dict):
        return {int(row): str(name) for row, name in ours["names"].items()}
    rows, said = tensors["class_embed.weight"].shape[0], _said(content).get("class_names")
    listed = list(said.values()) if isinstance(said, dict) else list(said) if isinstance(said, list | tuple) else []
    if len(listed) == rows - 1:
        return {row: str(name) for row, name in enumerate(listed)}
    if rows == COCO_ROWS:
        coco = module_of_package("rfdetr.assets.coco_classes").COCO_CLASSES
        return {int(row): str(name) for row, name in sorted(coco.items())}
    return {row: f"class{row}" for row in range(rows - 1)}


def _drop_unnamed_rows(tensors: dict[str, Tensor], names: Mapping[int, str]) -> None:
    """Keep the rows of named classes in the order of their ids, and the last one, which is of no class."""
    rows = tensors["class_embed.weight"].shape[0]
    kept = torch.tensor([*names, rows - 1])
    if len(kept) != rows:
        for name in [name for name in tensors if name.startswith(CLASS_HEADS)]:
            tensors[name] = tensors[name][kept]


def _settings(content: Mapping[str, Any], description: Description) -> dict[str, Any]:
    """Return what a file says of the data that it was trained on, under our names."""
    ours = content.get("aigp_settings")
    found = {"imgsz": description.imgsz, "resize": "stretch", **(ours if isinstance(ours, dict) else {})}
    kinds: dict[str, type] = {"imgsz": int, "resize": str, "data": str, "single_cls": bool}
    return {name: value for name, value in found.items() if type(value) is kinds.get(name)}


def save_pth(
    path: Path,
    network: RFDETRNetwork,
    names: Mapping[int, str],
    epoch: int = -1,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Write a `.pth` that `rfdetr` opens, by its class or by `from_checkpoint`. The write is atomic.

    Args:
        path: where to.
        network: with the weights to save.
        names: class names by id.
        epoch: the epoch that they are from.
        settings: of the data they were trained on: `imgsz`, `resize`, `data`, `single_cls`; of paths, files' names are
            kept.

    Raises:
        OSError: the disk is full or not writable; an older file is as it was.
    """
    described = network.description
    variant, size = VARIANTS[described.variant], int((settings or {}).get("imgsz", described.imgsz))
    config = {
        **{"num_classes": described.classes, "resolution": size, "positional_encoding_size": described.positions},
        **{"dec_layers": described.decoder_layers, "num_queries": described.queries, "num_select": described.queries},
        **{"group_detr": described.groups, "patch_size": variant.patch, "num_windows": variant.windows},
    }
    kept = {key: value for key, value in (settings or {}).items() if key in ("imgsz", "resize", "data", "single_cls")}
    content = {
        "model": {key: value.detach().cpu().float() for key, value in network.model.state_dict().items()},
        "args": {**config, "class_names": list(names.values()), "pretrain_weights": variant.published},
        "model_config": config,
        "model_name": variant.model,
        "epoch": epoch,
        "aigp_settings": {**kept, **({"data": Path(kept["data"]).name} if "data" in kept else {})},
    }
    buffer = io.BytesIO()  # torch's own writer hides a full disk's errno, and some paths on Windows
    torch.save(content, buffer)
    write_atomic(path, buffer.getbuffer())
