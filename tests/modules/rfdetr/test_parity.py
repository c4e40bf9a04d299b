"""RF-DETR here and in its own package, in one process: losses, rates, schedule, predictions, files."""

from __future__ import annotations

import random
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from rfdetr_networks import (
    NAMES,
    SIZE,
    TINY,
    packages_configs,
    packages_namespace,
    packages_targets,
    shaken,
    tiny_module,
)
from torch import Tensor
from yolo_networks import labelled_batch

from aigp_lightning.modules.rfdetr.description import DetrGains
from aigp_lightning.modules.rfdetr.module import RFDETRModule
from aigp_lightning.modules.rfdetr.multi_scale import drawn_size, multi_scale_sizes
from aigp_lightning.modules.rfdetr.network import split_targets
from aigp_lightning.modules.rfdetr.optim import OptimConfig, build_optimizer, rate_factor
from aigp_lightning.modules.rfdetr.package import module_of_package
from aigp_lightning.modules.rfdetr.variants import VARIANTS
from aigp_lightning.modules.rfdetr.weights import read_weights
from aigp_lightning.modules.run_length import RunLength

MEAN, STD = torch.tensor((0.485, 0.456, 0.406)).view(3, 1, 1), torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1)


def packages_own(module: RFDETRModule, training: bool, **settings: Any) -> tuple[Any, Any, Any]:
    """Network, criterion and postprocessing as the package builds them, with a module's weights."""
    model_config, train_config = packages_configs(**settings)
    models = module_of_package("rfdetr.models")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        criterion, postprocess = models.build_criterion_from_config(model_config, train_config)
        model_config.pretrain_weights = "./none.pth"  # else a hub is asked for the encoder's
        network = models.build_model_from_config(model_config, train_config)
    network.load_state_dict(module.network.model.state_dict())
    return network.train(training), criterion.train(training), postprocess


@pytest.mark.parametrize("training", [True, False])
def test_each_loss_is_the_packages(training: bool) -> None:
    module, batch = tiny_module().train(training), labelled_batch()
    network, criterion, _ = packages_own(module, training)
    with torch.no_grad():
        found = module.network.losses(module.network(batch["img"]), batch)
        theirs = criterion(network((batch["img"] - MEAN) / STD), packages_targets(batch))
    assert set(found) == set(theirs)
    assert len([name for name in found if name in criterion.weight_dict]) == 9  # two layers and the encoder
    for name, value in theirs.items():
        assert found[name].item() == pytest.approx(value.item(), abs=1e-5), name
    total = sum(theirs[name] * weight for name, weight in criterion.weight_dict.items())
    assert module.network.weighted(found).item() == pytest.approx(total.item(), rel=1e-6)


def test_gains_weigh_the_losses() -> None:
    module, batch = tiny_module(gains=DetrGains(cls=2.0, bbox=3.0, giou=4.0, aux=0.5, encoder=0.0)), labelled_batch()
    found = module.network.losses(module.network(batch["img"]), batch)
    own = 2 * found["loss_ce"] + 3 * found["loss_bbox"] + 4 * found["loss_giou"]
    aux = 2 * found["loss_ce_0"] + 3 * found["loss_bbox_0"] + 4 * found["loss_giou_0"]
    assert module.network.weighted(found).item() == pytest.approx((own + aux / 2).item(), rel=1e-6)


def test_without_a_label_the_loss_is_of_the_background_alone() -> None:
    module = tiny_module()
    batch = {**labelled_batch(), "cls": torch.zeros(0, dtype=torch.int64), "bboxes": torch.zeros(0, 4)}
    batch["batch_idx"] = torch.zeros(0, dtype=torch.int64)
    loss, items = module.compute_loss(batch)
    loss.backward()
    assert items["loss_bbox"] == items["loss_giou"] == 0
    assert items["loss_ce"] > 0
    assert all(p.grad is not None for p in module.network.model.parameters() if p.requires_grad)


