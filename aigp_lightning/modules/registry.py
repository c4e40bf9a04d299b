"""Checkpoints and weights files opened by the class of their family and task, which `families.py` lists.

A new family is an entry there, or a call of `register`.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from aigp_lightning.checkpoints.load import read_checkpoint, read_metadata
from aigp_lightning.checkpoints.schema import METADATA, family_of, options_of
from aigp_lightning.errors import UserError, WeightsError, first_line
from aigp_lightning.modules.base import BaseModule
from aigp_lightning.modules.families import CLASSES, FILES, ClassOf
from aigp_lightning.modules.run_options import build_module
from aigp_lightning.modules.trained_with import TrainedWith, told_by_checkpoint


def register(family: str, task: str, class_of: ClassOf) -> None:
    """Make a family known, so that its checkpoints open outside a trainer.

    Args:
        family: as the class's attribute `family`.
        task: as the class's attribute `task`; two families may share one.
        class_of: imports the class and returns it.

    Example:
        >>> import torch
        >>> from aigp_lightning.types import Prediction
        >>> class Blank(BaseModule):  # as small as a family can be: it finds nothing
        ...     family = "blank"
        ...     def build_network(self, names, description=None):
        ...         return torch.nn.Linear(1, 1)
        ...     def network_description(self):
        ...         return {}
        ...     def predict_batch(self, batch, conf):
        ...         nothing = torch.zeros(0)
        ...         return [Prediction(nothing.view(0, 4), nothing, nothing.long()) for _ in batch["img"]]
        >>> register("blank", "detect", lambda: Blank)
        >>> module_class("blank", "detect").__name__
        'Blank'
        >>> module = Blank()
        >>> module.set_network(module.build_network({0: "gate"}), {0: "gate"})
        >>> [len(found.boxes) for found in module.predict_batch({"img": torch.zeros(2, 3, 32, 32)}, conf=0.25)]
        [0, 0]
        >>> del CLASSES["blank", "detect"]  # for this example alone
    """
    CLASSES[family, task] = class_of


def module_class(family: str, task: str, source: str | Path = "the checkpoint") -> type[BaseModule]:
    """Return the class of a family's modules for a task.

    Args:
        family: see `register`.
        task: see `register`.
        source: the file that asks for it, for errors.

    Raises:
        WeightsError: there is none.

    Example:
        >>> module_class("yolo", "pose").__name__
        'PoseModule'
    """
    tasks = [known for other, known in CLASSES if other == family]
    if not tasks:
        known = ", ".join(dict.fromkeys(other for other, _ in CLASSES))
        raise WeightsError(f"{source} is of family {family!r}; this version knows {known}.")
    if task not in tasks:
        raise WeightsError(f"{source} is of task {task!r}; this version knows {', '.join(tasks)}.")
    return CLASSES[family, task]()


def load_module(path: str | Path) -> BaseModule:
    """Rebuild the module of a checkpoint, with its averaged weights, in eval mode on the CPU.

    Args:
        path: a `.ckpt` of ours, of any family that is registered.

    Raises:
        WeightsError: it cannot be read, is another program's, or of a family that is not known.

    Example:
        >>> import tempfile
        >>> import torch
        >>> class Dot(BaseModule):
        ...     family = "dot"
        ...     def build_network(self, names, description=None):
        ...         return torch.nn.Linear(1, 1)
        ...     def network_description(self):
        ...         return {}
        >>> module = Dot()
        >>> module.set_network(module.build_network({0: "gate"}), {0: "gate"})
        >>> content = {"state_dict": module.state_dict()}  # a trainer writes more
        >>> module.on_save_checkpoint(content)
        >>> register("dot", "detect", lambda: Dot)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     torch.save(content, Path(folder) / "best.ckpt")
        ...     load_module(Path(folder) / "best.ckpt").names
        {0: 'gate'}
        >>> del CLASSES["dot", "detect"]  # for this example alone
    """
    return rebuild(read_checkpoint(path), path)


def rebuild(content: dict[str, Any], path: str | Path) -> BaseModule:
    """Rebuild a module as its checkpoint describes it, with the options of its run, in eval mode on the CPU.

    Args:
        content: see `read_checkpoint`.
        path: where it was read from, for errors.

    Raises:
        WeightsError: its weights do not fit its description, or its family is not known.

    Example:
        >>> import torch
        >>> class Dot(BaseModule):
        ...     family = "dot"
        ...     def build_network(self, names, description=None):
        ...         return torch.nn.Linear(1, 1)
        ...     def network_description(self):
        ...         return {}
        >>> module = Dot()
        >>> module.set_network(module.build_network({0: "gate"}), {0: "gate"})
        >>> content = {"state_dict": module.state_dict()}
        >>> module.on_save_checkpoint(content)
        >>> register("dot", "detect", lambda: Dot)
        >>> twin = rebuild(content, "best.ckpt")
        >>> twin.names, torch.equal(twin.network.weight, module.network.weight)
        ({0: 'gate'}, True)
        >>> del CLASSES["dot", "detect"]  # for this example alone
    """
    metadata = content[METADATA]
    kind = module_class(family_of(metadata), metadata["task"], path)
    module = build_module(kind, options_of(metadata, "model"), path)
    module.on_load_checkpoint(content)
    try:
        module.load_state_dict(content["state_dict"])
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        why = first_line(error)
        raise WeightsError(f"the weights in {path} do not fit the network that it describes: {why}") from error
    return module.eval()


def open_weights(path: str | Path) -> BaseModule:
    """Open a family's own weights file, such as an Ultralytics `.pt`, in eval mode on the CPU.

    Args:
        path: the file; its suffix says whose it is.

    Raises:
        WeightsError: it cannot be read, or nobody's files have this suffix.

    Example:
        >>> import tempfile
        >>> module = module_class("yolo", "detect")()
        >>> module.set_network(module.build_network({0: "gate"}))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     module.deployment.write_portable(Path(folder) / "best.pt")
        ...     open_weights(Path(folder) / "best.pt").names
        {0: 'gate'}
    """
    return FILES.get(Path(path).suffix, FILES[".pt"]).open(Path(path))


def kind_of_file(path: str | Path) -> str | None:
    """Return the kind of weights file that a path names, for messages; None for any that is no family's own.

    Args:
        path: its suffix says whose it is; nothing has to be there.

    Example:
        >>> kind_of_file("runs/best.pt"), kind_of_file("runs/best.ckpt")
        ('an Ultralytics file', None)
    """
    known = FILES.get(Path(path).suffix)
    return None if known is None else known.kind


def check_family(path: str | Path, family: str) -> None:
    """Refuse a weights file that is another family's own, and a checkpoint that another family's run wrote.

    Args:
        path: its suffix says whose it is, and a checkpoint itself; nothing has to be there.
        family: of the module that is to take it.

    Raises:
        WeightsError: it is another family's.

    Example:
        >>> check_family("best.pt", "yolo")
    """
    known = FILES.get(Path(path).suffix)
    kind, theirs = (f"{known.kind}, ", known.family) if known is not None else ("", _family_of_checkpoint(Path(path)))
    if theirs is not None and theirs != family:
        config = next((each.config for each in FILES.values() if each.family == theirs), None)
        advice = f"Take --config {config}, or weights" if config is not None else "Take weights"
        raise WeightsError(
            f"{path} is {kind}of family {theirs}; the configuration asks for family {family}. {advice} of this family."
        )


def _family_of_checkpoint(path: Path) -> str | None:
    """Return the family of a checkpoint of ours; None for what is none, which is told when it is opened."""
    if path.suffix == ".ckpt" and path.is_file():
        with suppress(UserError, OSError):
            return family_of(read_metadata(path))
    return None


def trained_with(path: str | Path) -> TrainedWith:
    """Return what a checkpoint, or a family's own weights file, says of the run that wrote it.

    Args:
        path: a `.ckpt` of ours, or a file such as a `.pt`. That has no folders of a data set; where it lies beside the
            checkpoint that it was written from, as in a run folder, the checkpoint says more.

    Raises:
        WeightsError: it cannot be read.

    Example:
        >>> import tempfile
        >>> import torch
        >>> module = module_class("yolo", "detect")(iou=0.5)
        >>> module.set_network(module.build_network({0: "gate"}))
        >>> content = {"state_dict": {}}
        >>> module.on_save_checkpoint(content)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     torch.save(content, Path(folder) / "best.ckpt")
        ...     trained_with(Path(folder) / "best.ckpt").model["iou"]
        0.5
    """
    known = FILES.get(Path(path).suffix)
    return known.told_by(Path(path)) if known is not None else told_by_checkpoint(read_metadata(Path(path)))
