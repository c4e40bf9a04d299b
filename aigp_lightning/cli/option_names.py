"""Names of the options of Lightning's verbs: a misspelt one is refused at once, before Lightning is imported.

`tests/cli/test_option_names.py` holds the names equal to those of the parsers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import zip_longest
from pathlib import Path

from aigp_lightning.cli.by_class import named_class
from aigp_lightning.cli.config_files import Complain, check_config_files, config_files
from aigp_lightning.cli.meant import our_option
from aigp_lightning.cli.ultralytics_words import translated
from aigp_lightning.cli.unknown_options import check_bare_words
from aigp_lightning.errors import ConfigError
from aigp_lightning.files import shell_quoted
from aigp_lightning.recipes.ultralytics_keys import KEYS

GROUPS = {
    "": "help config print_config seed_everything ckpt_path weights_only optimizer lr_scheduler extend",
    "trainer": "accelerator accumulate_grad_batches barebones benchmark callbacks check_val_every_n_epoch "
    "default_root_dir detect_anomaly deterministic devices enable_autolog_hparams enable_checkpointing "
    "enable_model_summary enable_progress_bar fast_dev_run gradient_clip_algorithm gradient_clip_val inference_mode "
    "limit_predict_batches limit_test_batches limit_train_batches limit_val_batches log_every_n_steps logger "
    "max_epochs max_steps max_time min_epochs min_steps model_registry num_nodes num_sanity_val_steps overfit_batches "
    "plugins precision profiler reload_dataloaders_every_n_epochs strategy sync_batchnorm use_distributed_sampler "
    "val_check_interval",
    "data": "augment augment_on batch_size cache classes data_yaml decode_on fraction imgsz leak_limit lost_limit "
    "mask_ratio match_classes outside overlap_mask rect rect_training resize seed single_cls source strict synthetic "
    "vid_stride workers",
    "data.augment": "mosaic degrees translate scale shear perspective mixup cutmix copy_paste copy_paste_mode crop "
    "hsv_h hsv_s hsv_v fliplr flipud blur median_blur to_gray clahe bgr extra",
    "data.synthetic": "out task train val test imgsz backgrounds seed workers force profile keypoints sequences "
    "empty_flights frames fps",
    "run": "name root exist_ok resume json hours plots",
    "ddp": "timeout",
    "wandb": "project entity tags group job_type notes config weights code git command console system_metrics "
    "requirements host machine init_timeout "
    "finish_timeout",
    "mlflow": "config git",
    "nonfinite": "action limit",
    "ema": "decay tau",
    "close_mosaic": "epochs",
    "media": "train_batches val_batches val_errors val_table val_every_n_epochs max_images val_select val_files conf "
    "routes private private_action max_mb unchanged keep_history sign",
    "media.routes": "everything train_batch labels labels_correlogram val_labels val_pred val_errors val_table "
    "curves confusion_matrix corner_error results",
    "checkpoint_every": "epochs",
    "results": "filename print_lines",
    "early_stopping": "monitor min_delta patience verbose mode strict check_finite stopping_threshold "
    "divergence_threshold check_on_train_epoch_end log_rank_zero_only",
    "checkpoint": "dirpath filename monitor verbose save_last save_top_k save_on_exception save_weights_only mode "
    "auto_insert_metric_name every_n_train_steps train_time_interval every_n_epochs save_on_train_epoch_end "
    "enable_version_counter",
}
"""Options that all of these verbs have, by group; those of the model depend on its class."""
YOLO = {
    "model": "variant weights gains optim freeze conf predict_conf iou max_det channels_last class_weights compile "
    "multi_scale agnostic_nms tta nms_free distill_model qat thresholds",
    "model.gains": "box cls dfl dis",
    "model.optim": "name lr0 lrf momentum weight_decay warmup_epochs warmup_momentum warmup_bias_lr cos_lr nbs "
    "clip_norm",
}
MODELS: dict[str, dict[str, str]] = {
    "DetectorModule": YOLO,
    "PoseModule": {
        **YOLO,
        "model": f"{YOLO['model']} camera keypoint_conf",
        "model.gains": f"{YOLO['model.gains']} pose kobj rle",
        "model.camera": "size width height fx fy cx cy distortion bands profile object_points reprojection_px",
    },
    "SegmentModule": YOLO,
    "RFDETRModule": {
        "model": "variant weights optim gains multi_scale groups queries decoder_layers drop_path freeze_encoder conf "
        "predict_conf max_det thresholds",
        "model.gains": "cls bbox giou aux encoder",
        "model.optim": "lr lr_encoder lr_vit_layer_decay lr_component_decay weight_decay warmup_epochs schedule "
        "lr_drop min_factor clip_norm",
    },
}
"""Options of the model by the short name of its class, and group."""
USUAL_MODEL = "DetectorModule"
"""The class that `fit` and `plan` train where nobody says another."""
OWN = {
    "fit": (),
    "plan": ("json",),
    "validate": ("verbose",),
    "test": ("verbose",),
    "predict": (
        "return_predictions",
        "output",
        *(f"output.save_{what}" for what in ("images", "json", "txt", "conf", "crop", "frames")),
        *("output.collect", "output.collect_backgrounds"),
    ),
}
"""Options that some of them have."""
OF_A_CLASS = (
    "optimizer", "lr_scheduler", "trainer.accelerator", "trainer.callbacks", "trainer.logger", "trainer.plugins",
    "trainer.profiler", "trainer.strategy",
)  # fmt: skip
"""Options whose value is a class of the user's choice: which arguments it takes, its own parser knows."""
OTHER = "another"
"""Stands for a class of the user's, whose options its own parser knows."""
OUR_CLASSES = ("aigp_lightning.", "lightning.", "torch.", "albumentations.")
CLASS_PATH = re.compile(r"class_path['\"]?\s*:\s*['\"]?([\w.]+)")


