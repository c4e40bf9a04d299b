"""Accuracy of YOLO11n from scratch: our trainer against Ultralytics' own, same data, epochs, settings and seeds.

`--task` says what is trained: detect (gates), pose (gates and their corners, by yolo11n-pose) or obstacle (several
classes). Ours runs by its command line (`python -m aigp_lightning fit`) with that task's YAML, theirs by
DetectionTrainer or PoseTrainer, every run in a fresh process. Both get the same epochs, image size, batch, nominal
batch, warm-up and last epochs without mosaic; optimizer auto, augmentations at their (common) defaults, no early
stopping. One judge for both: Ultralytics' validator on each side's `best.pt` (averaged weights of the best epoch),
rectangular batches. Boxes and keypoints get a table and a verdict each. A run whose result is in the JSON already is
not repeated, so an interrupted comparison continues where it was.

    python benchmarks/accuracy.py --data datasets/gates/data.yaml --epochs 30 --json accuracy.json
    python benchmarks/accuracy.py --task pose --images 192 --imgsz 160 --epochs 12 --batch 8 --nbs 8 --json pose.json

`--eval-split train` validates (and so chooses the best epoch) on the training pictures: with a few dozen photographs it
compares how well both fit them, where the validation split would only be noise. `--single-cls` takes all classes as
one, and `--augment scale=0.1 mixup=0.5 multi_scale=0.5 rect=true` changes settings of Ultralytics', for both sides
alike; ours gets the option that docs/coming-from-ultralytics.md names. `options_accuracy.py` does so option by option.

Ours trains with the processes and in the precision that its users get; `--ours-devices` and `--ours-precision` say
others. Threads: what each chooses with `--own-threads`, else `--threads` for both.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from accuracy_tables import AUTO, CHANGES, SETTINGS, SIDES, TASKS, fits, keys, print_tables, select, verdict
from common import REPO, absolute_yaml, cores, environment, machine, quiet_reference, run, synthetic, worker, write_json

from aigp_lightning.recipes.ultralytics_keys import KEYS


def train_ours(spec: dict[str, Any], env: dict[str, str], folder: Path) -> Path:
    """Train by the command line with the task's production recipe; returns `best.pt`."""
    task = TASKS[spec["task"]]
    options = {
        "config": REPO / "configs" / task.config,
        "seed_everything": spec["seed"],
        "run.root": folder,
        "run.name": "ours",
        "run.exist_ok": "true",
        "data.synthetic": "null",
        "data.data_yaml": spec["data"],
        "data.imgsz": spec["imgsz"],
        "data.batch_size": spec["batch"],
        "data.workers": spec["workers"],
        "data.seed": spec["seed"],
        "model.init_args.variant": task.model,
        "model.init_args.weights": "null",
        "model.init_args.optim.nbs": spec["nbs"],
        "model.init_args.optim.warmup_epochs": spec["warmup_epochs"],
        "close_mosaic.epochs": spec["close_mosaic"],
        "early_stopping.patience": spec["epochs"] + 1,
        "trainer.max_epochs": spec["epochs"],
        "trainer.accelerator": "gpu" if spec["device"] != "cpu" else "cpu",
        "trainer.devices": spec["ours_devices"],
        "trainer.logger": "false",
        "trainer.enable_progress_bar": "false",
        **{KEYS[key].option: _word(value) for key, value in spec.get("augment", {}).items()},
    }
    if spec["ours_precision"] != AUTO:
        options["trainer.precision"] = spec["ours_precision"]
    if spec.get("single_cls"):
        options["data.single_cls"] = "true"
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    run([sys.executable, "-m", "aigp_lightning", "fit", *words], env, folder / "ours.log")
    return folder / task.kind / "ours" / "weights" / "best.pt"


def _word(value: Any) -> str:
    """Return a setting as our command line takes it."""
    return value if isinstance(value, str) else json.dumps(value)