def test_labels_go_to_their_images_in_any_order() -> None:
    batch = labelled_batch(4)
    order = torch.randperm(len(batch["cls"]), generator=torch.Generator().manual_seed(1))
    mixed = {**batch, **{key: batch[key][order] for key in ("cls", "bboxes", "batch_idx")}}
    for ours, theirs in zip(split_targets(mixed), packages_targets(mixed), strict=True):
        assert torch.equal(ours["boxes"], theirs["boxes"])
        assert torch.equal(ours["labels"], theirs["labels"])


def test_each_parameter_has_the_packages_rate_and_decay() -> None:
    config = OptimConfig(lr=2e-4, lr_encoder=3e-4, lr_vit_layer_decay=0.75, lr_component_decay=0.6, weight_decay=0.01)
    knobs = {**vars(config)}
    module = tiny_module()
    namespace = packages_namespace(**{key: knobs[key] for key in list(knobs)[:5]})
    theirs = module_of_package("rfdetr.training.param_groups").get_param_dict(namespace, module.network.model)
    reference = torch.optim.AdamW(theirs, lr=config.lr, weight_decay=config.weight_decay)
    ours = build_optimizer(module.network.model, config, module.network.layers)
    assert settings_by_parameter(ours) == settings_by_parameter(reference)
    assert len({rate for rate, *_ in settings_by_parameter(ours).values()}) > 10


def settings_by_parameter(optimizer: torch.optim.Optimizer) -> dict[int, tuple[Any, ...]]:
    keys = ("lr", "weight_decay", "betas", "eps")
    return {
        id(parameter): tuple(round(group[key], 12) if key in keys[:2] else group[key] for key in keys)
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


@pytest.mark.parametrize(("schedule", "warmup"), [("step", 0.0), ("step", 2.0), ("cosine", 0.0), ("cosine", 1.5)])
def test_the_schedule_is_the_packages(schedule: str, warmup: float) -> None:
    batches, epochs = 4, 6
    config = OptimConfig(schedule=schedule, warmup_epochs=warmup, lr_drop=4, min_factor=0.05)
    kwargs = {"lr_drop": 4, "min_factor": 0.05}
    _, train = packages_configs(lr_scheduler=schedule, lr_scheduler_kwargs=kwargs, epochs=epochs, warmup_epochs=warmup)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    build = module_of_package("rfdetr.training.module_model")._build_managed_scheduler
    scheduler = build(optimizer, train, batches * epochs, batches, int(batches * warmup))
    for step in range(batches * epochs):
        factor = rate_factor(config, RunLength(epochs), step / batches)
        assert factor == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-9), step
        optimizer.step()
        scheduler.step()


def test_an_extended_cosine_makes_no_step() -> None:
    config, longer = OptimConfig(schedule="cosine", min_factor=0.1), RunLength(10).extended(6, 12).extended(12, 20)
    at = [rate_factor(config, longer, tenth / 10) for tenth in range(201)]
    assert at[:60] == [rate_factor(config, RunLength(10), tenth / 10) for tenth in range(60)]
    assert max(abs(after - before) for before, after in pairwise(at)) < 0.02
    assert at[120] == at[200] == pytest.approx(0.1)


def test_predictions_are_the_packages_without_its_row_of_no_class() -> None:
    module, batch = tiny_module(max_det=30).eval(), labelled_batch()
    network, _, postprocess = packages_own(module, training=False)
    with torch.no_grad():
        outputs = network((batch["img"] - MEAN) / STD)
        theirs = postprocess({**outputs, "pred_logits": outputs["pred_logits"][..., :2]}, torch.full((3, 2), SIZE))
        ours = module.predict_batch(batch, 0.0)
        few = module.predict_batch(batch, ours[0].scores[7].item())
    for mine, its in zip(ours, theirs, strict=True):
        assert len(mine.scores) == 30
        assert torch.allclose(mine.boxes, its["boxes"], atol=1e-4)
        assert torch.allclose(mine.scores, its["scores"], atol=1e-6)
        assert torch.equal(mine.labels, its["labels"])
    assert len(few[0].scores) == 8


