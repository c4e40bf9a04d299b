"""Pictures of whole runs by the command line: which, when, how many, of which images, to whom."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from operator import attrgetter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import REPO, small, tiny_network
from numpy.typing import NDArray
from rfdetr_networks import OPTIONS

from aigp_lightning.media.ledger.ledger import Lines, read_ledger
from aigp_lightning.media.plots.boxes import class_colour

FAMILY_OPTIONS: dict[str, tuple[tuple[object, ...], tuple[object, ...]]] = {
    "yolo": ((), ("--model.optim.nbs", 8)),
    "rfdetr": (
        ("--config", REPO / "configs" / "rfdetr.yaml"),
        ("--data.synthetic", "null", *OPTIONS, "--model.freeze_encoder", "true"),
    ),
}
"""Configuration of each family, and options of its smallest run."""
MOSAICS = tuple(word for kind in ("curves", "confusion_matrix", "results") for word in (f"--media.routes.{kind}", "[]"))
"""Options of a run that draws no charts of its metrics, which take longer than its mosaics."""
TENSORBOARD_AND_WANDB = ("--config", REPO / "configs" / "detector.yaml", "--config", REPO / "configs/logger/both.yaml")


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def ledger(run: Path) -> Lines:
    found = read_ledger(run / "media.jsonl")
    assert found.problems == []
    return found


def keys(run: Path, destination: str, epoch: int | None = None) -> list[str]:
    return [line.key for line in ledger(run)
            if line.destination == destination and (epoch is None or line.epoch == epoch)]  # fmt: skip


@pytest.fixture
def train(shapes: Path, tmp_path: Path, run_cli: Callable[..., int]) -> Iterator[Callable[..., Path]]:
    """Train two tiny epochs with these options; returns the run folder."""

    def run(*options: object, epochs: int = 2, status: int = 0, family: str = "yolo") -> Path:
        config, more = FAMILY_OPTIONS[family]
        configs = options[: 2 * sum(option == "--config" for option in options)]  # what comes later overrides them
        words = [*config, *configs, *small(shapes, tmp_path), *more, "--run.name", "a", "--run.exist_ok", "true"]
        words += tiny_network(tmp_path) if family == "yolo" else []
        words += ["--trainer.max_epochs", epochs, "--media.max_images", 4, *options[len(configs) :]]
        assert run_cli("fit", *words) == status
        return tmp_path / "detect" / "a"

    yield run


@pytest.fixture(scope="module")
def pictured_yolo(
    shapes: Path, tmp_path_factory: pytest.TempPathFactory, run_cli: Callable[..., int]
) -> Iterator[Path]:
    """The folder of a run with TensorBoard and W&B offline, one loader worker, everything drawn."""
    root = tmp_path_factory.mktemp("pictured")
    words = [*TENSORBOARD_AND_WANDB, *small(shapes, root), "--data.workers", 1, "--run.name", "a"]
    words += ["--trainer.max_epochs", 2, "--media.val_batches", 2, "--media.max_images", 4, "--model.optim.nbs", 8]
    words += ["--close_mosaic.epochs", 0, *tiny_network(root)]
    assert run_cli("fit", *words) == 0
    yield root / "detect" / "a"
    _finish()


@pytest.fixture(params=["yolo", "rfdetr"])
def family(request: pytest.FixtureRequest) -> str:
    """Both families draw the same pictures, by the same code."""
    return str(request.param)


@pytest.fixture
def pictured(family: str, request: pytest.FixtureRequest) -> Path:
    """The folder of a run of two epochs of a family, with TensorBoard and W&B offline, everything drawn."""
    folder: Path = request.getfixturevalue("pictured_yolo" if family == "yolo" else "finished_rfdetr")
    return folder


LOSSES = {
    "yolo": ["box_loss", "cls_loss", "dfl_loss"],
    "rfdetr": ["loss", "loss_ce", "loss_bbox", "loss_giou"],
}
"""Loss components of each family, in the order of its plots."""
STARTING = ["labels", "labels_correlogram", "train_batch0", "train_batch1", "train_batch2"]
VALIDATION = ["val_batch0_labels", "val_batch0_pred", "val_batch1_labels", "val_batch1_pred"]
CLOSING = ["PR_curve", "F1_curve", "P_curve", "R_curve", "confusion_matrix", "confusion_matrix_normalized", "results"]


def test_the_contract_s_files(pictured: Path) -> None:
    files = {path.name for path in pictured.iterdir() if path.suffix in (".jpg", ".png")}
    jpegs = {f"{key}.jpg" for key in (*STARTING, *VALIDATION)}
    assert files == jpegs | {f"{key}.png" for key in CLOSING}


@pytest.mark.parametrize("destination", ["file", "tensorboard", "wandb"])
def test_everybody_gets_everything_once(pictured: Path, destination: str) -> None:
    assert keys(pictured, destination) == [*STARTING, *VALIDATION, *VALIDATION, *CLOSING]
    assert keys(pictured, destination, epoch=0) == [*STARTING, *VALIDATION]
    assert keys(pictured, destination, epoch=1) == [*VALIDATION, *CLOSING]


def test_one_sha256_in_folder_mirror_event_file_and_ledger(pictured: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(pictured / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    in_events = {(tag, image.step): sha256(image.encoded_image_string).hexdigest()
                 for tag in events.Tags()["images"] for image in events.Images(tag)}  # fmt: skip
    mirror = {digest(path) for path in pictured.glob("wandb/offline-run-*/files/media/images/*")}
    lines = ledger(pictured)
    latest = {line.file: line.sha256 for line in lines if line.destination == "file"}
    assert {file: digest(pictured / file) for file in latest} == latest
    assert {(line.key, line.epoch): line.sha256 for line in lines if line.destination == "tensorboard"} == in_events
    assert {line.sha256 for line in lines if line.destination == "wandb"} == mirror


def test_pictures_carry_their_epoch_in_wandb(pictured: Path) -> None:
    from aigp_lightning.logfiles.wandb_run import read_wandb_run

    (folder,) = pictured.glob("wandb/offline-run-*")
    rows = [row for row in read_wandb_run(folder).history if "val_batch0_pred" in row]
    assert [row["epoch"] for row in rows] == [0, 1]
    history = read_wandb_run(folder).history
    scalars = [row for row in history if "metrics/mAP50(B)" in row]
    moments = [[(row["epoch"], row["trainer/global_step"]) for row in of] for of in (rows, scalars)]
    assert moments[0] == moments[1], "pictures count steps as Lightning's scalars do"
    pictures = {*STARTING, *VALIDATION, *CLOSING}
    for drawn in (True, False):  # two threads log: each in order, but on a busy machine pictures come later
        steps = [row["trainer/global_step"] for row in history if bool(pictures & set(row)) is drawn]
        assert steps == sorted(steps)
    assert all(set(VALIDATION) <= set(row) for row in rows), "one row for the pictures of a moment"


def test_cells_are_native(pictured: Path) -> None:
    """Four 96×96 training images make 192×192; eleven validation images of 128-pixel rectangles as they come."""
    assert {cv2.imread(str(path)).shape for path in pictured.glob("train_batch?.jpg")} == {(192, 192, 3)}
    assert cv2.imread(str(pictured / "val_batch0_pred.jpg")).shape == (
        cv2.imread(str(pictured / "val_batch0_labels.jpg")).shape
    )


def test_the_results_picture_has_the_family_s_own_losses(family: str, pictured: Path) -> None:
    """Drawn of results.csv as it is in the end, pixel by pixel; each loss component has a plot of its own name."""
    from aigp_lightning.callbacks.results import read_rows
    from aigp_lightning.media.plots.results import draw_results, results_figure

    rows = read_rows(pictured / "results.csv")
    assert [key.removeprefix("train/") for key in rows[0] if key.startswith("train/")] == LOSSES[family]
    assert [key.removeprefix("val/") for key in rows[0] if key.startswith("val/")] == LOSSES[family]
    titles = [axes.get_title(loc="left") for axes in results_figure(rows).axes]
    assert {f"{split}/{name}" for split in ("train", "val") for name in LOSSES[family]} <= set(titles)
    best = torch.load(pictured / "weights" / "best.ckpt", weights_only=True)["epoch"]
    np.testing.assert_array_equal(cv2.imread(str(pictured / "results.png"))[..., ::-1], draw_results(rows, best + 1))


def test_the_folder_is_audited(pictured: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli("audit", pictured) == 0
    assert "everything matches" in capsys.readouterr().out


def test_the_train_mosaic_shows_the_pixels_of_the_batch(family: str, shapes: Path, tmp_path: Path) -> None:
    """Drawn as PNG, every pixel without ink is the batch's own, and a box is where its label says, in its colour."""
    from aigp_lightning.data.datamodule import YoloDataModule
    from aigp_lightning.media.render_jobs import train_job
    from aigp_lightning.media.snapshot import snapshot_batch
    from aigp_lightning.modules.registry import module_class

    data = YoloDataModule(str(shapes), imgsz=96, batch_size=4, workers=0)
    batch = next(iter(data.train_dataloader()))
    pixels = batch["img"].permute(0, 2, 3, 1).numpy().copy()
    on_device = module_class(family, "detect")().on_after_batch_transfer(batch, 0)
    assert on_device["img"].dtype == torch.float32
    snapshot = snapshot_batch(on_device, 4)
    names = {0: "square", 1: "disc"}
    drawn = train_job(0, [snapshot], batch["sources"], names, 4).draw(frozenset())
    assert drawn.shape == (192, 192, 3)
    for cell in range(4):
        place = drawn[cell // 2 * 96 : cell // 2 * 96 + 96, cell % 2 * 96 : cell % 2 * 96 + 96]
        assert (place == pixels[cell]).all(axis=2).mean() > 0.5
        for box, label in zip(
            batch["bboxes"][batch["batch_idx"] == cell], batch["cls"][batch["batch_idx"] == cell], strict=True
        ):
            assert _bottom_edge_is(place, box.numpy() * 96, class_colour(int(label)))


def _bottom_edge_is(place: NDArray[np.uint8], box: NDArray[np.float32], colour: tuple[int, int, int]) -> bool:
    """Whether most of a box's lower edge, or its right one, is in a colour; tags of others may cover some of it."""
    x1, y1, x2, y2 = (*(box[:2] - box[2:] / 2), *(box[:2] + box[2:] / 2))
    row, column = min(round(y2), 95), min(round(x2), 95)
    near = [
        place[max(row - 1, 0) : row + 2, round(x1) : column + 1],
        place[round(y1) : row + 1, max(column - 1, 0) : column + 2],
    ]
    shares = [(part == colour).all(axis=2).any(axis=axis).mean() for axis, part in enumerate(near) if part.size]
    return max(shares, default=1.0) > 0.5


def test_sources_of_a_mosaic_are_all_its_images(family: str, pictured: Path) -> None:
    """Four cells; a cell of YOLO's recipe is itself made of several images."""
    line = next(line for line in ledger(pictured) if line.key == "train_batch0")
    assert len(line.sources) > 4 if family == "yolo" else len(line.sources) == 4
    assert all(Path(source).is_file() for source in line.sources)


@pytest.mark.parametrize(
    ("options", "count"), [(("--media.val_batches", 0), 0), (("--media.val_batches", 1), 2), ((), 6)]
)
def test_number_of_validation_files(train: Callable[..., Path], options: tuple[object, ...], count: int) -> None:
    run = train(*options, *MOSAICS, epochs=1)
    assert len(list(run.glob("val_batch*"))) == count


def test_more_than_there_are(train: Callable[..., Path], caplog: pytest.LogCaptureFixture) -> None:
    run = train("--media.val_batches", 8, *MOSAICS, epochs=1)
    assert len(list(run.glob("val_batch*_pred.jpg"))) == 3
    assert "media.val_batches is 8; 11 images make 3 of up to 4." in caplog.text


def test_every_second_epoch(train: Callable[..., Path]) -> None:
    run = train("--media.val_every_n_epochs", 2, *MOSAICS, epochs=3)
    assert {line.epoch for line in ledger(run) if line.kind == "val_pred"} == {1}


def test_routes(train: Callable[..., Path]) -> None:
    run = train(
        *("--media.routes.everything", "[tensorboard]", "--media.routes.train_batch", "[]"),
        *("--media.routes.results", "[wandb]", "--media.routes.curves", "[file]"),
        epochs=1,
    )  # fmt: skip
    assert not list(run.glob("train_batch*"))
    assert not (run / "results.png").exists(), "for W&B alone, which is not configured"
    assert (run / "PR_curve.png").is_file()
    assert "PR_curve" not in keys(run, "tensorboard")
    assert "val_batch0_pred" in keys(run, "tensorboard")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--media.routes.val_preds", "[file]"), "val_preds"),
        (("--media.routes.val_pred", "[wandbb]"), "wandbb"),
        (("--media.val_select", "best"), "best"),
        (("--media.val_files", "no-such-*.png"), "fits no image of the validation split"),
        (("--media.val_select", "files"), "--media.val_files"),
        (("--media.max_images", "0"), "--media.max_images"),
        (("--media.conf", "1.5"), "--media.conf"),
        (("--media.private", "none.txt"), "none.txt"),
    ],
)
def test_mistakes_end_before_training(
    words: tuple[str, ...], named: str, shapes: Path, tmp_path: Path, run_cli: Callable[..., int],
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    try:
        status = run_cli("fit", *small(shapes, tmp_path), "--trainer.max_epochs", 1, *words)
    except SystemExit as end:  # argparse's own
        status = end.code
    assert status == 2
    errors = capfd.readouterr().err
    assert named in errors
    assert "Traceback" not in errors


def shown(run: Path, epoch: int = 0) -> list[str]:
    labels = ("val_labels", "file", epoch)
    lines = [line for line in ledger(run) if (line.kind, line.destination, line.epoch) == labels]
    return [Path(source).name for line in lines for source in line.sources]


def test_which_images_are_shown(train: Callable[..., Path], tmp_path: Path) -> None:
    """Fixed over the epochs; `first` in the loader's order, an even spread over it, or the files named."""
    alone = ("--media.routes.everything", "[]", "--media.routes.val_labels", "[file]")
    run = train("--media.val_batches", 1, *alone)
    first = shown(run)
    assert len(first) == 4
    assert shown(run, 1) == first
    every = train("--media.val_batches", 3, *alone, epochs=1)
    order = shown(every)
    assert order[:4] == first
    assert sorted(order) == [f"{number:03d}.png" for number in range(11)]
    spread = train("--media.val_batches", 1, "--media.val_select", "spread", *alone, epochs=1)
    assert shown(spread) == [order[place] for place in (0, 3, 7, 10)]
    listed = tmp_path / "show.txt"
    listed.write_text("images/val/004.png\nimages/val/009.png\n")
    files = train("--media.val_files", listed, *alone, epochs=1)
    assert sorted(shown(files)) == ["004.png", "009.png"]


@pytest.fixture(autouse=True)
def fresh_ledger(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """`train` uses one folder several times; each time its ledger begins anew."""
    if "train" in request.fixturenames:
        from aigp_lightning.media import pipeline

        opened = pipeline.Ledger

        def anew(path: Path, resuming: bool) -> object:
            path.unlink(missing_ok=True)
            return opened(path, resuming)

        monkeypatch.setattr(pipeline, "Ledger", anew)


def test_the_worst(train: Callable[..., Path], shapes: Path) -> None:
    """The images with the lowest F1 after the first epoch, lowest first; `worst_each` chooses anew."""
    kept = train("--media.val_batches", 1, "--media.val_select", "worst", "--media.val_errors", 1, *MOSAICS)
    assert len(shown(kept)) == 4
    assert shown(kept, 1) == shown(kept)
    written = [line for line in ledger(kept) if line.kind == "val_errors" and line.destination == "file"]
    assert [(line.file, line.epoch, len(line.sources)) for line in written] == [
        ("val_errors0.jpg", 0, 4), ("val_errors0.jpg", 1, 4)
    ]  # fmt: skip
    rows, columns, _ = cv2.imread(str(kept / "val_errors0.jpg")).shape
    mosaic = cv2.imread(str(kept / "val_batch0_pred.jpg")).shape
    assert columns == mosaic[1] and rows > mosaic[0], "the same cells, and a legend below"


def test_image_score() -> None:
    from aigp_lightning.media.detections import NOTHING, ImageDetections
    from aigp_lightning.media.val_errors import judge
    from aigp_lightning.modules.detector import DetectorModule

    batch = {
        "img": torch.zeros(3, 3, 100, 100), "batch_idx": torch.tensor([0, 0]), "cls": torch.tensor([0, 1]),
        "bboxes": torch.tensor([[0.2, 0.2, 0.2, 0.2], [0.7, 0.7, 0.2, 0.2]]),
    }  # fmt: skip
    found = ImageDetections(
        np.array([[10, 10, 30, 30], [60, 60, 80, 80], [0, 50, 20, 70]], np.float32), np.array([0.9, 0.8, 0.7]),
        np.array([0, 0, 1]),
    )  # fmt: skip
    module = DetectorModule()
    assert judge(found, batch, 0, module).f1 == pytest.approx(2 * 1 / (2 + 3))  # type: ignore[arg-type]
    assert judge(NOTHING, batch, 0, module).f1 == 0  # type: ignore[arg-type]
    assert judge(NOTHING, batch, 1, module).f1 == 1  # type: ignore[arg-type]
    assert judge(found, batch, 1, module).f1 == 0  # type: ignore[arg-type]


def test_predictions_are_the_model_s(family: str, train: Callable[..., Path], shapes: Path) -> None:
    """What a mosaic shows is what the saved model finds in the image, at its place in the cell."""
    from aigp_lightning.media.detections import ImageDetections
    from aigp_lightning.media.val_selection import ValImageSelection

    seen: dict[str, ImageDetections] = {}
    original = ValImageSelection.merge

    def remember(self: ValImageSelection, shares: object, epoch: int) -> None:
        original(self, shares, epoch)  # type: ignore[arg-type]
        seen.update(self.found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ValImageSelection, "merge", remember)
        sure = ("--model.variant", "yolo11n") if family == "yolo" else ()  # three layers find nothing
        run = train("--media.conf", 0.001, "--media.val_batches", 1, *sure, epochs=1, family=family)
    from aigp_lightning.data.datamodule import YoloDataModule
    from aigp_lightning.modules.registry import load_module

    resize = {"yolo": "letterbox", "rfdetr": "stretch"}[family]
    pictures = YoloDataModule(str(shapes), imgsz=96, batch_size=8, resize=resize).pictures("val")
    module = load_module(run / "weights" / "last.ckpt")
    file = pictures.files[0]
    image = torch.from_numpy(pictures[0]["image"]).permute(2, 0, 1)[None] / 255
    nothing = {"bboxes": torch.zeros(0, 4), **dict.fromkeys(("cls", "batch_idx"), torch.zeros(0, dtype=torch.long))}
    (again,) = module.evaluate({"img": image, **nothing})["predictions"]  # type: ignore[typeddict-item]
    assert len(again.boxes) == len(seen[file].boxes) > 0
    np.testing.assert_allclose(again.boxes.detach().numpy(), seen[file].boxes, atol=0.05)
    np.testing.assert_allclose(again.scores.detach().numpy(), seen[file].scores, atol=1e-4)


def test_private_images_are_masked_for_wandb_alone(
    train: Callable[..., Path], shapes: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Three training and one validation image are private: no picture in W&B's mirror shows a pixel of them."""
    private = [f"images/train/00{number}.png" for number in range(3)] + ["images/val/004.png"]
    run = train(*TENSORBOARD_AND_WANDB, "--media.private", json.dumps(private), "--media.val_batches", 3,
                "--close_mosaic.epochs", 0, epochs=1)  # fmt: skip
    assert "3 of 24 training and 1 of 11 validation images are private" in caplog.text
    lines = ledger(run)
    secret = {line.key for line in lines if line.destination == "file" and _any(line.sources, private)}
    for line in lines:
        assert line.file.startswith("masked/") == (line.key in secret and line.destination == "wandb"), line
        assert line.destination != "wandb" or not _any(line.sources, private)
    assert any(line.file.startswith("masked/train_batch") for line in lines), "a partner in a mosaic counts"
    mirror = {digest(path) for path in run.glob("wandb/offline-run-*/files/media/images/*")}
    assert mirror == {line.sha256 for line in lines if line.destination == "wandb"}
    unmasked = {line.sha256 for line in lines if line.destination == "file" and line.key in secret}
    assert unmasked
    assert mirror.isdisjoint(unmasked)
    line = next(line for line in lines if line.file.startswith("masked/val") and line.kind == "val_labels")
    whole = next(other for other in lines if other.key == line.key and other.destination == "file")
    place = [source.endswith("004.png") for source in whole.sources].index(True)
    shown_, hidden = (cv2.imread(str(run / name)) for name in (Path(line.file).name, line.file))
    for drawn, masked in ((shown_, set[int]()), (hidden, {place})):
        expected = val_mosaic(shapes, int(line.key.split("_")[1].removeprefix("batch")), masked)
        assert drawn.shape == expected.shape
        assert np.abs(drawn[..., ::-1].astype(int) - expected).mean() < 3, "as drawn, but for JPEG"
    _finish()


def val_mosaic(shapes: Path, number: int, masked: set[int]) -> NDArray[np.uint8]:
    """A mosaic of labels as it is drawn from the data alone."""
    from aigp_lightning.data.datamodule import YoloDataModule
    from aigp_lightning.media.plots.mosaic import draw_mosaic
    from aigp_lightning.media.val_selection import ValImageSelection

    data = YoloDataModule(str(shapes), imgsz=96, batch_size=8)
    selection = ValImageSelection("first", None, 3, 4, 0.25, print)
    selection.open(data.pictures("val"))
    return draw_mosaic(selection.loader(selection.chunks()[number])(), data.names, masked)


def _any(sources: list[str], named: list[str]) -> bool:
    return any(source.endswith(entry) for source in sources for entry in named)


def _finish() -> None:
    import wandb

    wandb.finish()
    wandb.teardown()


def test_refusing_to_start(train: Callable[..., Path], capfd: pytest.CaptureFixture[str]) -> None:
    words = ["--media.private", "images/train/000.png", "--media.private_action", "refuse"]
    run = train(*words, epochs=1)
    assert (run / "train_batch0.jpg").is_file(), "TensorBoard on this disk is no remote destination"
    train(*TENSORBOARD_AND_WANDB, *words, epochs=1, status=2)
    errors = capfd.readouterr().err
    assert "--media.routes.train_batch '[file]'" in errors
    assert "W&B" not in errors
    assert not (run / "wandb").exists(), "refused before a W&B run was opened"


def test_patterns_that_fit_nothing(
    train: Callable[..., Path], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where pictures would leave, nothing does before somebody looked; elsewhere a warning will do."""
    words = ("--media.private", '["garage/*", "val/004.png"]', "--trainer.limit_train_batches", 1)
    train(*TENSORBOARD_AND_WANDB, *words, epochs=1, status=2)
    assert "error: media.private: no image of this data set fits garage/*" in capfd.readouterr().err
    train(*TENSORBOARD_AND_WANDB, "--media.private", "garage/*", epochs=1, status=2)
    assert "media.private fits no image of this data set, such as " in capfd.readouterr().err
    run = train(*words, epochs=1)
    assert "warning: media.private: no image of this data set fits garage/*" in caplog.text
    assert not (run / "wandb").exists()


def test_curves_are_of_the_best_epoch(train: Callable[..., Path]) -> None:
    from aigp_lightning.media.best_epoch import BestEpochFigures

    class Metrics:
        fitness, confusion = 0.0, np.eye(3)

        def __init__(self, fitness: float) -> None:
            self.fitness = fitness

        def curves(self) -> list[object]:
            return []

    best = BestEpochFigures()
    matrices = {}
    for fitness in (0.1, 0.4, 0.4, 0.2):
        metrics = Metrics(fitness)
        metrics.confusion = np.full((3, 3), fitness)
        matrices.setdefault(fitness, metrics.confusion)
        best.update(metrics)
    assert best.fitness == 0.4
    assert best.confusion is matrices[0.4]
    again = BestEpochFigures()
    again.load_state_dict(best.state_dict())
    assert again.fitness == 0.4
    assert (again.confusion == 0.4).all()


def test_corner_errors_are_of_the_best_epoch_and_survive_a_checkpoint(tmp_path: Path) -> None:
    """Through a file that holds tensors and plain values only; drawn after the confusion matrix."""
    from types import SimpleNamespace

    from aigp_lightning.media.best_epoch import BestEpochFigures
    from aigp_lightning.types import CornerErrors

    def metrics(fitness: float, found: CornerErrors | None) -> object:
        return SimpleNamespace(fitness=fitness, curves=list, confusion=np.eye(2), corner_errors=lambda: found)

    best, errors = BestEpochFigures(), CornerErrors(np.float32([3, 12]), np.float32([1.5, 2.25]), (5.0, 10.0))
    for fitness, found in ((0.1, None), (0.4, errors), (0.2, None)):
        best.update(metrics(fitness, found))
    torch.save(best.state_dict(), tmp_path / "state.pt")
    again = BestEpochFigures()
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert again.corners is not None
    np.testing.assert_array_equal(again.corners.distance, errors.distance)
    np.testing.assert_array_equal(again.corners.error, errors.error)
    assert again.corners.bands == (5.0, 10.0)
    names = [job.name for job in again.jobs({0: "gate"})]
    assert names == ["confusion_matrix.png", "confusion_matrix_normalized.png", "corner_error.png"]
    np.testing.assert_array_equal(*(which.jobs({0: "gate"})[-1].draw(frozenset()) for which in (best, again)))


def test_without_a_gate_found_the_picture_says_so() -> None:
    """Where corners are judged the file is always there, as planned; elsewhere it is never."""
    from types import SimpleNamespace

    from aigp_lightning.media.best_epoch import BestEpochFigures

    best = BestEpochFigures()
    assert best.jobs({}, ("corner_error",)) == [], "no validation yet"
    best.update(SimpleNamespace(fitness=0.0, curves=list, confusion=None, corner_errors=lambda: None))
    assert best.jobs({}) == []
    (job,) = best.jobs({}, ("corner_error",))
    assert (job.kind, job.name) == ("corner_error", "corner_error.png")
    assert (job.draw(frozenset()) < 128).all(2).sum() > 300


def test_an_older_checkpoint_has_no_corner_errors() -> None:
    from aigp_lightning.media.best_epoch import BestEpochFigures

    best = BestEpochFigures()
    best.load_state_dict({"fitness": 0.5, "curves": [], "confusion": None})
    assert best.corners is None


def test_a_resumed_run_goes_on_without_doubles(shapes: Path, tmp_path: Path, run_cli: Callable[..., int]) -> None:
    """Same ledger, same event folder, every picture and every scalar of every epoch once; curves of the whole run."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    words = [*small(shapes, tmp_path), *tiny_network(tmp_path), "--run.name", "r", "--media.max_images", 4]
    words += ["--media.val_select", "worst"]
    assert run_cli("fit", *words, "--trainer.max_epochs", 2) == 0
    run = tmp_path / "detect" / "r"
    last = run / "weights" / "last.ckpt"
    assert run_cli("fit", *words, "--trainer.max_epochs", 4, "--extend", "--ckpt_path", last) == 0
    sent = [(line.key, line.epoch) for line in ledger(run) if line.destination == "tensorboard"]
    assert len(sent) == len(set(sent))
    assert [epoch for key, epoch in sent if key == "val_batch0_pred"] == [0, 1, 2, 3]
    assert [epoch for key, epoch in sent if key == "train_batch0"] == [0]
    assert len({tuple(shown(run, epoch)) for epoch in range(4)}) == 1
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    assert sorted(image.step for image in events.Images("val_batch0_pred")) == [0, 1, 2, 3]
    assert len(events.Scalars("metrics/mAP50(B)")) == 4
    assert max(events.Scalars("epoch"), key=attrgetter("wall_time")).value == 3


def test_without_media_everything_else_is_there(train: Callable[..., Path]) -> None:
    run = train("--media.routes.everything", "[]", epochs=1)
    assert not [path for path in run.iterdir() if path.suffix in (".jpg", ".png")]
    assert (run / "results.csv").is_file()
    assert (run / "media.jsonl").read_bytes() == b""
