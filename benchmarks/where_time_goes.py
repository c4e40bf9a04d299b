"""Milliseconds an image of every stage of a training, from the file to the metrics.

Three parts, each with the program's own classes, in the order in which they are used:

input       what a loader's worker does: read the file, decode and shrink it, warp (mosaic and affine), change colours,
            flip, collate; in this process, on one thread
step        what the training process does, in Lightning's trainer: wait for the loader, transfer, forward, loss,
            backward, optimizer, averaged weights (EMA), logging
validation  forward, loss, NMS, match, and the metrics of the whole split

and what a mosaic of pictures costs to draw and to encode, which a thread does beside the training. At every border
between two stages a GPU is waited for, so that each stage has the time of the work that it began; that takes away what
would overlap, so the table also says how long a step takes without borders. Processor time is of the whole process.

    python benchmarks/where_time_goes.py --imgsz 320 --batch 16
    python benchmarks/where_time_goes.py --model yolo11x --imgsz 640 --batch 64 --images 512 --device 0
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from common import absolute_yaml, add_result_options, environment, machine, repeated, run_benchmark, synthetic, worker
from stage_times import Stages, calls_timed

DRAWN = 96
CELLS = 16
WARM_UP, PLAIN = 1, 1
"""Epochs that are not timed, and that are timed as a whole; those that follow are timed by stages."""
KINDS = {"MosaicAffine": "warp (mosaic, affine)", "Flip": "flip"}
COLOUR = "colour"
THEIRS = "theirs"


def input_stages(spec: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Time the making of batches on one thread, by the loader's own dataset, sampler and collation."""
    import cv2
    import torch

    from aigp_lightning.data.datamodule import YoloDataModule

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    data = YoloDataModule(spec["data"], imgsz=spec["imgsz"], batch_size=spec["batch"], workers=0)
    data.setup("fit")
    loader, stages, reading = data.train_dataloader(), Stages(), Stages()
    dataset: Any = loader.dataset
    kinds = {type(step): KINDS.get(type(step).__name__, COLOUR) for step in dataset.pipeline.transforms}
    dataset._image = stages.timed("decode and shrink", dataset._image)
    sampler, images = loader.batch_sampler, 0
    with calls_timed(stages, kinds):
        for epoch in range(2):
            sampler.set_epoch(epoch)
            getattr(dataset, "buffer", {}).clear()  # a small set would stay in it: each image is decoded once an epoch
            stages.on = epoch > 0  # the first one fills the buffer, and builds the transforms
            for requests in sampler:
                with stages.part("labels and the rest"):
                    items = [dataset[request] for request in requests]
                with stages.part("collate"):
                    loader.collate_fn(items)
                if not stages.on:
                    continue
                images += len(requests)
                with reading.part("read the file"):
                    for request in requests:
                        Path(dataset.records[request.index].im_file).read_bytes()
    (_, read), found = next(iter(reading.per_image(images).items())), stages.per_image(images)
    decode = found.pop("decode and shrink")  # with the reading, which is measured by itself
    rest = (max(decode[0] - read[0], 0.0), max(decode[1] - read[1], 0.0))
    return {"read the file": read, "decode and shrink": rest, **found}


