"""Starting from weights: other classes, other sizes, fewer queries; what is no RF-DETR is refused in a line."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rfdetr_networks import NAMES, SIZE, tiny_module

from aigp_lightning.errors import WeightsError
from aigp_lightning.modules.registry import load_module, open_weights, trained_with
from aigp_lightning.modules.rfdetr.description import Description
from aigp_lightning.modules.rfdetr.module import RFDETRModule
from aigp_lightning.modules.rfdetr.weights import read_weights


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `.pth` of ours with the classes gate and tree."""
    path = tmp_path_factory.mktemp("weights") / "best.pth"
    tiny_module(seed=3).deployment.write_portable(path, 7, {"imgsz": SIZE, "data": "gates.yaml", "resize": "letterbox"})
    return path


def started(path: Path, names: dict[int, str], **options: Any) -> RFDETRModule:
    return tiny_module(seed=9, names=names, fresh=True, weights=str(path), **options)


def test_classes_are_taken_by_name(trained: Path, capsys: pytest.CaptureFixture[str], caplog: Any) -> None:
    theirs = read_weights(trained).tensors
    with caplog.at_level("INFO"):
        ours = started(trained, {0: "Tree ", 1: "wall", 2: "gate"}).network.model.state_dict()
    for head in ("class_embed", "transformer.enc_out_class_embed.1"):
        for kind in ("weight", "bias"):
            mine, its = ours[f"{head}.{kind}"], theirs[f"{head}.{kind}"]
            assert torch.equal(mine[0], its[1])
            assert torch.equal(mine[2], its[0])
            assert torch.equal(mine[3], its[2])  # of no class
            assert not torch.equal(mine[1], its[0])
    assert torch.equal(ours["bbox_embed.layers.0.weight"], theirs["bbox_embed.layers.0.weight"])
    assert "2 of 3 classes by name, whose order is another there" in caplog.text


def test_no_class_in_common_is_said(trained: Path, caplog: Any) -> None:
    with caplog.at_level("INFO"):
        started(trained, {0: "drone"})
    assert "no class by its name: those of the file are gate, tree" in caplog.text


def test_another_size_interpolates_the_positions(trained: Path) -> None:
    from rfdetr.models.weights import interpolate_position_embeddings

    module = RFDETRModule("nano", groups=2, queries=30, decoder_layers=2, weights=str(trained))
    module.imgsz = 96
    key = "backbone.0.encoder.encoder.embeddings.position_embeddings"
    found = module.build_network(NAMES).model.state_dict()[key]
    theirs = {key: read_weights(trained).tensors[key]}
    interpolate_position_embeddings(theirs, 6)
    assert found.shape == (1, 37, 384)
    assert torch.equal(found, theirs[key])


def test_fewer_and_more_queries_keep_their_groups(trained: Path) -> None:
    theirs = read_weights(trained).tensors["query_feat.weight"].view(2, 30, 256)
    few = started(trained, NAMES, queries=10, groups=1).network.model.state_dict()["query_feat.weight"]
    assert torch.equal(few, theirs[0, :10])
    more = (
        started(trained, NAMES, queries=40, groups=3).network.model.state_dict()["query_feat.weight"].view(3, 40, 256)
    )
    assert torch.equal(more[:2, :30], theirs)
    assert not torch.equal(more[2, :30], theirs[0])


def test_another_variant_is_refused(trained: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"best.pth holds an RF-DETR nano, whose weights do not fit --model.variant small"
    ):
        module = RFDETRModule("small", weights=str(trained), groups=2, queries=30)
        module.imgsz = SIZE
        module.build_network(NAMES)


def test_fewer_layers_are_said(trained: Path, caplog: Any) -> None:
    with caplog.at_level("INFO"):
        started(trained, NAMES, decoder_layers=1)
    assert "tensors of the file are not used: there are fewer layers" in caplog.text


def test_a_file_says_how_it_was_trained(trained: Path) -> None:
    told = trained_with(trained)
    assert (told.family, told.task, told.data) == ("rfdetr", "detect", {"imgsz": SIZE, "resize": "letterbox"})
    module = open_weights(trained)
    assert (module.family, module.names, module.training) == ("rfdetr", NAMES, False)


class Harmful:
    def __reduce__(self) -> Any:
        return print, ("this was run",)


