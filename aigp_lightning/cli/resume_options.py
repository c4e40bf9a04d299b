"""Options of `fit` in a resumed run: which must stay, which are taken up from there on, which change nothing in it.

Longer than 250 lines: the table has every option of `fit`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aigp_lightning.checkpoints.schema import METADATA, RUN_OPTIONS
from aigp_lightning.errors import ConfigError
from aigp_lightning.logfiles.run_config import read_config
from aigp_lightning.modules.run_options import Extends, plain

REFUSED, TAKEN_UP, HARMLESS = "refused", "taken up", "harmless"
MAX_EPOCHS, PRECISION, BATCH = "trainer.max_epochs", "trainer.precision", "data.batch_size"
PATHS = ("data.data_yaml", "model.weights", "model.distill_model")
"""Options that are the same if they lead to the same file."""
WHOLE = ("data.fraction", "trainer.max_time")
"""Options that may be a mapping of any names, and are compared as one value."""

RESUME: dict[str, dict[str, str]] = {
    REFUSED: {
        "": "seed_everything optimizer lr_scheduler",
        "trainer": "max_epochs overfit_batches fast_dev_run",
        "model": "class_path variant weights freeze gains optim class_weights multi_scale distill_model qat groups "
        "queries decoder_layers drop_path freeze_encoder",
        "data": "imgsz mask_ratio overlap_mask resize seed single_cls",
        "ema": "decay tau",
        "early_stopping": "monitor mode",
        "checkpoint": "monitor mode every_n_epochs",
    },
    TAKEN_UP: {
        "trainer": "accelerator strategy devices num_nodes precision callbacks plugins max_steps max_time min_epochs "
        "min_steps limit_train_batches limit_val_batches val_check_interval check_val_every_n_epoch "
        "accumulate_grad_batches gradient_clip_val gradient_clip_algorithm deterministic benchmark sync_batchnorm "
        "reload_dataloaders_every_n_epochs use_distributed_sampler inference_mode",
        "model": "conf iou max_det agnostic_nms nms_free channels_last compile camera",
        "data": "data_yaml batch_size workers rect augment augment_on decode_on outside match_classes rect_training "
        "fraction classes",
        "run": "hours",
        "close_mosaic": "epochs",
        "nonfinite": "action limit",
        "early_stopping": "min_delta patience strict check_finite stopping_threshold divergence_threshold "
        "check_on_train_epoch_end",
        "checkpoint": "filename save_top_k save_on_train_epoch_end save_last save_on_exception save_weights_only "
        "auto_insert_metric_name every_n_train_steps train_time_interval",
        "results": "filename",
    },
    HARMLESS: {
        "": "config ckpt_path weights_only extend run ddp wandb mlflow media",
        "trainer": "logger limit_test_batches limit_predict_batches num_sanity_val_steps log_every_n_steps "
        "enable_checkpointing enable_progress_bar enable_model_summary profiler detect_anomaly barebones "
        "default_root_dir enable_autolog_hparams model_registry",
        "model": "predict_conf tta thresholds keypoint_conf",
        "data": "strict lost_limit leak_limit synthetic source vid_stride cache",
        "early_stopping": "verbose log_rank_zero_only",
        "checkpoint": "dirpath verbose enable_version_counter",
        "results": "print_lines",
        "checkpoint_every": "epochs",
    },
}
"""Every option of `fit`, by group. A name stands for all that is below it, such as `gains`."""

KIND_OF = {
    f"{group}.{name}".lstrip("."): kind
    for kind, groups in RESUME.items()
    for group, names in groups.items()
    for name in names.split()
}


def check_step_limit(max_steps: int) -> None:
    """Refuse to resume under a limit of optimizer steps.

    Lightning then takes up the loop within the epoch whose end the checkpoint is of: it would train a part of it
    again, and leave out the last one.

    Args:
        max_steps: the trainer's; -1 is no limit.

    Raises:
        ConfigError: there is a limit.
    """
    if max_steps != -1:
        raise ConfigError(
            f"--trainer.max_steps {max_steps}: a run is not resumed under a limit of steps, since Lightning would not "
            "go on from the end of the epoch. Leave it out (-1); --trainer.max_epochs and max_time limit it too."
        )


def kind_of(option: str) -> str | None:
    """Return what a resumed run does about another value of an option; None for one that the table lacks.

    Args:
        option: its full name, without dashes and without `init_args`.

    Example:
        >>> kind_of("model.optim.lr0"), kind_of("data.batch_size"), kind_of("data.batchsize")
        ('refused', 'taken up', None)
    """
    parts = option.split(".")
    names = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((KIND_OF[name] for name in names if name in KIND_OF), None)


def named_options(groups: Mapping[str, Any], harmless: bool = False) -> dict[str, Any]:
    """Return options by their full names, as plain values, and paths in full.

    Args:
        groups: nested, as in a configuration.
        harmless: whether to name those too that change nothing in a resumed run.

    Example:
        >>> named_options({"model": {"class_path": "a.B", "init_args": {"gains": {"box": 7.5}}}, "run": {"name": "x"}})
        {'model.class_path': 'a.B', 'model.gains.box': 7.5}
    """
    found: dict[str, Any] = {}

    def walk(values: Mapping[str, Any], above: tuple[str, ...]) -> None:
        for key, value in values.items():
            place = above if key == "init_args" and len(above) == 1 else (*above, str(key))
            name = ".".join(place)
            of_class = isinstance(value, Mapping) and "class_path" in value and len(place) > 1
            if isinstance(value, Mapping) and value and not of_class and name not in WHOLE:
                walk(value, place)
            elif harmless or kind_of(name) != HARMLESS:
                found[name] = plain(value)

    walk(groups, ())
    return {key: _in_full(value) if key in PATHS else value for key, value in found.items()}


def earlier_options(checkpoint: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
    """Return the options of the run that wrote a checkpoint, as far as they are known.

    They stand in the checkpoint. Those of earlier versions have fewer or none, and then `config.yaml` of the run folder
    is asked.

    Args:
        checkpoint: see `checkpoints/load.py`.
        folder: the run folder that it lies in; None where it lies in none.
    """
    ours = checkpoint[METADATA]
    kept = checkpoint.get("callbacks", {}).get("ResumedRun", {}).get("options")
    if not isinstance(kept, Mapping):
        config = read_config(folder)[0] if folder is not None else None
        kept = named_options(config or {}) if RUN_OPTIONS not in ours else {}
        if kept.get(PRECISION) is None:
            kept.pop(PRECISION, None)  # it was chosen by the machine
        kept |= named_options({"model": {"optim": ours.get("optim") or {}}})
    found = named_options(ours.get(RUN_OPTIONS, {}))
    if isinstance(found.get(BATCH), int):
        kept.pop(BATCH, None)  # it may say that the batch was to be chosen; this is the one that was
    # Runs from before there was a choice do not name the first.
    return {"data.resize": "letterbox", **found, **kept}


def add_extend(parser: Any) -> None:
    """Add the option `--extend`, alone or with true or false."""
    parser.add_argument(
        "--extend", type=bool, nargs="?", const=True, default=False,
        help="resume with a larger --trainer.max_epochs than the run was planned for: its learning rate goes on from "
        "where it is and falls over the epochs that are left",
    )  # fmt: skip


def allow_extension(module: Any, extend: bool, planned: int | None) -> None:
    """Let a module's run become longer than it was planned; a family that plans nothing over the epochs just goes on.

    Args:
        module: of the run.
        extend: whether it may.
        planned: epochs of the run that is resumed, where its checkpoint does not say.
    """
    if isinstance(module, Extends):
        module.extend, module.planned = extend, planned


def check_resumed(
    options: Mapping[str, Any], earlier: Mapping[str, Any], place: str, trained: int | None, extend: bool
) -> str:
    """Refuse options that change what a checkpoint means.

    Args:
        options: of this start, see `named_options`.
        earlier: of the run that wrote the checkpoint.
        place: path of the checkpoint, for errors.
        trained: epochs that the run has trained; None where that is not known.
        extend: whether the run may become longer than it was planned.

    Returns:
        A sentence about those that are taken up from here on; empty where there are none.

    Raises:
        ConfigError: there are some.

    Example:
        >>> check_resumed({"data.batch_size": 8}, {"data.batch_size": 4}, "last.ckpt", 2, extend=False)
        'taken up from epoch 3 on: --data.batch_size 8 (was 4)'
    """
    options, earlier = _as_one_value(options, earlier), _as_one_value(earlier, options)
    other = [name for name in options if name in earlier and not _same(name, options[name], earlier[name])]
    if MAX_EPOCHS in other:
        _check_epochs(options[MAX_EPOCHS], earlier[MAX_EPOCHS], trained, extend)
        other.remove(MAX_EPOCHS)
    said = {name: f"--{name} {_change(options[name], earlier[name])}" for name in other}
    refused = [name for name in other if kind_of(name) == REFUSED]
    if refused:
        as_before = " ".join(f"--{name} {_shown(earlier[name])}" for name in refused)
        raise ConfigError(
            f"{', '.join(said[name] for name in refused)}: not what the run was begun with, and {place} means nothing "
            f"else. Resume it with {as_before}, or begin a new run from its best weights with --model.weights."
        )
    taken = [said[name] for name in other if kind_of(name) in (TAKEN_UP, None)]
    start = f" from epoch {trained + 1} on" if trained is not None else ""
    return f"taken up{start}: {', '.join(taken)}" if taken else ""


def _as_one_value(options: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with a group as one value where the other options have no group there: null turned it off."""
    groups = {
        name: {key.removeprefix(f"{name}."): value for key, value in options.items() if key.startswith(f"{name}.")}
        for name in other.keys() - options.keys()
    }
    return {**options, **{name: group for name, group in groups.items() if group}}


