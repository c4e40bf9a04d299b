"""Ultralytics' settings of a training: the run, optimizer, loss and augmentation, and what each is here."""

from __future__ import annotations

from aigp_lightning.recipes.key import AUGMENTATION, LOSS, OPTIMIZER, TRAINING, Key

DETECT, POSE, SEGMENT = ("detect",), ("pose",), ("segment",)
CLASSIFY, OBB, DEPTH = ("classify",), ("obb",), ("depth",)
NO_CLASSIFIER = "of classifiers, which are not trained here"
NO_DEPTH = "of depth models, which are not trained here"

TRAINING_KEYS = (
    Key("task", TRAINING, "detect", "model", "`detect`, `pose`, `segment`: each has a configuration of its own; others "
        "are not trained here"),
    Key("mode", TRAINING, "train", "", "a verb: `train` is `fit`, `val` is `validate` (or `test`); `predict` and "
        "`export` are called so here too; `track` and `benchmark` are not here: `predict` finds objects, `compare` "
        "measures two models", verb="fit"),
    Key("model", TRAINING, None, "model.variant", "`yolo11n.yaml`: the variant `yolo11n`, from random weights; "
        "`yolo11n.pt`: also `--model.weights yolo11n.pt`. RT-DETR: [RF-DETR](rfdetr.md) is what is here"),
    Key("data", TRAINING, None, "data.data_yaml", "a `data.yaml` on this disk; nothing is downloaded. Several in a "
        "list are one run each"),
    Key("epochs", TRAINING, 100, "trainer.max_epochs"),
    Key("time", TRAINING, None, "run.hours", "hours; the schedule fits what they leave time for"),
    Key("patience", TRAINING, 100, "early_stopping.patience", "validated epochs; their 0, never, is as many as there "
        "are epochs", older=(50,)),
    Key("batch", TRAINING, 16, "data.batch_size", "over all GPUs, as there; -1 is `auto`, a share of the memory is "
        "the same"),
    Key("imgsz", TRAINING, 640, "data.imgsz",
        "a multiple of 32, to which Ultralytics rounds up"),
    Key("save", TRAINING, True, "", "always: a run without checkpoints would leave nothing", verb=""),
    Key("save_period", TRAINING, -1, "checkpoint_every.epochs", "-1 is 0; after every N-th epoch, counted "
        "from 1, and from 0 there"),
    Key("cache", TRAINING, False, "data.cache", "true is `ram`; one cache for all processes"),
    Key("device", TRAINING, None, "trainer.devices", "none, `0` or `-1`: one device, the first; `[0, 1]`: these GPUs; "
        "`cpu`, `mps`: `--trainer.accelerator`. All GPUs: `--trainer.devices auto`"),
    Key("workers", TRAINING, 8, "data.workers", "a process that trains; on a CPU too"),
    Key("project", TRAINING, None, "run.root", "files go to `ROOT/TASK/NAME`"),
    Key("name", TRAINING, None, "run.name", "none is `train`, as there"),
    Key("exist_ok", TRAINING, False, "run.exist_ok"),
    Key("pretrained", TRAINING, True, "model.weights", "false: no weights; a path: these weights", older=(False,)),
    Key("cls_remap", TRAINING, True, "data.match_classes", "true is `name`, false is `number`"),
    Key("verbose", TRAINING, True, "", "does not change the training: `--trainer.enable_progress_bar false` is quiet",
        verb="", older=(False,)),
    Key("seed", TRAINING, 0, "data.seed", "and `--seed_everything`, of weights"),
    Key("deterministic", TRAINING, True, "trainer.deterministic", "true is `warn`, which is what Ultralytics does; "
        "slower on a GPU"),
    Key("single_cls", TRAINING, False, "data.single_cls"),
    Key("rect", TRAINING, False, "data.rect_training", "of training; validation: `--data.rect`, on as there"),
    Key("close_mosaic", TRAINING, 10, "close_mosaic.epochs"),
    Key("resume", TRAINING, False, "ckpt_path", "`--ckpt_path last` for a run of ours; one of Ultralytics' cannot be "
        "resumed here: it begins again, or goes on from the weights alone (`--model.weights last.pt`)", verb=""),
    Key("amp", TRAINING, True, "trainer.precision", "true is null: bf16-mixed where the hardware computes in it, "
        "16-mixed on other GPUs, 32-true elsewhere; `fp16`, `bf16` are `16-mixed`, `bf16-mixed`; false is `32-true`"),
    Key("fraction", TRAINING, 1.0, "data.fraction", "a share, a count, or one of each split"),
    Key("profile", TRAINING, False, "", "does not change the training: `export`, then `validate` say times", verb=""),
    Key("freeze", TRAINING, None, "model.freeze", "a number of layers; a list of their numbers and names, "
        "which have to be there"),
    Key("multi_scale", TRAINING, 0.0, "model.multi_scale", "true, of versions before 8.4, is 0.5; "
        "one draw for all processes", older=(False,)),
    Key("compile", TRAINING, False, "model.compile"),
    Key("channels_last", TRAINING, None, "model.channels_last", "none is true, also on a CPU"),
    Key("quantize", TRAINING, None, "model.qat", "8 or `int8` is true: training for quantisation; other values are of "
        "`predict` and `export`: `--trainer.precision`"),
    Key("distill_model", TRAINING, None, "model.distill_model", "a `.pt` on this disk"),
    Key("overlap_mask", TRAINING, True, "data.overlap_mask", tasks=SEGMENT),
    Key("mask_ratio", TRAINING, 4, "data.mask_ratio", tasks=SEGMENT),
    Key("dropout", TRAINING, 0.0, "", NO_CLASSIFIER, verb="", tasks=CLASSIFY),
    Key("classes", TRAINING, None, "data.classes", "numbers, or names"),
    Key("val", TRAINING, True, "trainer.check_val_every_n_epoch", "false: the last epoch alone, as there"),
    Key("plots", TRAINING, True, "media.routes.everything", "false is `[]`: no pictures; which go to whom: "
        "[pictures](pictures.md)"),
    Key("cfg", TRAINING, None, "config", "its settings are read, where it is on this disk", verb=""),
    Key("save_dir", TRAINING, None, "", "follows from `--run.root` and `--run.name`", verb=""),
    Key("trainer", TRAINING, None, "", "a class of one's own, in Python: Lightning's callbacks "
        "(`--trainer.callbacks`) are what is here", verb="", changes_training=True),
    Key("augmentations", AUGMENTATION, None, "data.augment.extra", "transforms of Albumentations, in Python: write "
        "them below `data.augment.extra` ([how](augmentation.md)); they stand in for blur, median_blur, to_gray and "
        "clahe, which are 0 then", changes_training=True),
    Key("optimizer", OPTIMIZER, "auto", "model.optim.name", "`auto` chooses the same, and then lr0 and momentum too",
        older=("SGD",)),
    *(Key(name, OPTIMIZER, default, f"model.optim.{name}") for name, default in (
        ("lr0", 0.01), ("lrf", 0.01), ("momentum", 0.937), ("weight_decay", 0.0005), ("warmup_epochs", 3.0),
        ("warmup_momentum", 0.8), ("warmup_bias_lr", 0.1), ("cos_lr", False), ("nbs", 64))),
    *(Key(name, LOSS, default, f"model.gains.{name}") for name, default in (("box", 7.5), ("cls", 0.5), ("dfl", 1.5))),
    Key("pose", LOSS, 12.0, "model.gains.pose", tasks=POSE),
    Key("kobj", LOSS, 1.0, "model.gains.kobj", tasks=POSE),
    Key("rle", LOSS, 1.0, "model.gains.rle", "of YOLO26's keypoints", tasks=POSE),
    Key("dis", LOSS, 6.0, "model.gains.dis", "counts with `--model.distill_model`"),
    Key("cls_pw", LOSS, 0.0, "model.class_weights", "the same formula; or a list, one number a class"),
    Key("angle", LOSS, 1.0, "", "of oriented boxes, which are not trained here", verb="", tasks=OBB),
    Key("dlog", LOSS, 1.0, "", NO_DEPTH, verb="", tasks=DEPTH),
    Key("dgrad", LOSS, 0.5, "", NO_DEPTH, verb="", tasks=DEPTH),
    Key("dlam", LOSS, 1.0, "", NO_DEPTH, verb="", tasks=DEPTH),
    *(Key(name, AUGMENTATION, default, f"data.augment.{name}") for name, default in (
        ("hsv_h", 0.015), ("hsv_s", 0.7), ("hsv_v", 0.4), ("degrees", 0.0), ("translate", 0.1))),
    Key("scale", AUGMENTATION, 0.5, "data.augment.scale", "at most 0.99; a pair (least, most) too"),
    Key("shear", AUGMENTATION, 0.0, "data.augment.shear"),
    Key("perspective", AUGMENTATION, 0.0, "data.augment.perspective", "at most 0.01"),
    Key("flipud", AUGMENTATION, 0.0, "data.augment.flipud", "keypoints follow `flip_idx_vertical` "
        "([why](keypoints.md)); Ultralytics takes `flip_idx` for it"),
    Key("fliplr", AUGMENTATION, 0.5, "data.augment.fliplr", "of keypoints without `flip_idx`, both flips are 0, as "
        "there"),
    Key("bgr", AUGMENTATION, 0.0, "data.augment.bgr"),
    Key("mosaic", AUGMENTATION, 1.0, "data.augment.mosaic"),
    *(Key(name, AUGMENTATION, 0.0, f"data.augment.{name}") for name in ("mixup", "cutmix")),
    Key("copy_paste", AUGMENTATION, 0.0, "data.augment.copy_paste", "of objects whose labels are polygons"),
    Key("copy_paste_mode", AUGMENTATION, "flip", "data.augment.copy_paste_mode"),
    Key("auto_augment", AUGMENTATION, "randaugment", "", NO_CLASSIFIER, verb="", tasks=CLASSIFY),
    Key("erasing", AUGMENTATION, 0.4, "", NO_CLASSIFIER, verb="", tasks=CLASSIFY),
)  # fmt: skip
"""Settings of `train`."""
