"""Options that a checkpoint carries: for `validate`, `test` and `predict` they take the place of the defaults.

What the command line or a configuration says wins, and where it differs a line says both.

Longer than 250 lines: the options by which a model's figures come out the same are told from all others in one place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.checkpoints.paths import best_in
from aigp_lightning.checkpoints.weight_places import located
from aigp_lightning.cli.by_class import named_class
from aigp_lightning.cli.carried_thresholds import CarriedThresholds, carried_thresholds
from aigp_lightning.cli.exported_weights import keep_camera
from aigp_lightning.cli.preflight import task_of
from aigp_lightning.cli.start_weights import named_values
from aigp_lightning.data.batch_choice import settled_batch
from aigp_lightning.data.input_size import USUAL_SIZE
from aigp_lightning.errors import ConfigError, UserError, WeightsError, tell_user, warn_user
from aigp_lightning.evaluation.named_model import EXPORTED as SUFFIXES
from aigp_lightning.modules.registry import module_class, trained_with
from aigp_lightning.modules.run_options import accepted_options, plain
from aigp_lightning.modules.trained_with import VALIDATED_BY, TrainedWith
from aigp_lightning.paths import expand_home
from aigp_lightning.run.folder import RunConfig, find_last_checkpoint

if TYPE_CHECKING:
    from lightning.pytorch.cli import LightningArgumentParser

    from aigp_lightning.evaluation.exported_graph import ExportedGraph

CHECKPOINT, WEIGHTS = "ckpt_path", "model.weights"
"""Options that name a trained model."""
LOOKED_FOR = (CHECKPOINT, WEIGHTS, "run.name", "run.root")
TRAINING_ONLY = (
    "variant", "weights", "freeze", "optim", "class_weights", "channels_last", "compile", "multi_scale",
    "distill_model", "qat", "groups", "queries", "decoder_layers", "drop_path", "freeze_encoder", "thresholds",
)  # fmt: skip
"""Arguments of modules that no figure of a trained model depends on."""
PREDICTING = (
    "imgsz", "resize", "classes", "predict_conf", "iou", "max_det", "agnostic_nms", "tta", "nms_free", "keypoint_conf",
)  # fmt: skip
"""Options that predictions depend on."""
TASKS = ("detect", "pose", "segment")
NOT_SAID: dict[str, Any] = {"data_yaml": "", "imgsz": 0}
"""Values that nobody gives, as defaults of what a checkpoint does not say."""


@dataclass(frozen=True)
class Carried:
    """The options of a run that the trained model of a command carries.

    Attributes:
        path: the checkpoint or weights file.
        task: of its module.
        class_path: of the module that opens it; None where its family is not known, or another class is asked for.
        data: options of the data.
        model: arguments of the module.
        family: of its module.
        thresholds: that were calibrated for it; of `predict` alone.
        graph: the exported file, opened; None of any other.
    """

    path: Path
    task: str
    class_path: str | None
    data: dict[str, Any]
    model: dict[str, Any]
    family: str = ""
    thresholds: CarriedThresholds = field(default_factory=CarriedThresholds)
    graph: ExportedGraph | None = None

    def set_defaults(self, parser: LightningArgumentParser) -> None:
        """Make the options of the run the defaults of a parser.

        Args:
            parser: of the verb, with all its groups.
        """
        parser.set_defaults({f"data.{name}": value for name, value in {**NOT_SAID, **self.data}.items()})
        if self.class_path is not None:
            arguments = {**self.model, **self.thresholds.limits}
            parser.set_defaults({"model": {"class_path": self.class_path, "init_args": arguments}})

    def settle(self, config: Any, verb: str, words: Sequence[str]) -> None:
        """Tell where the configuration differs from the run, and fill in what neither says.

        Args:
            config: the verb's; changed in place.
            verb: validate, test or predict.
            words: of the command line.

        Raises:
            ConfigError: the data set is not known, or not there any more.
            WeightsError: the configuration is for another task.
        """
        if (asked := task_of(config)) != self.task:
            raise WeightsError(f"{self.path} is of a {self.task} model; the configuration asks for {asked}.")
        if config.get("ckpt_path") is not None and config.model.get("init_args", {}).get("weights") is not None:
            config.model.init_args.weights = None  # the file that the run started from
        data = config.data
        data.batch_size = settled_batch(data.batch_size, self.data.get("batch_size"))
        if data.imgsz == NOT_SAID["imgsz"]:
            data.imgsz = USUAL_SIZE
            warn_user(
                f"{self.path} does not say at which image size it was trained: --data.imgsz {USUAL_SIZE} is taken"
            )
        if verb != "predict":
            self._check_data(data)
        if self.graph is not None:
            keep_camera(config, self.model.get("camera"), words, self.path)
        self._tell(list(self._differences(config, verb)), words)
        given = config.model.get("init_args")
        self.thresholds.tell({} if given is None else plain(given.as_dict()))

    def _check_data(self, data: Any) -> None:
        if data.data_yaml == NOT_SAID["data_yaml"]:
            raise ConfigError(f"{self.path} does not say which data set it was trained on: give --data.data_yaml.")
        if data.data_yaml == self.data.get("data_yaml") and not os.path.exists(data.data_yaml):
            raise ConfigError(
                f"the data set of {self.path} is not there any more: {data.data_yaml}. Give --data.data_yaml its place."
            )

    def _differences(self, config: Any, verb: str) -> Iterator[tuple[str, Any, Any]]:
        """Yield options that the verb's figures depend on: name, value, and the value of the run."""
        counted = PREDICTING if verb == "predict" else (*VALIDATED_BY, *self.model)
        for name, theirs in self.data.items():
            ours = getattr(config.data, name)
            if name in counted and not (_same_file(config.data, theirs) if name == "data_yaml" else ours == theirs):
                yield f"data.{name}", ours, theirs
        given = config.model.get("init_args")
        given = {} if given is None else plain(given.as_dict())
        for name, theirs in self.model.items():
            known = name in TRAINING_ONLY or name in self.thresholds.limits  # of these it is told apart
            if name in counted and not known and name in given:
                yield from _unequal(f"model.{name}", given[name], theirs)

    def _tell(self, differences: list[tuple[str, Any, Any]], words: Sequence[str]) -> None:
        typed = {word.partition("=")[0].removeprefix("--").replace(".init_args.", ".") for word in words}
        for source, named in (("the command line", True), ("the configuration", False)):
            found = [each for each in differences if (each[0] in typed) == named]
            if not found:
                continue
            listed = ", ".join(f"--{name} {_shown(ours)} (the run: {_shown(theirs)})" for name, ours, theirs in found)
            text = f"{source} asks for other options than {self.path} was trained with: {listed}"
            if named:
                tell_user(text)
            else:
                warn_user(f"{text}. Without --config the run's are taken.")