def train_theirs(spec: dict[str, Any]) -> str:
    """Train with Ultralytics' trainer of the task; returns `best.pt`."""
    quiet_reference()
    from ultralytics.models.yolo.detect import DetectionTrainer
    from ultralytics.models.yolo.pose import PoseTrainer
    from ultralytics.models.yolo.segment import SegmentationTrainer

    gpu = spec["device"] != "cpu"
    settings = {
        **{key: spec[key] for key in ("data", "epochs", "imgsz", "batch", "nbs", "warmup_epochs", "close_mosaic")},
        **{"model": f"{TASKS[spec['task']].model}.yaml", "pretrained": False},
        **{"seed": spec["seed"], "workers": spec["workers"]},
        **{"device": "0" if gpu else "cpu", "amp": gpu, "patience": 0, "plots": False, "verbose": False},
        **{"project": spec["folder"], "name": "ultralytics", "exist_ok": True},
        **{"single_cls": bool(spec.get("single_cls")), **spec.get("augment", {})},
    }
    trainers = {"pose": PoseTrainer, "segment": SegmentationTrainer}
    trainer = trainers.get(spec["task"], DetectionTrainer)(overrides=settings)
    trainer.train()
    return str(trainer.best)


def judge(spec: dict[str, Any]) -> dict[str, float]:
    """Score a `best.pt` with Ultralytics' validator, which goes by the task that the weights say."""
    quiet_reference()
    from ultralytics import YOLO

    options = {"imgsz": spec["imgsz"], "batch": spec["batch"], "workers": 0, "plots": False, "verbose": False}
    device = "0" if spec["device"] != "cpu" else "cpu"
    options["single_cls"] = bool(spec.get("single_cls"))
    model = YOLO(spec["weights"])
    found = model.val(data=spec["data"], rect=True, device=device, project=spec["folder"], exist_ok=True, **options)
    scores = {}
    for ending, place in TASKS[spec["task"]].measured.items():
        measured = getattr(found, place)
        scores |= {f"mAP50{ending}": float(measured.map50), f"mAP50-95{ending}": float(measured.map)}
    return scores


def one_run(spec: dict[str, Any], env: dict[str, str], folder: Path) -> dict[str, float]:
    """Train one side with one seed, and score it."""
    start = time.perf_counter()
    if spec["side"] == "ours":
        weights = str(train_ours(spec, env, folder))
    else:
        weights = worker(__file__, {**spec, "do": "train", "folder": str(folder)}, env, folder, "ultralytics")
    minutes = (time.perf_counter() - start) / 60
    task = {**spec, "do": "judge", "weights": weights, "folder": str(folder / "judge")}
    return {**worker(__file__, task, env, folder, f"judge-{spec['side']}"), "minutes": minutes}


def compare(args: argparse.Namespace, result: dict[str, Any]) -> None:
    """Do every run that `result` does not hold yet, and write it down after each."""
    folder = args.folder.resolve()
    sources = args.data or [synthetic_once(folder / TASKS[args.task].made, args)]
    env = environment(folder / "settings", args.threads, args.own_threads)
    settings = {"task": args.task, **{key: getattr(args, key) for key in SETTINGS}}
    settings |= {key: getattr(args, key) for key in CHANGES if getattr(args, key)}
    own = {"ours_devices": args.ours_devices, "ours_precision": args.ours_precision}
    wanted = [(source, seed, side) for source in sources for seed in args.seeds for side in SIDES]
    for number, (source, seed, side) in enumerate(wanted, start=1):
        name = f"{source.resolve().parent.name}, {args.eval_split}"
        identity = {"data": str(source.resolve()), "split": args.eval_split, "side": side, "seed": seed, **settings}
        identity |= own if side == "ours" else {}
        found = next((r for r in result["runs"] if fits(r, identity)), None)
        if found is None:
            words = [source.resolve().parent.name, args.eval_split, side, str(seed)]
            place = folder / "-".join(words if args.task == "detect" else [args.task, *words])
            spec = {**identity, "data": str(absolute_yaml(source, place / "data.yaml", args.eval_split))}
            scores = one_run({**spec, "workers": args.workers}, env, place)
            found = {"name": name, **identity, **scores}
            result["runs"].append(found)
            write_json(args.json, result)
        figures = "  ".join(f"{key} {found[key]:.4f}" for both in keys(args.task) for key in both)
        head = f"[{number}/{len(wanted)}] {name}  {side}  seed {seed}"
        print(f"{head}: {figures}  {found['minutes']:.1f} min", flush=True)
    shown = {"split": args.eval_split, "seeds": args.seeds, **settings, **own}
    result["shown"] = [{"data": str(source.resolve()), **shown} for source in sources]
    result["verdicts"] = [
        verdict(select(result["runs"], shown), key) for shown in result["shown"] for _, key in keys(args.task)
    ]


