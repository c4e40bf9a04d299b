"""Names of the options of Lightning's verbs: a misspelt one is refused at once, before Lightning is imported.

`tests/cli/test_option_names.py` holds the names equal to those of the parsers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from aigp_lightning.cli.config_files import Complain, check_config_files, config_files
from aigp_lightning.errors import ConfigError

GROUPS = {
    "": "help config print_config seed_everything ckpt_path weights_only optimizer lr_scheduler extend",
    "trainer": "accelerator accumulate_grad_batches barebones benchmark callbacks check_val_every_n_epoch "
    "default_root_dir detect_anomaly deterministic devices enable_autolog_hparams enable_checkpointing "
    "enable_model_summary enable_progress_bar fast_dev_run gradient_clip_algorithm gradient_clip_val inference_mode "
    "limit_predict_batches limit_test_batches limit_train_batches limit_val_batches log_every_n_steps logger "
    "max_epochs max_steps max_time min_epochs min_steps model_registry num_nodes num_sanity_val_steps overfit_batches "
    "plugins precision profiler reload_dataloaders_every_n_epochs strategy sync_batchnorm use_distributed_sampler "
    "val_check_interval",
    "data": "augment augment_on batch_size cache data_yaml decode_on imgsz lost_limit match_classes outside rect "
    "resize seed single_cls source strict synthetic workers",
    "data.augment": "mosaic degrees translate scale shear crop hsv_h hsv_s hsv_v fliplr flipud blur median_blur "
    "to_gray clahe extra",
    "data.synthetic": "out task train val test imgsz backgrounds seed workers force",
    "model": "variant weights gains optim freeze conf predict_conf iou max_det channels_last class_weights compile "
    "camera multi_scale groups queries decoder_layers drop_path freeze_encoder",
    "model.gains": "box cls dfl pose kobj bbox giou aux encoder",
    "model.optim": "name lr0 lrf momentum weight_decay warmup_epochs warmup_momentum warmup_bias_lr cos_lr nbs "
    "clip_norm lr lr_encoder lr_vit_layer_decay lr_component_decay schedule lr_drop min_factor",
    "model.camera": "size width height fx fy cx cy distortion bands",
    "run": "name root exist_ok resume json",
    "ddp": "timeout",
    "wandb": "project config weights code git command console system_metrics requirements host machine init_timeout "
    "finish_timeout",
    "nonfinite": "action limit",
    "ema": "decay tau",
    "close_mosaic": "epochs",
    "media": "train_batches val_batches val_every_n_epochs max_images val_select val_files conf routes private "
    "private_action max_mb keep_history sign",
    "media.routes": "everything train_batch labels labels_correlogram val_labels val_pred curves confusion_matrix "
    "corner_error results",
    "results": "filename print_lines",
    "early_stopping": "monitor min_delta patience verbose mode strict check_finite stopping_threshold "
    "divergence_threshold check_on_train_epoch_end log_rank_zero_only",
    "checkpoint": "dirpath filename monitor verbose save_last save_top_k save_on_exception save_weights_only mode "
    "auto_insert_metric_name every_n_train_steps train_time_interval every_n_epochs save_on_train_epoch_end "
    "enable_version_counter",
}
"""Options that all of these verbs have, by group."""
OWN = {
    "fit": (),
    "plan": ("json",),
    "validate": ("verbose",),
    "test": ("verbose",),
    "predict": ("return_predictions", "output", "output.save_images", "output.save_json", "output.save_txt"),
}
"""Options that some of them have."""
MEANT = {
    "epochs": "trainer.max_epochs",
    "time": "trainer.max_time",
    "batch": "data.batch_size",
    "imgsz": "data.imgsz",
    "data": "data.data_yaml",
    "source": "data.source",
    "workers": "data.workers",
    "device": "trainer.devices",
    "devices": "trainer.devices",
    "trainer.gpus": "trainer.devices",
    "gpus": "trainer.devices",
    "accelerator": "trainer.accelerator",
    "amp": "trainer.precision",
    "half": "trainer.precision",
    "name": "run.name",
    "project": "run.root",
    "exist_ok": "run.exist_ok",
    "resume": "ckpt_path",
    "trainer.resume_from_checkpoint": "ckpt_path",
    "weights": "model.weights",
    "pretrained": "model.weights",
    "optimizer": "model.optim.name",
    "lr": "model.optim.lr0",
    "patience": "early_stopping.patience",
    "seed": "data.seed",
    "fraction": "trainer.limit_train_batches",
    "conf": "model.predict_conf",
    "iou": "model.iou",
    "max_det": "model.max_det",
}
"""Names that Ultralytics, and earlier versions of Lightning, have for options, and ours."""
OF_A_CLASS = (
    "optimizer", "lr_scheduler", "trainer.accelerator", "trainer.callbacks", "trainer.logger", "trainer.plugins",
    "trainer.profiler", "trainer.strategy",
)  # fmt: skip
"""Options whose value is a class of the user's choice: which arguments it takes, its own parser knows."""
KNOWN_MODELS = ("DetectorModule", "PoseModule", "RFDETRModule")
"""Classes whose options stand in the table, by their short names."""
OUR_CLASSES = ("aigp_lightning.", "lightning.", "torch.", "albumentations.")
CLASS_PATH = re.compile(r"class_path['\"]?\s*:\s*['\"]?([\w.]+)")


