"""Groups of options of Lightning's verbs as their help shows them: classes, headings and order; and example calls."""

from __future__ import annotations

CLASSES = {
    "DetectorModule": "aigp_lightning.modules.detector.DetectorModule",
    "PoseModule": "aigp_lightning.modules.pose.PoseModule",
    "SegmentModule": "aigp_lightning.modules.segment.SegmentModule",
    "RFDETRModule": "aigp_lightning.modules.rfdetr.module.RFDETRModule",
}
"""Files of the models' classes."""
GROUP_CLASSES = {
    "run": "aigp_lightning.run.folder.RunConfig",
    "data": "aigp_lightning.data.datamodule.YoloDataModule",
    "ema": "aigp_lightning.callbacks.ema.EMA",
    "checkpoint_every": "aigp_lightning.callbacks.checkpoint_every.CheckpointEvery",
    "close_mosaic": "aigp_lightning.callbacks.close_mosaic.CloseMosaic",
    "nonfinite": "aigp_lightning.callbacks.nonfinite.NonFinite",
    "media": "aigp_lightning.callbacks.media.Media",
    "results": "aigp_lightning.callbacks.results.Results",
    "wandb": "aigp_lightning.loggers.wandb_options.WandbOptions",
    "mlflow": "aigp_lightning.loggers.mlflow_options.MLFlowOptions",
    "ddp": "aigp_lightning.run.distributed.ProcessOptions",
    "output": "aigp_lightning.callbacks.predictions.PredictionWriter",
}
"""Classes whose arguments are a group of options."""
TITLES = {
    "": "Of the whole command",
    "run": "The run: where its files go",
    "output": "What is written of the predictions",
    "data": "The data",
    "data.augment": "Augmentation of training pictures; 0 switches one off",
    "data.synthetic": "A synthetic data set, made where there is none yet",
    "model": "The model",
    "model.gains": "Weights of the loss components",
    "model.optim": "Optimizer, warm-up and schedule",
    "model.camera": "Camera and gate, for errors in metres and degrees",
    "ema": "Averaged weights, which are validated, saved and exported",
    "close_mosaic": "The last epochs",
    "nonfinite": "Losses and gradients that are nan or infinite",
    "early_stopping": "Early stopping",
    "checkpoint": "The best checkpoint",
    "checkpoint_every": "Checkpoints that stay",
    "media": "Pictures: what is drawn, how often, who gets it",
    "media.routes": "Who gets which kind of picture: file, tensorboard, wandb, mlflow, other; [] draws none",
    "results": "results.csv",
    "wandb": "What W&B gets besides scalars and pictures",
    "mlflow": "What MLflow gets besides scalars and pictures",
    "ddp": "Several processes",
    "trainer": "Lightning's trainer",
}
"""Headings, in the order of the help."""
PURPOSE = {
    "fit": "Train a model.",
    "plan": "Say what fit with the same options would draw, and to whom it would go; nothing is trained.",
    "validate": "Measure a trained model on the validation split; with --sequence FLIGHTS on frames in order, which "
    "has a help of its own (validate --sequence FLIGHTS --help).",
    "test": "Measure a trained model on the test split.",
    "predict": "Find objects in pictures, folders or videos with a trained model.",
}
"""Purpose of each verb."""
OF_OTHER_VERBS = {
    "validate": ("ckpt_path", "data.data_yaml", "run.json", "run.plots", "model.conf"),
    "test": ("ckpt_path", "data.data_yaml", "run.json", "run.plots", "model.conf"),
    "predict": ("ckpt_path", "data.source", "model.predict_conf", "model.thresholds"),
}
"""Options that one comes for to a verb which trains nothing; they stand first in its help."""
FIRST_TITLE = "What most commands name"
ORDER = ("output", "data", "model", "model.gains", "model.optim", "model.camera", "media", "run", "", "ddp", "trainer")
"""Groups of the verbs that train nothing, in the order of their help."""
EXAMPLE_CALLS = {
    "fit": (
        "fit --config configs/detector.yaml --config configs/quick.yaml",
        "fit --config configs/detector.yaml --data.data_yaml my/data.yaml --run.name a",
        "fit --config configs/detector.yaml --ckpt_path last",
    ),
    "plan": ("plan --config configs/detector.yaml --config configs/logger/both.yaml",),
    "validate": (
        "validate --ckpt_path runs/detect/gates/weights/best.ckpt",
        "validate --ckpt_path best.ckpt --run.plots true",
        "validate --sequence flights/ --ckpt_path best.ckpt",
    ),
    "test": ("test --ckpt_path runs/detect/gates/weights/best.ckpt --run.json m.json",),
    "predict": ("predict --ckpt_path best.ckpt --data.source pictures/",),
}
"""Calls of each verb."""
OF_PLOTS = ("val_batches", "val_errors", "max_images", "val_select", "val_files", "conf")
"""Options of pictures that `validate` and `test` go by, with --run.plots."""
OPTIONS_OF_TRAINING = frozenset({
    "extend", "run.resume", "run.hours", "data.cache", "data.rect_training", "data.seed", "data.leak_limit",
    "model.freeze", "model.class_weights", "model.multi_scale", "model.distill_model", "model.qat", "model.drop_path",
    "model.freeze_encoder",
    "trainer.max_epochs", "trainer.min_epochs", "trainer.max_steps", "trainer.min_steps", "trainer.max_time",
    "trainer.limit_train_batches", "trainer.overfit_batches", "trainer.val_check_interval",
    "trainer.check_val_every_n_epoch", "trainer.num_sanity_val_steps", "trainer.log_every_n_steps",
    "trainer.enable_checkpointing", "trainer.accumulate_grad_batches", "trainer.gradient_clip_val",
    "trainer.gradient_clip_algorithm", "trainer.sync_batchnorm", "trainer.reload_dataloaders_every_n_epochs",
    "trainer.default_root_dir",
})  # fmt: skip
"""Options that do nothing where nothing is trained; they are taken, and left out of the help of those verbs."""
IDLE = {
    "validate": frozenset({"data.source", "data.vid_stride", "trainer.limit_test_batches",
                           "trainer.limit_predict_batches"}),
    "test": frozenset({"data.source", "data.vid_stride", "trainer.limit_val_batches",
                       "trainer.limit_predict_batches"}),
    "predict": frozenset({"run.json", "run.plots", "model.conf", "return_predictions", "trainer.limit_val_batches",
                          "trainer.limit_test_batches", "data.fraction", "data.strict", "data.match_classes",
                          "data.single_cls"}),
}  # fmt: skip
"""Options that do nothing in one of those verbs besides."""
NAME_OF_OTHERS = "folder, below the root and the task, of what this command writes; of --ckpt_path last the run's name"
"""Text of `--run.name` for verbs that train nothing."""
TRAINING_ONLY = (
    "data.augment", "data.synthetic", "model.gains", "model.optim", "ema", "close_mosaic", "nonfinite",
    "early_stopping", "checkpoint", "checkpoint_every", "media", "media.routes", "results", "wandb", "mlflow",
)  # fmt: skip
"""Groups that a verb which trains nothing reads, since a run's YAML serves it too, and does not use."""