def _check_epochs(epochs: Any, planned: Any, trained: int | None, extend: bool) -> None:
    """Refuse another length of the run, unless it is to become longer."""
    if not isinstance(epochs, int) or not isinstance(planned, int):
        return
    if trained is not None and epochs < trained:
        raise ConfigError(
            f"--trainer.max_epochs {epochs}: the run has trained {trained} of {planned} epochs already. Resume with "
            f"--trainer.max_epochs {planned}, or with --extend and more than that."
        )
    if extend and epochs > planned:
        return
    more = f"add --extend, to train {epochs}" if epochs > planned else "add --extend and more than that"
    raise ConfigError(
        f"--trainer.max_epochs {epochs}: the run was planned for {planned} epochs, over which its schedule is laid "
        f"out. Resume with --trainer.max_epochs {planned}, or {more}."
    )


def _in_full(path: Any) -> Any:
    return str(Path(path).absolute()) if isinstance(path, str) else path


def _same(name: str, one: Any, other: Any) -> bool:
    if name in PATHS and isinstance(one, str) and isinstance(other, str):
        return one == other or Path(one).resolve() == Path(other).resolve()
    return bool(one == other)


def _change(now: Any, before: Any) -> str:
    shown, earlier = _shown(_by_class(now)), _shown(_by_class(before))
    return f"{shown} (was {earlier})" if shown != earlier else f"{shown} (with other settings)"


def _by_class(value: Any) -> Any:
    """Return a value with the names of classes alone; their settings may be many."""
    if isinstance(value, Mapping) and "class_path" in value:
        return str(value["class_path"]).rpartition(".")[2]
    if isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        return f"[{', '.join(str(_by_class(each)) for each in value)}]"
    return value


def _shown(value: Any) -> str:
    """Return a value as it is typed on the command line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_shown(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
