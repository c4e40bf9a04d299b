"""Texts of help for options of Lightning's, which have none of ours, and values that serve as examples.

`tests/cli/test_verb_help.py` holds names and defaults equal to those of the parsers.
"""

from __future__ import annotations

from aigp_lightning.cli.option_docs import OptionDoc

Line = tuple[str, object, str]
"""An example of a value, the default, and the text."""
ALL: dict[str, Line] = {
    "config": ("configs/detector.yaml", None, "a YAML with options; may be repeated, later ones count"),
    "print_config": ("", None, "print the options that a command comes to, as YAML, and do nothing else"),
    "help": ("", None, "this text"),
    "ckpt_path": ("last", None, "a checkpoint of ours: fit resumes from it, the other verbs open it; last is that of "
                  "the newest run of the name"),
    "extend": ("true", False, "resume with a larger --trainer.max_epochs than the run was planned for: its learning "
               "rate goes on from where it is and falls over the epochs that are left"),
    "seed_everything": ("42", 0, "seed of all random numbers; true draws one"),
    "json": ("plan.json", None, "also write the plan to this file"),
    "verbose": ("true", True, "not used: the tables here say it"),
    "return_predictions": ("false", None, "not used: predictions go to files"),
    "weights_only": ("true", None, "open checkpoints as plain values and tensors, running no code of theirs"),
}  # fmt: skip
"""Options of a verb itself."""
TRAINER: dict[str, Line] = {
    "max_epochs": ("50", 100, "epochs to train; the schedule is laid out over all of them"),
    "devices": ("4", "auto", "number of GPUs, a list of their numbers such as '[0,2]', or auto: all there are"),
    "accelerator": ("cpu", "auto", "cpu, gpu, or auto: a GPU where there is one"),
    "strategy": ("ddp", "auto", "ddp for several processes"),
    "num_nodes": ("2", 1, "machines that train together"),
    "precision": ("32-true", None, "32-true, bf16-mixed or 16-mixed; by default the fastest that is safe here"),
    "logger": ("false", "TensorBoard", "who gets scalars and pictures; see configs/logger/; false: nobody"),
    "callbacks": ("ModelSummary", None, "callbacks of yours or Lightning's, by class"),
    "fast_dev_run": ("true", False, "one batch of everything, of which nothing is kept"),
    "min_epochs": ("10", None, "train at least so many epochs, whatever early stopping says"),
    "max_steps": ("1000", -1, "end after so many optimizer steps; -1: when the epochs are over"),
    "min_steps": ("100", None, "train at least so many steps"),
    "max_time": ("00:12:00:00", None, "end after this time, DD:HH:MM:SS"),
    "limit_train_batches": ("0.1", None, "train on a share of the batches (0.1), or on so many (10)"),
    "limit_val_batches": ("0.5", None, "the same for validation"),
    "limit_test_batches": ("0.5", None, "the same for test"),
    "limit_predict_batches": ("10", None, "the same for predict"),
    "overfit_batches": ("4", 0.0, "train and validate on the same few batches, to see that a model can learn"),
    "val_check_interval": ("0.5", None, "validate after a share of an epoch, or after so many batches"),
    "check_val_every_n_epoch": ("5", 1, "validate after every so many epochs"),
    "num_sanity_val_steps": ("2", 0, "batches to validate before training begins"),
    "log_every_n_steps": ("10", None, "steps between the lines that Lightning logs"),
    "enable_checkpointing": ("true", None, "save checkpoints; a run here always does"),
    "enable_progress_bar": ("false", None, "show progress"),
    "enable_model_summary": ("true", False, "print the layers at the start"),
    "accumulate_grad_batches": ("2", 1, "batches a step, for families that leave it to Lightning (RF-DETR); of YOLO "
                                "--model.optim.nbs decides"),
    "gradient_clip_val": ("1.0", None, "not used: --model.optim.clip_norm decides"),
    "gradient_clip_algorithm": ("norm", None, "not used: --model.optim.clip_norm decides"),
    "deterministic": ("true", None, "use only operations that give the same figures each time; slower"),
    "benchmark": ("true", None, "let cuDNN try which algorithms are fastest"),
    "inference_mode": ("false", True, "validate without keeping anything for gradients"),
    "use_distributed_sampler": ("false", False, "the samplers here share out the images by themselves"),
    "profiler": ("simple", None, "measure where time goes: simple, advanced or pytorch"),
    "detect_anomaly": ("true", False, "say which operation made a nan; much slower"),
    "barebones": ("true", False, "Lightning without logging or checkpoints, to measure its own cost"),
    "plugins": ("null", None, "Lightning's plugins, by class"),
    "sync_batchnorm": ("true", False, "share batch norm's statistics between GPUs"),
    "reload_dataloaders_every_n_epochs": ("0", 0, "make the loaders anew after every so many epochs"),
    "default_root_dir": ("null", None, "not used: --run.root and --run.name decide"),
    "enable_autolog_hparams": ("true", True, "let Lightning log the options of classes"),
    "model_registry": ("null", None, "a registry of Lightning's to load checkpoints from"),
}  # fmt: skip
"""Options of Lightning's trainer."""
EARLY_STOPPING: dict[str, Line] = {
    "patience": ("30", 100, "validated epochs without a better figure before the run ends"),
    "monitor": ("fitness", "fitness", "figure that decides"),
    "mode": ("max", "max", "max: more is better; min: less is"),
    "min_delta": ("0.001", 0.0, "less than this is no improvement"),
    "stopping_threshold": ("0.95", None, "end as soon as the figure is better than this"),
    "divergence_threshold": ("0.01", None, "end as soon as the figure is worse than this"),
    "check_finite": ("false", True, "end when the figure is nan or infinite"),
    "check_on_train_epoch_end": ("false", True, "look once at the end of an epoch; false: after every validation"),
    "verbose": ("true", False, "say at each epoch how it compares"),
    "strict": ("false", True, "an unknown figure is an error"),
    "log_rank_zero_only": ("true", False, "print on the first process alone"),
}
"""Options of early stopping."""
CHECKPOINT: dict[str, Line] = {
    "filename": ("best", "best", "file of the best epoch, in weights/"),
    "monitor": ("fitness", "fitness", "figure by which an epoch is the best"),
    "mode": ("max", "max", "max: more is better; min: less is"),
    "save_top_k": ("3", 1, "how many of the best epochs are kept; -1: all"),
    "every_n_epochs": ("5", None, "look only at every so many epochs"),
    "every_n_train_steps": ("1000", None, "not used: epochs are compared"),
    "train_time_interval": ("00:01:00:00", None, "not used: epochs are compared"),
    "dirpath": ("null", None, "not used: the run folder decides"),
    "save_last": ("false", False, "not used: weights/last.ckpt is written after every epoch"),
    "save_on_exception": ("false", False, "not used: weights/last.ckpt has the last complete epoch"),
    "save_weights_only": ("false", False, "not used: a checkpoint has all that resuming needs"),
    "save_on_train_epoch_end": ("true", True, "not used: epochs are compared at their ends"),
    "auto_insert_metric_name": ("false", True, "write names of figures into the file's name: epoch=3"),
    "enable_version_counter": ("true", False, "number files of the same name"),
    "verbose": ("true", False, "say when a checkpoint is saved"),
}
"""Options of the best checkpoint."""
TABLES = {"": ALL, "trainer": TRAINER, "early_stopping": EARLY_STOPPING, "checkpoint": CHECKPOINT}
"""Tables by group."""
EXAMPLES = {
    "data.data_yaml": "my/data.yaml", "data.imgsz": "640", "data.batch_size": "32", "data.rect": "false",
    "data.match_classes": "number", "data.augment_on": "device", "data.decode_on": "device", "data.resize": "stretch",
    "data.cache": "disk", "data.source": "pictures/", "data.fraction": "0.5", "data.classes": "'[gate]'",
    "data.vid_stride": "5", "data.augment.extra": "'[{class_path: albumentations.MotionBlur}]'",
    "data.augment.degrees": "10", "data.augment.shear": "2", "data.augment.crop": "0.5",
    "data.augment.flipud": "0.5", "data.augment.mixup": "0.1", "data.augment.cutmix": "0.1",
    "data.augment.copy_paste": "0.3", "data.augment.perspective": "0.0005", "data.augment.bgr": "0.1",
    "data.synthetic.out": "datasets/mine", "data.synthetic.task": "pose", "data.synthetic.imgsz": "'[640, 360]'",
    "model": "PoseModule", "model.weights": "yolo11n.pt", "model.freeze": "10", "model.class_weights": "0.5",
    "model.variant": "yolo11s", "model.camera.distortion": "'[0.1, -0.05, 0, 0]'", "model.camera.bands": "'[5, 10]'",
    "model.keypoint_conf": "0.3",
    "model.camera.profile": "ts-005", "model.camera.object_points": "gate-8", "model.camera.reprojection_px": "8",
    "model.camera.width": "1280", "model.camera.height": "720", "model.camera.fx": "610", "model.camera.fy": "610",
    "model.camera.cx": "640.5", "model.camera.cy": "360.5",
    "model.decoder_layers": "3", "model.distill_model": "yolo11x.pt", "model.multi_scale": "0.5",
    "output.collect": "hard.txt", "output.collect_backgrounds": "empty_hall/",
    "run.name": "gates1", "run.resume": "always", "run.json": "metrics.json", "run.hours": "8",
    "media.val_files": "'images/val/0001*.jpg'", "media.private": "'garage/*'", "media.max_mb": "200",
    "media.sign": "my.key", "media.val_select": "worst", "media.routes.everything": "'[file, tensorboard]'",
    "media.keep_history": "true", "data.augment.copy_paste_mode": "mixup", "wandb.entity": "my-team",
    "wandb.tags": "'[night]'", "wandb.group": "seeds", "wandb.job_type": "finetune", "wandb.notes": "'eight corners'",
}  # fmt: skip
"""Values that say more than a default does."""
WHOLE_NUMBERS = (
    "trainer.max_epochs", "trainer.min_epochs", "trainer.max_steps", "trainer.min_steps", "trainer.num_nodes",
    "trainer.check_val_every_n_epoch", "trainer.num_sanity_val_steps", "trainer.log_every_n_steps",
    "trainer.accumulate_grad_batches", "trainer.reload_dataloaders_every_n_epochs", "early_stopping.patience",
    "checkpoint.save_top_k", "checkpoint.every_n_epochs", "checkpoint.every_n_train_steps",
)  # fmt: skip
"""Options of Lightning's that take whole numbers alone."""
OF_ROUTES = "'[file]'"
"""An example of a route."""


def table_docs(group: str) -> dict[str, OptionDoc]:
    """Return the texts of a group of Lightning's options, by name; empty for other groups.

    Args:
        group: `""`, `trainer`, `early_stopping` or `checkpoint`.

    Example:
        >>> table_docs("trainer")["max_epochs"].default
        100
    """
    return {name: OptionDoc(text, default) for name, (_, default, text) in TABLES.get(group, {}).items()}