@pytest.mark.parametrize("kind", ["code", "pickle", "cut off", "text", "list", "empty", "segmentation", "yolo"])
def test_what_is_no_rfdetr_is_refused(
    kind: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / ("best.pt" if kind == "yolo" else "best.pth")
    content = torch.load(trained, weights_only=True)
    if kind == "code":
        torch.save({**content, "args": Harmful()}, file)
    elif kind == "pickle":
        file.write_bytes(pickle.dumps(Harmful()))
    elif kind == "cut off":
        file.write_bytes(trained.read_bytes()[:-4000])
    elif kind == "text":
        file.write_text("weights", encoding="utf-8")
    elif kind == "yolo":
        file.write_bytes(trained.read_bytes())
    elif kind == "segmentation":
        torch.save({"model": {**content["model"], "segmentation_head.weight": torch.zeros(1)}}, file)
    else:
        torch.save([1] if kind == "list" else {"model": {}}, file)
    with pytest.raises(WeightsError) as refused:
        RFDETRModule(weights=str(file)).build_network(NAMES)
    assert str(file) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "this was run" not in capsys.readouterr().out


def test_a_file_that_is_not_there_is_not_fetched() -> None:
    with pytest.raises(
        WeightsError, match=r"no weights file at rf-detr-nano.pth, nor in weights.*fetch rf-detr-nano.pth"
    ):
        RFDETRModule(weights="rf-detr-nano.pth").build_network(NAMES)


def test_a_checkpoint_is_a_start_too(tmp_path: Path) -> None:
    """Ours, which has more than the network; its weights are the averaged ones."""
    module, content = tiny_module(seed=4), {}
    content["state_dict"] = module.state_dict()
    module.on_save_checkpoint(content)
    torch.save(content, tmp_path / "best.ckpt")
    ours = started(tmp_path / "best.ckpt", NAMES).network.model.state_dict()
    assert all(torch.equal(value, ours[key]) for key, value in module.network.model.state_dict().items())
    again = load_module(tmp_path / "best.ckpt")
    assert (again.family, again.names) == ("rfdetr", NAMES)


def test_a_checkpoint_of_yolos_is_refused(tmp_path: Path) -> None:
    from aigp_lightning.modules.detector import DetectorModule

    module = DetectorModule("yolo11n")
    module.set_network(module.build_network({0: "gate"}))
    content: dict[str, Any] = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(content)
    torch.save(content, tmp_path / "best.ckpt")
    with pytest.raises(WeightsError, match=r"best.ckpt is of family yolo; the configuration asks for rfdetr"):
        started(tmp_path / "best.ckpt", NAMES)


def test_exported_files_say_how_pictures_are_resized(
    tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    import onnx

    tiny_module(seed=3).deployment.write_portable(tmp_path / "a.pth", 7, {"imgsz": SIZE, "resize": "stretch"})
    assert run_cli("export", "--weights", tmp_path / "a.pth", "--out", tmp_path / "out") == 0
    assert "pictures were brought to that size by stretch" in capsys.readouterr().out
    said = {each.key: each.value for each in onnx.load(tmp_path / "out" / "a.onnx").metadata_props}
    assert (said["resize"], said["names"], said["imgsz"]) == ("stretch", "{0: 'gate', 1: 'tree'}", "[64, 64]")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        *("a.onnx", "a.pth", "a.torchscript", "contract.json"),
    ]
    traced = torch.jit.load(tmp_path / "out" / "a.torchscript")
    assert not any(parameter.requires_grad for parameter in traced.parameters())
    assert traced(torch.rand(1, 3, SIZE, SIZE)).shape == (1, 6, 30)
    assert trained_with(tmp_path / "out" / "a.pth").data == {"imgsz": SIZE, "resize": "stretch"}
    assert run_cli("export", "--weights", tmp_path / "a.pth", "--out", tmp_path / "out", "--format", "pt") == 2
    assert "A .pt is Ultralytics' own format" in capsys.readouterr().err
    assert run_cli("export", "--weights", tmp_path / "a.pth", "--dynamic", "true", "--format", "onnx") == 2
    assert "are of one size and batch" in capsys.readouterr().err


def test_names_that_differ_in_case_alone_keep_their_rows(tmp_path: Path) -> None:
    module = tiny_module(names={0: "Gate", 1: "gate"}).eval()
    module.deployment.write_portable(tmp_path / "best.pth", 0, {"imgsz": SIZE})
    opened = open_weights(tmp_path / "best.pth")
    assert opened.names == {0: "Gate", 1: "gate"}
    for key, value in module.network.model.state_dict().items():
        assert torch.equal(value, opened.network.model.state_dict()[key]), key
    ours = started(tmp_path / "best.pth", {0: "gate", 1: "GATE"}).network.model.state_dict()["class_embed.weight"]
    assert torch.equal(ours[0], module.network.model.class_embed.weight[1])  # as it is written
    assert not torch.equal(ours[1], module.network.model.class_embed.weight[0])  # which of the two is not known


def test_ids_count_and_not_their_order(trained: Path, tmp_path: Path) -> None:
    content = torch.load(trained, weights_only=True)
    content["args"]["class_names"] = {1: "disc", 0: "square"}
    torch.save(content, tmp_path / "a.pth")
    assert read_weights(tmp_path / "a.pth").names == {0: "square", 1: "disc"}
    content["args"]["class_names"] = {5: "disc", 0: "square"}
    torch.save(content, tmp_path / "b.pth")
    assert read_weights(tmp_path / "b.pth").names == {0: "class0", 1: "class1"}


HEAD, QUERY = "class_embed.weight", "refpoint_embed.weight"
EMBEDDINGS = "backbone.0.encoder.encoder.embeddings"
FORGED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "queries larger than they are": lambda model: {QUERY: torch.zeros(1, 1).expand(4 * 10**9, 4)},
    "an unknown tensor larger than it is": lambda model: {"x": torch.zeros(1, dtype=torch.float16).expand(10**11)},
    "a head larger than it is": lambda model: {HEAD: torch.zeros(1, 1).expand(10**9, 256)},
    "queries of no whole group": lambda model: {QUERY: torch.zeros(61, 4)},
    "no query": lambda model: {QUERY: torch.zeros(0, 4)},
    "a bias of one": lambda model: {"class_embed.bias": torch.zeros(1)},
    "a sparse head": lambda model: {HEAD: model[HEAD].to_sparse()},
    "no class": lambda model: {HEAD: torch.zeros(1, 256)},
    "complex numbers": lambda model: {HEAD: model[HEAD].to(torch.complex64)},
    "no numbers": lambda model: {HEAD: torch.full_like(model[HEAD], float("nan"))},
    "positions of no square": lambda model: {f"{EMBEDDINGS}.position_embeddings": torch.zeros(1, 18, 384)},
    "patches of 8 px": lambda model: {f"{EMBEDDINGS}.patch_embeddings.projection.weight": torch.zeros(384, 3, 8, 8)},
}