def step_stages(spec: dict[str, Any]) -> dict[str, Any]:
    """Time the training step in Lightning's trainer; returns stages, and milliseconds an image without borders."""
    import lightning.pytorch as pl
    from step_borders import LOADER, Borders, EpochSwitch, EpochTimes

    from aigp_lightning.callbacks.ema import EMA
    from aigp_lightning.data.datamodule import YoloDataModule
    from aigp_lightning.modules.detector import DetectorModule

    gpu = spec["device"] != "cpu"
    stages = Stages(gpu)

    class Data(YoloDataModule):
        def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
            stages.mark(LOADER)
            return super().on_before_batch_transfer(batch, dataloader_idx)

    class Module(DetectorModule):
        def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
            stages.mark("transfer to the device")
            done = super().on_after_batch_transfer(batch, dataloader_idx)
            stages.mark("bytes to fractions")
            return done

    pl.seed_everything(0, verbose=False)
    times, ema = EpochTimes(stages, WARM_UP, PLAIN), Borders(stages, "averaged weights (EMA)", last=True)
    trainer = pl.Trainer(
        max_epochs=spec["epochs"] + WARM_UP + PLAIN, accelerator="gpu" if gpu else "cpu", devices=1, logger=False,
        precision=spec["precision"], limit_val_batches=0, use_distributed_sampler=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=spec["folder"],
        callbacks=[EpochSwitch(times), Borders(stages, "logging"), EMA(), ema],
    )  # fmt: skip
    data = Data(spec["data"], imgsz=spec["imgsz"], batch_size=spec["batch"], workers=spec["workers"])
    trainer.fit(Module(variant=spec["model"]), datamodule=data)
    images = data.train_images
    return {"stages": stages.per_image(images * spec["epochs"]), "plain": 1000 * times.plain / images / PLAIN}