def of_others(verb: str) -> set[str]:
    """Return options that other verbs alone have; in a YAML, which serves all verbs of a run, they are passed over.

    Args:
        verb: fit, plan, validate, test or predict.

    Example:
        >>> sorted(of_others("predict"))
        ['json', 'verbose']
    """
    return {name for names in OWN.values() for name in names if "." not in name} - set(OWN[verb])


def option_names(verb: str, model: str | None = USUAL_MODEL) -> set[str]:
    """Return the names of a verb's options, without dashes; of a class that the user may replace, those of ours.

    Args:
        verb: fit, plan, validate, test or predict.
        model: short name of the model's class; None for the options of all classes that are known.

    Example:
        >>> sorted({"data.imgsz", "media.routes.curves", "model.camera", "json"} - option_names("fit"))
        ['json', 'model.camera']
    """
    tables = [GROUPS, *(MODELS.values() if model is None else [MODELS.get(model, {})])]
    groups = {group for table in tables for group in table if group}
    names = {
        f"{group}.{name}".lstrip(".") for table in tables for group, listed in table.items() for name in listed.split()
    }
    return names | groups | set(OWN[verb])


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
    check_bare_words(verb, words)
    model = _model(verb, words)
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        name = word[2:].partition("=")[0].removesuffix("+") if word.startswith("--") else ""
        if name and (wrong := _complaint(verb, name, model, "--")) is not None:
            value = word.partition("=")[2] if "=" in word else following
            raise ConfigError(_converted(verb, name, value, words) or wrong)

    def known(kind: str | None) -> tuple[list[str], Complain]:
        near = get_close_matches(kind, MODELS, 1, 0.88) if kind is not None and kind not in (model, *MODELS) else None
        if near:
            raise ConfigError(f"by_class.{kind}: there is no such class. Did you mean {near[0]}?")
        own = MODELS.values() if kind is None else [MODELS.get(kind, {})]
        groups = {group for table in (GROUPS, *own) for group in table if group}
        groups |= {name.partition(".")[0] for name in OWN[verb] if "." in name}
        return sorted(groups), lambda name: _complaint(verb, name, kind)

    check_config_files(words, *known(model), known)


def _converted(verb: str, name: str, value: str, words: Sequence[str]) -> str | None:
    """Return what is meant by an option of Ultralytics', where the option here takes another value or there are two."""
    if name not in KEYS or not value or value.startswith("--"):
        return None
    options, left = translated(verb, {name: value}, words)
    if not options or left or options == [f"--{our_option(name, verb)}", value]:
        return None
    return (
        f"{verb} has no option --{name}. Did you mean {shell_quoted(*options)}? "
        f"`python -m aigp_lightning {verb} --help` lists them."
    )


def _complaint(verb: str, name: str, model: str | None, dashes: str = "") -> str | None:
    """Return what is wrong with the name of an option; None where nothing is.

    Args:
        verb: fit, plan, validate, test or predict.
        name: dotted.
        model: see `_model`.
        dashes: before the names of options, where they stand on the command line.
    """
    plain = name.replace(".init_args.", ".").removesuffix(".help").removesuffix(".class_path")
    known = option_names(verb, model)
    open_groups: tuple[str, ...] = OF_A_CLASS
    if model is not None and model not in MODELS:
        open_groups = (*OF_A_CLASS, "model")
        known.add("model")
    if plain in known or plain.startswith(tuple(f"{group}." for group in open_groups)):
        return None
    if not dashes and plain.partition(".")[0] in of_others(verb):
        return None
    near = _nearest(plain, known, dashes, verb)
    others = [kind for kind in MODELS if plain in option_names(verb, kind)]
    if others:
        kinds = " and ".join(filter(None, (", ".join(others[:-1]), others[-1])))
        return f"{dashes}{name} is an option of {kinds}, and the model is of class {model}.{near}"
    return f"{verb} has no option {dashes}{name}.{near} `python -m aigp_lightning {verb} --help` lists them."


def _nearest(name: str, known: set[str], dashes: str, verb: str) -> str:
    """Name the options that may be meant: another program's name for it, the nearest spelling, the same last part."""
    meant = our_option(name, verb) or our_option(name.rpartition(".")[2], verb)
    near = [meant] if meant in known else get_close_matches(name, sorted(known), n=1, cutoff=0.75)
    near = near or sorted(each for each in known if each.startswith(f"{name}_"))[:3]
    if not near:
        last = [each for each in known if each.rpartition(".")[2] == name.rpartition(".")[2]]
        near = sorted(last, key=lambda each: (each.count("."), each))[:3]
    return f" Did you mean {' or '.join(dashes + each for each in near)}?" if near else ""


def _model(verb: str, words: Sequence[str]) -> str | None:
    """Return the short name of the model's class; None where a checkpoint may say which it is."""
    named = named_class(words)
    if named is not None and named.rpartition(".")[2] not in MODELS:
        return named.rpartition(".")[2]
    if any(map(_names_other_classes, config_files(words))):
        return OTHER
    usual = USUAL_MODEL if verb in ("fit", "plan") else None
    return usual if named is None else named.rpartition(".")[2]


def _names_other_classes(file: str) -> bool:
    """True if a configuration names classes of others, or cannot be read: the parser will say what is wrong."""
    try:
        text = file if not Path(file).is_file() else Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return True
    return any(not path.startswith(OUR_CLASSES) for path in CLASS_PATH.findall(text))