def option_names(verb: str) -> set[str]:
    """Return the names of a verb's options, without dashes; of a class that the user may replace, those of ours.

    Args:
        verb: fit, plan, validate, test or predict.

    Example:
        >>> {"data.imgsz", "media.routes.curves", "json"} - option_names("fit")
        {'json'}
    """
    names = {f"{group}.{name}" if group else name for group, listed in GROUPS.items() for name in listed.split()}
    return names | {group for group in GROUPS if group} | set(OWN[verb])


def check_option_names(verb: str, words: Sequence[str]) -> None:
    """Refuse a misspelt option by its name alone, on the command line and in the configuration files.

    Args:
        verb: fit, plan, validate, test or predict.
        words: after the verb.

    Raises:
        ConfigError: there is no such option; the message has the nearest one.

    Example:
        >>> check_option_names("fit", ["--data.batchsize", "8"])
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: fit has no option --data.batchsize. Did you mean --data.batch_size? \
`python -m aigp_lightning fit --help` lists them.
    """
    if {"-h", "--help"} & set(words):
        return
    other_model = _other_model(words)
    for word in words:
        name = word[2:].partition("=")[0].removesuffix("+") if word.startswith("--") else ""
        if name and (wrong := _complaint(verb, name, other_model, "--")) is not None:
            raise ConfigError(wrong)

    def known(other: bool) -> tuple[list[str], Complain]:
        groups = [group for group in GROUPS if group and not (other and group.startswith("model"))]
        return groups, lambda name: _complaint(verb, name, other)

    check_config_files(words, *known(other_model), lambda kind: known(kind not in KNOWN_MODELS))


def _complaint(verb: str, name: str, other_model: bool, dashes: str = "") -> str | None:
    """Return what is wrong with the name of an option; None where nothing is.

    Args:
        verb: fit, plan, validate, test or predict.
        name: dotted.
        other_model: the model is of a class that is not ours.
        dashes: before the names of options, where they stand on the command line.
    """
    plain = name.replace(".init_args.", ".").removesuffix(".help").removesuffix(".class_path")
    known, open_groups = option_names(verb), (*OF_A_CLASS, *(("model",) if other_model else ()))
    if plain in known or plain.startswith(tuple(f"{group}." for group in open_groups)):
        return None
    return (
        f"{verb} has no option {dashes}{name}.{_nearest(plain, known, dashes)} `python -m aigp_lightning {verb} "
        "--help` lists them."
    )


def _nearest(name: str, known: set[str], dashes: str) -> str:
    """Name the options that may be meant: another program's name for it, the nearest spelling, the same last part."""
    from difflib import get_close_matches

    near = [MEANT[name]] if name in MEANT else get_close_matches(name, sorted(known), n=1, cutoff=0.75)
    if not near:
        last = [each for each in known if each.rpartition(".")[2] == name.rpartition(".")[2]]
        near = sorted(last, key=lambda each: (each.count("."), each))[:3]
    return f" Did you mean {' or '.join(dashes + each for each in near)}?" if near else ""


def _other_model(words: Sequence[str]) -> bool:
    """True if the model may be of a class that is not ours, with options that nobody here knows."""
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        option, given, attached = word.partition("=")
        value = attached if given else following
        if option in ("--model", "--model.class_path") and value not in KNOWN_MODELS:
            return True
    return any(map(_names_other_classes, config_files(words)))


def _names_other_classes(file: str) -> bool:
    """True if a configuration names classes of others, or cannot be read: the parser will say what is wrong."""
    try:
        text = file if not Path(file).is_file() else Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return True
    return any(not path.startswith(OUR_CLASSES) for path in CLASS_PATH.findall(text))