def carried_options(verb: str, words: Sequence[str]) -> Carried | None:
    """Find the trained model that a command is about, and read the options of its run.

    Args:
        verb: of Lightning's.
        words: of the command line.

    Returns:
        None for `fit`, whose options are its own; and where no model is named or can be read, which is told when the
        command line is parsed.
    """
    if verb == "fit":
        return None
    named = named_values(words, asked := named_class(words), LOOKED_FOR)
    checkpoint, weights = named.get(CHECKPOINT), named.get(WEIGHTS)
    carried = None
    with suppress(UserError, OSError):
        path = _last(named) if checkpoint == "last" else Path(checkpoint or located(weights or "") or "")
        path = best_in(path) or path if checkpoint else path
        if path.suffix in SUFFIXES and path.is_file():
            carried = carried_by_graph(path, asked)
        elif path.is_file():
            carried = _carried(path, trained_with(path), asked)
    if carried is None or carried.class_path is None or verb != "predict":
        return carried
    kind = module_class(carried.family, carried.task, carried.path)
    return replace(carried, thresholds=carried_thresholds(carried.path, kind, words, asked, carried.graph))


def carried_by_graph(path: Path, asked: str | None) -> Carried:
    """Return what an exported file says; what it decides by itself, such as how pictures are resized, is no option.

    Args:
        path: of the file.
        asked: see `_carried`.

    Raises:
        ConfigError: a package is missing.
        WeightsError: it cannot be opened.
    """
    from aigp_lightning.evaluation.exported import told_by_graph
    from aigp_lightning.evaluation.exported_graph import open_graph

    graph = open_graph(path)
    told = told_by_graph(graph)
    own = {"resize", "nms_free", *(() if graph.fixed_size is None else ("rect",))}
    data, model = ({name: value for name, value in each.items() if name not in own} for each in (told.data, told.model))
    return replace(_carried(path, replace(told, data=data, model=model), asked), graph=graph)


def _carried(path: Path, told: TrainedWith, asked: str | None) -> Carried:
    """Return what a model says; its class and arguments are no defaults where another class is asked for.

    Args:
        path: of the model.
        told: by it.
        asked: name of the class, with or without its module's.
    """
    class_path, model = None, told.model
    with suppress(UserError):  # an unknown family is told when the checkpoint is opened
        kind = module_class(told.family, told.task, path)
        model = accepted_options(kind, told.model)
        if isinstance(camera := model.get("camera"), dict):
            from aigp_lightning.modules.metrics.camera_values import as_given

            model["camera"] = as_given(camera)  # so that another profile counts
        if asked is None or asked.rpartition(".")[2] == kind.__name__:
            class_path = f"{kind.__module__}.{kind.__name__}"
    return Carried(path, told.task, class_path, told.validated_by, model, told.family)


def _last(named: Mapping[str, str]) -> Path:
    """Return what `--ckpt_path last` stands for: the newest run of the name, of the task that is configured or any.

    Raises:
        ConfigError: there is none.
    """
    usual = RunConfig()
    root, name = Path(named.get("run.root", usual.root)), named.get("run.name", usual.name)
    found = []
    for task in TASKS:
        with suppress(ConfigError):
            found.append(find_last_checkpoint(root / task, name))
    if not found:
        raise ConfigError(f"no run named {name} in {root}")
    return max(found, key=lambda path: path.stat().st_mtime)


def _same_file(data: Any, theirs: str) -> bool:
    from aigp_lightning.data.preparation import TASK

    ours = expand_home(str(data.data_yaml))
    if TASK in ours and data.get("synthetic") is not None:
        ours = ours.replace(TASK, data.synthetic.task)
    if os.path.isdir(ours):
        ours = os.path.join(ours, "data.yaml")
    return os.path.realpath(ours) == os.path.realpath(theirs)


def _unequal(name: str, ours: Any, theirs: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield where two values differ; of nested ones only the parts that do."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for key in theirs:
            if key in ours:
                yield from _unequal(f"{name}.{key}", ours[key], theirs[key])
    elif ours != theirs:
        yield name, ours, theirs


def _shown(value: Any) -> str:
    return {None: "null", True: "true", False: "false"}.get(value, str(value)) if _is_word(value) else str(value)


def _is_word(value: Any) -> bool:
    """True if YAML has another word for a value than Python."""
    return value is None or isinstance(value, bool)