def synthetic_once(folder: Path, args: argparse.Namespace) -> Path:
    """Return the synthetic set of an earlier call, or make a new one.

    Raises:
        SystemExit: the earlier call's has another number of pictures.
    """
    yaml = folder / "data.yaml"
    if not yaml.exists():
        return synthetic(folder, args.images, max(args.images // 4, 4), task=args.task)
    if f" train={args.images}," not in yaml.read_text(encoding="utf-8").splitlines()[0]:
        raise SystemExit(f"{folder} does not have {args.images} training pictures: remove it, or give another --folder")
    return yaml


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=tuple(TASKS), default="detect", help="what is trained")
    parser.add_argument("--data", type=Path, action="append", help="a data.yaml; may repeat; else a synthetic set")
    parser.add_argument("--images", type=int, default=384, help="training pictures of the synthetic set")
    parser.add_argument("--eval-split", choices=("val", "train"), default="val")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--imgsz", type=int, default=224)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--nbs", type=int, default=64, help="nominal batch: gradients accumulate up to it")
    parser.add_argument("--warmup-epochs", type=float, default=3.0)
    parser.add_argument("--close-mosaic", type=int, default=10)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--workers", type=int, default=8, help="ours is capped at the cores, theirs is 0 on a CPU")
    parser.add_argument("--single-cls", action="store_true", help="take all classes as one")
    parser.add_argument("--augment", type=_changed, nargs="+", default=[], help="settings for both, as scale=0.1")
    parser.add_argument("--ours-devices", default=AUTO, help="training processes of ours; auto: what its users get")
    parser.add_argument("--ours-precision", default=AUTO, help="as --trainer.precision; auto: what its users get")
    parser.add_argument("--threads", type=int, default=cores(), help="of PyTorch, for both")
    parser.add_argument("--own-threads", action="store_true", help="nothing is said of threads: each side chooses")
    parser.add_argument("--folder", type=Path, default=Path("runs") / "accuracy", help="weights and logs of all runs")
    parser.add_argument("--json", type=Path, help="results, read to resume; FOLDER/accuracy.json if not given")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.augment = dict(args.augment)
    return args


def _changed(text: str) -> tuple[str, Any]:
    """Parse a setting of Ultralytics' that has an option here."""
    name, _, value = text.partition("=")
    if name not in KEYS or not KEYS[name].option:
        raise argparse.ArgumentTypeError(f"{name}: no setting of Ultralytics' that has an option here")
    return name, yaml.safe_load(value)


def main() -> None:
    """Compare, print, write."""
    args = parse()
    if args.worker:
        spec = json.loads(args.worker.read_text(encoding="utf-8"))
        write_json(args.worker, {"result": (train_theirs if spec["do"] == "train" else judge)(spec)})
        return
    args.json = args.json or args.folder / "accuracy.json"
    result = json.loads(args.json.read_text(encoding="utf-8")) if args.json.exists() else {"runs": []}
    result["machine"] = machine(args.threads, args.device)
    compare(args, result)
    write_json(args.json, result)
    print_tables(result)


if __name__ == "__main__":
    main()
