"""Ultralytics' settings of validation, prediction and export, and those of earlier versions, and what each is here."""

from __future__ import annotations

from aigp_lightning.recipes.key import EARLIER, EXPORT, PREDICTION, VALIDATION, Key

VALIDATE, PREDICT, EXPORT_VERB = "validate", "predict", "export"
LOOKS = "pictures have labels, confidences and boxes, with lines that fit their size"
GONE = "Ultralytics gave it up, and its networks do not heed it"

OTHER_KEYS = (
    Key("split", VALIDATION, "val", "", "`validate` takes `val`, the verb `test` takes `test`", verb=""),
    Key("save_json", VALIDATION, False, "output.save_json", "of `predict`, a line a picture; metrics of `validate` as "
        "JSON: `--run.json FILE`", verb=PREDICT),
    Key("conf", VALIDATION, None, "model.conf", "none is 0.001; of `predict`: `--model.predict_conf`, 0.25"),
    Key("iou", VALIDATION, 0.7, "model.iou"),
    Key("max_det", VALIDATION, 300, "model.max_det"),
    Key("agnostic_nms", VALIDATION, False, "model.agnostic_nms"),
    Key("nms", VALIDATION, None, "model.nms_free", "false, the head without suppression, is true here, for "
        "networks that have one (YOLOv10, YOLO26); true, suppression within an exported file, is not here",
        older=(False,)),
    Key("augment", VALIDATION, False, "model.tta", "of `validate` and `predict`: test-time augmentation, of detectors",
        verb=VALIDATE),
    Key("dnn", VALIDATION, False, "", "an exported file is run by ONNX Runtime or PyTorch", verb=""),
    Key("visualize", VALIDATION, False, "", "`--media.val_select worst` shows the pictures that go wrong", verb=""),
    Key("source", PREDICTION, None, "data.source", "pictures, folders, globs and videos on this disk", verb=PREDICT),
    Key("vid_stride", PREDICTION, 1, "data.vid_stride", verb=PREDICT),
    Key("stream_buffer", PREDICTION, False, "", "of live streams, which are not read", verb=""),
    Key("retina_masks", PREDICTION, False, "", "masks have the size of the network's input", verb=""),
    Key("embed", PREDICTION, None, "", "features of layers are not written; `network.model` has them in Python",
        verb=""),
    Key("show", PREDICTION, False, "", "no windows are opened: `--output.save_images true` writes pictures", verb=""),
    Key("save_frames", PREDICTION, False, "output.save_frames", "files count frames from 0, and from 1 there",
        verb=PREDICT),
    Key("save_txt", PREDICTION, False, "output.save_txt", "true by default here", verb=PREDICT),
    Key("save_conf", PREDICTION, False, "output.save_conf", "true by default here: `save_conf=False`, lines without "
        "confidences, is `--output.save_conf false`", verb=PREDICT),
    Key("save_crop", PREDICTION, False, "output.save_crop", verb=PREDICT),
    *(Key(name, PREDICTION, True, "", LOOKS, verb="") for name in ("show_labels", "show_conf", "show_boxes")),
    Key("line_width", PREDICTION, None, "", LOOKS, verb="", older=(3,)),
    Key("tracker", PREDICTION, "tracktrack.yaml", "", "objects are not tracked over frames here", verb="",
        older=("botsort.yaml", "bytetrack.yaml")),
    Key("format", EXPORT, "torchscript", "format", "`onnx`, `torchscript`, `openvino`, `engine` and `pt`; "
        "others from the `.pt`, by Ultralytics", verb=EXPORT_VERB),
    Key("optimize", EXPORT, False, "", "of chips and phones, by Ultralytics from the `.pt`", verb=""),
    Key("dynamic", EXPORT, False, "dynamic", verb=EXPORT_VERB),
    Key("simplify", EXPORT, True, "", "the ONNX file is as PyTorch writes it", verb="", older=(False,)),
    Key("opset", EXPORT, None, "opset", verb=EXPORT_VERB, older=(17,)),
    Key("workspace", EXPORT, None, "", "of TensorRT, by Ultralytics from the `.pt`", verb="", older=(4,)),
    Key("end2end", EARLIER, None, "model.nms_free", "true is `--model.nms_free true`, the head without suppression"),
    Key("half", EARLIER, False, "", "now `quantize`; computing in 16 bits: `--trainer.precision 16-mixed`; of "
        "`export`: `--precision fp16`", verb=""),
    Key("int8", EARLIER, False, "", "now `quantize`; of `export`: `--precision int8`", verb=""),
    Key("keras", EARLIER, False, "", "of TensorFlow's files, by Ultralytics from the `.pt`", verb=""),
    Key("save_hybrid", EARLIER, False, "", "it put labels among predictions, which makes metrics too good", verb=""),
    Key("crop_fraction", EARLIER, 1.0, "", "of classifiers, which are not trained here", verb=""),
    Key("label_smoothing", EARLIER, 0.0, "", GONE, verb=""),
    Key("fl_gamma", EARLIER, 0.0, "", GONE, verb=""),
    Key("image_weights", EARLIER, False, "", GONE, verb=""),
    Key("min_memory", EARLIER, False, "", GONE, verb=""),
    Key("v5loader", EARLIER, False, "", "YOLOv5's loader, which made samples in its own way, and which Ultralytics "
        "gave up", verb="", changes_training=True),
    *(Key(name, EARLIER, False, "", LOOKS, verb="") for name in ("hide_labels", "hide_conf")),
    Key("boxes", EARLIER, True, "", LOOKS, verb=""),
    Key("line_thickness", EARLIER, 3, "", LOOKS, verb=""),
    Key("hydra", EARLIER, None, "", "of the library that read settings in 8.0.0", verb="",
        older=({"output_subdir": None, "run": {"dir": "."}},)),
)  # fmt: skip
"""Settings of `val`, `predict` and `export`, and those that are gone."""
