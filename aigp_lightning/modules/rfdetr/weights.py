"""RF-DETR's weights files: reading them as data, and writing what `rfdetr` opens."""

from __future__ import annotations

import io
import math
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aigp_lightning.checkpoints.schema import METADATA
from aigp_lightning.checkpoints.weight_places import find_weights
from aigp_lightning.data.resizing import LETTERBOX, STRETCH
from aigp_lightning.errors import WeightsError, first_line
from aigp_lightning.files import write_atomic
from aigp_lightning.modules.rfdetr.description import LARGEST, Description
from aigp_lightning.modules.rfdetr.network import RFDETRNetwork
from aigp_lightning.modules.rfdetr.package import module_of_package
from aigp_lightning.modules.rfdetr.pth_file import load_pth, network_tensors
from aigp_lightning.modules.rfdetr.variants import VARIANTS, Variant

SUFFIXES = (".pth", ".ckpt")
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
    path = find_weights(path, kind="an RF-DETR .pth")  # asked here, since the package would look on the network
    if path.suffix not in SUFFIXES:
        raise WeightsError(
            f"{path} is no weights file of RF-DETR's, which end in .pth; those of YOLO are another family."
        )
    content = load_pth(path)
    tensors = network_tensors(content, path)
    try:
        described = _described(tensors, _said(content)).checked()
        names = _names(content, tensors)
        _drop_unnamed_rows(tensors, names)
        described = replace(described, classes=len(names)).checked()
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{path} holds no RF-DETR detector: {first_line(error)}.") from error
    return FoundWeights(path, tensors, dict(enumerate(names.values())), described, _settings(content, described))


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
    patches, places = tensors[PATCHES].shape, tensors[POSITIONS].shape
    if patches[-1] not in {variant.patch for variant in VARIANTS.values()}:
        raise ValueError(f"its patches of {patches[-1]} px are of no variant that is known here")
    if width != WIDTH or any(name.startswith(("segmentation_head", "keypoint_embed")) for name in tensors):
        raise ValueError("it is another kind of network, for segmentation, keypoints or of an earlier version")
    patch, layers = patches[-1], _count(tensors, "transformer.decoder.layers.")
    groups = max(_count(tensors, "transformer.enc_out_class_embed."), 1)
    positions = math.isqrt(places[1] - 1)
    fitting = [name for name, variant in VARIANTS.items() if (variant.patch, variant.layers) == (patch, layers)]
    fitting = fitting or [name for name, variant in VARIANTS.items() if variant.patch == patch]
    named = [name for name, each in VARIANTS.items() if (each.model, each.patch) == (said.get("model_name"), patch)]
    sized = [name for name in fitting if VARIANTS[name].imgsz == positions * patch]
    variant = (named or sized or fitting)[0]
    size = said.get("resolution")
    imgsz = _usual_size(VARIANTS[variant], positions)
    if isinstance(size, int) and 0 < size <= LARGEST["imgsz"] and size % VARIANTS[variant].stride == 0:
        imgsz = size
    queries, rest = divmod(tensors[QUERIES[0]].shape[0], groups)
    if rest or positions**2 + 1 != places[1]:
        raise ValueError("its queries are no whole groups, or its positions no square")
    if any(tensor.shape[0] != rows for name, tensor in tensors.items() if name.startswith(CLASS_HEADS)):
        raise ValueError("its heads have other numbers of classes")
    return Description(variant, rows - 1, imgsz, positions, layers, queries, groups)


def _usual_size(variant: Variant, positions: int) -> int:
    """Return the side of the input that embeddings of positions were trained at, where the file does not say."""
    size = positions * variant.patch
    return size if size % variant.stride == 0 else variant.imgsz


def _count(tensors: Mapping[str, Tensor], prefix: str) -> int:
    """Return how many numbered layers there are under a name."""
    numbers = {name.removeprefix(prefix).partition(".")[0] for name in tensors if name.startswith(prefix)}
    return len(numbers)


def _names(content: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[int, str]:
    """Return the classes' names by their rows in the head, rising."""
    ours, rows = content.get(METADATA), tensors["class_embed.weight"].shape[0]
    said = ours.get("names") if isinstance(ours, dict) else _said(content).get("class_names")
    if isinstance(said, list | tuple):
        said = dict(enumerate(said))
    if isinstance(said, dict) and set(said) == set(range(rows - 1)):
        return {row: str(said[row]) for row in range(rows - 1)}
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
    found = {"imgsz": description.imgsz, "resize": STRETCH.name, **(ours if isinstance(ours, dict) else {})}
    kinds: dict[str, type] = {"imgsz": int, "resize": str, "data": str, "single_cls": bool}
    found = {name: value for name, value in found.items() if type(value) is kinds.get(name)}
    if not 0 < found.get("imgsz", 0) <= LARGEST["imgsz"]:
        found["imgsz"] = description.imgsz
    if found.get("resize") not in (STRETCH.name, LETTERBOX.name):
        found["resize"] = STRETCH.name
    return found


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