@pytest.mark.parametrize("change", FORGED)
def test_a_forged_file_is_refused_before_anything_is_made_of_it(change: str, trained: Path, tmp_path: Path) -> None:
    content = torch.load(trained, weights_only=True)
    content["model"] |= FORGED[change](content["model"])
    torch.save(content, tmp_path / "forged.pth")
    with pytest.raises(WeightsError, match=r"forged\.pth (is damaged|holds no RF-DETR detector): "):
        read_weights(tmp_path / "forged.pth")


@pytest.mark.parametrize("name", ["queries", "positions", "classes", "groups", "decoder_layers", "imgsz"])
def test_a_description_of_what_cannot_be_is_refused(name: str) -> None:
    described = Description("nano", 2, SIZE, 4, 2, 30, 2).state()
    for number in (10**9, 0, -3):
        with pytest.raises(WeightsError, match=rf"its description of an RF-DETR is none: {name} {number}"):
            RFDETRModule().build_network(NAMES, {**described, name: number})


def test_settings_that_cannot_be_are_not_told(trained: Path, tmp_path: Path) -> None:
    content = torch.load(trained, weights_only=True)
    content["aigp_settings"] = {"imgsz": -5, "resize": "foo", "data": 7}
    torch.save(content, tmp_path / "a.pth")
    assert read_weights(tmp_path / "a.pth").settings == {"imgsz": SIZE, "resize": "stretch"}


def test_more_layers_than_the_file_has_are_named(trained: Path) -> None:
    with pytest.raises(WeightsError, match=r"--model.decoder_layers 3: .*best.pth has 2; take as many, or fewer"):
        started(trained, NAMES, decoder_layers=3)