@pytest.mark.parametrize("expanded", [True, False])
@pytest.mark.parametrize("name", ["nano", "base"])
def test_multi_scale_draws_the_packages_sizes(name: str, expanded: bool) -> None:
    variant, coco = VARIANTS[name], module_of_package("rfdetr.datasets.coco")
    for imgsz in (variant.stride * 2, variant.stride * 5, variant.imgsz):
        theirs = coco.compute_multi_scale_scales(imgsz, expanded, variant.patch, variant.windows)
        assert multi_scale_sizes(name, imgsz, expanded) == theirs
    kind = "expanded" if expanded else "normal"
    drawn = [drawn_size(name, variant.imgsz, kind, step) for step in range(20)]
    assert drawn == [random.Random(step).choice(theirs) for step in range(20)]  # as `on_train_batch_start` there
    assert len(set(drawn)) > 5


def test_variants_are_those_of_the_package() -> None:
    config, models = module_of_package("rfdetr.config"), module_of_package("rfdetr.variants")
    for name, variant in VARIANTS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = getattr(config, variant.config)()
        assert theirs.license == "Apache-2.0", name
        assert (theirs.resolution, theirs.patch_size, theirs.num_windows) == (
            variant.imgsz, variant.patch, variant.windows,
        )  # fmt: skip
        assert theirs.dec_layers == variant.layers
        assert Path(theirs.pretrain_weights).name == variant.published
        assert theirs.positional_encoding_size == (variant.positions or variant.imgsz // variant.patch)
        assert issubclass(getattr(models, variant.model), module_of_package("rfdetr").RFDETR)


def test_drop_path_is_that_of_the_packages_callback() -> None:
    module = tiny_module(drop_path=0.3)
    layers = module.network.model.backbone[0].encoder.encoder.encoder.layer
    rates = [layer.drop_path.drop_prob for layer in layers]
    assert rates == pytest.approx([0.3 * number / 11 for number in range(12)])
    module.network.model.update_drop_path(0.3, 12)  # as `DropPathCallback` does at every step, its mode "standard"
    assert [layer.drop_path.drop_prob for layer in layers] == rates
    torch.manual_seed(0)
    image = torch.rand(8, 3, SIZE, SIZE)
    with torch.no_grad():
        one, other = (module.train().network(image)["pred_logits"] for _ in range(2))
        still = [module.eval().network(image)["pred_logits"] for _ in range(2)]
    assert not torch.equal(one, other)
    assert torch.equal(*still)


def raw(network: Any, images: Tensor) -> dict[str, Tensor]:
    with torch.no_grad():
        return network.eval()((images - MEAN) / STD)  # type: ignore[no-any-return]


def test_our_file_opens_in_the_package_with_equal_outputs(tmp_path: Path) -> None:
    module = tiny_module(names={0: "gate", 1: "tree", 2: "wall"}).eval()
    file = tmp_path / "best.pth"
    module.deployment.write_portable(file, 3, {"imgsz": SIZE, "data": "/home/somebody/gates.yaml", "batch": 4})
    assert b"somebody" not in file.read_bytes()
    images = torch.rand(2, 3, SIZE, SIZE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opened = module_of_package("rfdetr").RFDETR.from_checkpoint(str(file), device="cpu")
        by_class = module_of_package("rfdetr").RFDETRNano(
            pretrain_weights=str(file), device="cpu", resolution=SIZE, num_queries=30, group_detr=2, dec_layers=2
        )
    assert type(opened).__name__ == "RFDETRNano"
    assert opened.class_names == by_class.class_names == ["gate", "tree", "wall"]
    ours = raw(module.network.model, images)
    for other in (opened, by_class):
        theirs = raw(other.model.model, images)
        assert torch.equal(ours["pred_logits"], theirs["pred_logits"])
        assert torch.equal(ours["pred_boxes"], theirs["pred_boxes"])


@pytest.mark.parametrize("kind", ["pth", "ckpt", "namespace"])
def test_the_packages_file_opens_here_with_equal_outputs(kind: str, tmp_path: Path) -> None:
    """As its trainer writes it, as Lightning does, and as earlier versions did, with argparse's namespace."""
    module = tiny_module()
    network, *_ = packages_own(module, training=False)
    network.load_state_dict(shaken(network.state_dict(), 7))
    state, args = network.state_dict(), packages_namespace()
    plain = {key: value for key, value in vars(args).items() if isinstance(value, int | float | str | list)}
    plain |= {"class_names": ["gate", "tree"], "num_queries": 30, "group_detr": 2}
    file = tmp_path / ("last.ckpt" if kind == "ckpt" else "checkpoint_best_total.pth")
    if kind == "ckpt":
        content = {"state_dict": {f"model.{name}": value for name, value in state.items()}, "args": plain}
    elif kind == "pth":
        content = {"model": state, "args": plain, "model_name": "RFDETRNano"}
    else:
        from argparse import Namespace

        content = {"model": state, "args": Namespace(**plain), "epoch": 3}
    torch.save(content, file)
    found = read_weights(file)
    assert found.names == NAMES
    assert (found.description.variant, found.description.queries, found.description.groups) == ("nano", 30, 2)
    opened = RFDETRModule(weights=str(file))
    opened.set_network(opened.build_network(None))
    images = torch.rand(2, 3, SIZE, SIZE)
    ours, theirs = raw(opened.network.model, images), raw(network, images)
    assert torch.equal(ours["pred_logits"], theirs["pred_logits"])
    assert torch.equal(ours["pred_boxes"], theirs["pred_boxes"])


def test_published_weights_have_cocos_classes(tmp_path: Path) -> None:
    """Their head has a row for each of COCO's ids, of which some name nothing; here are the 80 that do."""
    module = tiny_module(names={row: str(row) for row in range(90)})
    state = module.network.model.state_dict()
    torch.save({"model": state, "args": {"pretrain_weights": "none"}}, tmp_path / "rf-detr-nano.pth")
    found = read_weights(tmp_path / "rf-detr-nano.pth")
    assert (len(found.names), found.names[0], found.names[79]) == (80, "person", "toothbrush")
    assert torch.equal(found.tensors["class_embed.weight"][0], state["class_embed.weight"][1])
    assert torch.equal(found.tensors["class_embed.weight"][79], state["class_embed.weight"][90])
    assert torch.equal(found.tensors["class_embed.bias"][80], state["class_embed.bias"][90])
    assert TINY["queries"] == found.description.queries


def test_what_is_no_number_takes_no_place() -> None:
    module, images = tiny_module(max_det=2).eval(), torch.rand(1, 3, SIZE, SIZE)
    with torch.no_grad():
        outputs = module.network(images)
    outputs["pred_logits"][0, 3] = float("nan")
    outputs["pred_logits"][0, 5, 0] = outputs["pred_logits"][0, 9, 1] = 8.0
    (found,) = module.network.predictions(outputs, images, 0.5, 2)
    assert found.scores.tolist() == pytest.approx([0.99966, 0.99966], abs=1e-4)


def test_the_loss_of_one_process_asks_no_other() -> None:
    """That of a step is divided by the mean number of labels, which one process alone has as well."""
    module, batch = tiny_module().train(), labelled_batch()
    alone, _ = module.compute_loss(batch)
    exchanged = module.network.weighted(module.network.losses(module.network(batch["img"]), batch))
    assert alone.item() == pytest.approx(exchanged.item(), rel=1e-6)