def validation_stages(spec: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Time a validation, batch by batch, with the module's own parts; the network is not trained."""
    import torch
    from lightning.pytorch.utilities import move_data_to_device

    from aigp_lightning.data.datamodule import YoloDataModule
    from aigp_lightning.modules.detector import DetectorModule

    device = torch.device("cpu" if spec["device"] == "cpu" else "cuda")
    data = YoloDataModule(spec["data"], imgsz=spec["imgsz"], batch_size=spec["batch"], workers=0)
    data.setup("fit")
    module = DetectorModule(variant=spec["model"])
    module.set_network(module.build_network(data.names))
    module.to(device).eval()
    network: Any = module.network
    kind = torch.bfloat16 if "bf16" in spec["precision"] else torch.float16
    half = torch.autocast(device.type, kind, enabled="16" in spec["precision"])
    stages, batches = Stages(spec["device"] != "cpu"), list(data.val_dataloader())
    for number, raw in enumerate([batches[0], *batches]):  # the first one warms up
        stages.on = number > 0
        batch: Any = module.preprocess_batch(move_data_to_device(dict(raw), device))
        with torch.inference_mode(), half:
            stages.start()
            found = network(batch["img"])
            stages.mark("forward")
            network.loss(batch, found)
            stages.mark("loss")
            del found
            stages.start()
            output = module.evaluate(batch)
            stages.mark("all three")
            module.metrics.to(device).update(output["predictions"], batch)  # type: ignore[union-attr]
            stages.mark("match")
    stages.start()
    module.metrics.compute()  # type: ignore[union-attr]
    stages.mark("metrics, once a validation")
    result = stages.per_image(len(data.scan("val").records))
    whole, parts = result.pop("all three"), (result["forward"], result["loss"])
    nms = tuple(max(whole[i] - sum(part[i] for part in parts), 0.0) for i in range(2))
    return {**{key: result.pop(key) for key in ("forward", "loss")}, "NMS": (nms[0], nms[1]), **result}


def picture_stages(imgsz: int) -> dict[str, tuple[float, float]]:
    """Time a mosaic of sixteen pictures of the network's input: drawing and encoding, by cell."""
    import numpy as np

    from aigp_lightning.media.encode import encode
    from aigp_lightning.media.plots.mosaic import Cell, draw_mosaic

    rng = np.random.default_rng(0)
    smooth = np.linspace(0, 200, imgsz)[:, None, None] + rng.random((CELLS, imgsz, imgsz, 3)) * 20
    corners = rng.uniform(0, 0.6, (CELLS, 8, 2)) * imgsz
    boxes = np.concatenate((corners, corners + 0.3 * imgsz), 2)
    cells = [Cell(i, b, np.zeros(8, int), np.full(8, 0.5)) for i, b in zip(smooth.astype(np.uint8), boxes, strict=True)]
    stages, rounds = Stages(), 3
    for number in range(rounds + 1):
        stages.on = number > 0
        with stages.part("draw a mosaic, by cell"):
            mosaic = draw_mosaic(cells, {0: "gate"})
        with stages.part("encode it, by cell"):
            encode(mosaic, ".jpg")
    return stages.per_image(CELLS * rounds)


def work(spec: dict[str, Any]) -> dict[str, Any]:
    """Do a part in this process."""
    import aigp_lightning  # noqa: F401  before anything that looks for the network

    if spec["part"] == "input":
        return {"stages": input_stages(spec)}
    if spec["part"] == "step":
        return step_stages(spec)
    if spec["part"] == THEIRS:
        from reference_stages import their_step

        return their_step(spec, WARM_UP, PLAIN)
    return {"stages": validation_stages(spec) if spec["part"] == "validation" else picture_stages(spec["imgsz"])}


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Time every part in a process of its own."""
    import aigp_lightning  # noqa: F401
    from aigp_lightning.cli.resolve import default_precision

    drawn = args.data or synthetic(folder / "drawn", min(args.images, DRAWN), min(args.val, DRAWN), tuple(args.picture))
    source = drawn if args.data or args.images <= DRAWN else repeated(drawn, folder / "repeated", args.images)
    precision = args.precision or default_precision("cpu" if args.device == "cpu" else "gpu")
    spec = {key: getattr(args, key) for key in ("model", "imgsz", "batch", "epochs", "workers", "threads", "device")}
    spec |= {"data": str(absolute_yaml(source, folder / "data.yaml")), "folder": str(folder / "runs")}
    spec["precision"] = precision
    env = environment(folder / "settings", args.threads)
    env["PYTHONPATH"] = os.pathsep.join((str(Path(__file__).resolve().parent), env["PYTHONPATH"]))
    parts = {part: worker(__file__, {**spec, "part": part}, env, folder, part) for part in args.parts}
    settings = {key: spec[key] for key in ("model", "imgsz", "batch", "workers", "device", "precision")}
    return {"machine": machine(args.threads, args.device), **settings, "parts": parts}


def print_table(result: dict[str, Any]) -> None:
    """Print a Markdown table of all parts."""
    print(f"\n{result['machine']}")
    print(f"{result['model']}, {result['imgsz']} px, batch {result['batch']}, {result['precision']}\n")
    print("| part | stage | ms an image | share of the part | processor ms an image |\n|---|---|---|---|---|")
    for part, found in result["parts"].items():
        total = [sum(times[i] for times in found["stages"].values()) for i in range(2)]
        for name, (wall, cpu) in found["stages"].items():
            print(f"| {part} | {name} | {wall:.3f} | {100 * wall / total[0]:.1f} % | {cpu:.3f} |")
        print(f"| {part} | all | {total[0]:.3f} | 100 % | {total[1]:.3f} |")
    for part in ("step", THEIRS):
        if plain := result["parts"].get(part, {}).get("plain"):
            print(f"\n{part}, without borders between its stages: {plain:.3f} ms an image, {1000 / plain:.1f} images/s")


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ("input", "step", THEIRS, "validation", "pictures")
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts), help="what is timed")
    parser.add_argument("--data", type=Path, help="a data.yaml; without it a synthetic set is made in a temp folder")
    parser.add_argument("--images", type=int, default=128, help="training pictures of the synthetic set")
    parser.add_argument("--val", type=int, default=64, help="its validation pictures")
    parser.add_argument("--picture", type=int, nargs=2, default=[640, 360], help="their width and height, pixels")
    parser.add_argument("--model", default="yolo11n", help="a YAML's name, without its ending")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=2, help="epochs that are timed by stages, after two others")
    parser.add_argument("--workers", type=int, default=8, help="the loader's, for the step")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch, for step and validation")
    parser.add_argument("--precision", help="of the step; without it what `fit` takes on this device")
    parser.add_argument("--device", default="cpu", help="cpu, or 0: the first GPU")
    add_result_options(parser)
    return parser.parse_args()


def main() -> None:
    """Measure, print, write."""
    run_benchmark(parse(), work, measure, print_table)


if __name__ == "__main__":
    main()
