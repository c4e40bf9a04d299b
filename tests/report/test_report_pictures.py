"""Pictures of a report: the same from wherever they were kept, private ones never, all within the size."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from audit_run import PRIVATE_SETTINGS, SIZE, start_wandb, stop_wandb
from report_run import HOME, STREET, RunBuilder, noise, picture_id

from aigp_lightning.report.folder import read_facts
from aigp_lightning.report.payload import Report, ReportOptions, build_report, page_size
from aigp_lightning.report.picture_sources import find_pictures

LABELS, PRED = "val_batch0_labels.jpg", "val_batch0_pred.jpg"


def report_of(run: Path, **options: object) -> Report:
    return build_report([run], ReportOptions(**options))  # type: ignore[arg-type]


def mosaic_of(report: Report) -> dict:
    return report.payload["runs"][0]["mosaics"][0]


# ---- where they come from --------------------------------------------------------------------------------------------


def three_times(folder: Path) -> Path:
    """A run of three epochs whose pictures are in its history, in an event file and with W&B."""
    import wandb
    from tensorboard.compat.proto.summary_pb2 import Summary
    from torch.utils.tensorboard import SummaryWriter

    build = RunBuilder(folder)
    writer, run = SummaryWriter(str(folder / "tensorboard")), start_wandb(folder, **PRIVATE_SETTINGS)
    for epoch in range(3):
        row = {}
        for name, data in ((LABELS, noise(1)), (PRED, noise(10 + epoch))):
            build.picture(name, data, epoch, [STREET])
            image = Summary.Image(encoded_image_string=data, width=SIZE[0], height=SIZE[1], colorspace=3)
            writer._get_file_writer().add_summary(
                Summary(value=[Summary.Value(tag=Path(name).stem, image=image)]), epoch
            )
            row[Path(name).stem] = wandb.Image(str(folder / name))
        run.log({**row, "epoch": epoch, "trainer/global_step": epoch * 10})
    writer.close()
    stop_wandb()
    build.ledger.close()
    return folder


def test_all_epochs_are_the_same_from_history_event_files_and_wandb(tmp_path: Path) -> None:
    run = three_times(tmp_path / "run")
    told = [(key, epoch) for key in ("val_batch0_labels", "val_batch0_pred") for epoch in (1, 2, 3)]
    hashes = {}
    for source, folder in (("history", "history"), ("tensorboard", "tensorboard"), ("wandb", "wandb"), ("folder", "")):
        found, used, refused = find_pictures(read_facts(run), lambda sha256, key: True)
        assert used == [source] and not refused
        hashes[source] = {place: picture.sha256 for place, picture in found.items()}
        assert all(len(picture.read()) == picture.size for picture in found.values())
        shutil.rmtree(run / folder) if folder else None
    assert sorted(hashes["history"]) == told
    assert hashes["history"] == hashes["tensorboard"] == hashes["wandb"]
    # of the predictions only the last is left; the labels were the same in all epochs, as the ledger says
    assert hashes["folder"] == {
        place: value for place, value in hashes["history"].items() if place != told[3] and place != told[4]
    }
    assert mosaic_of(report_of(run))["labels"] == {"1": picture_id(noise(1))}


def test_labels_that_stay_the_same_are_embedded_once(tmp_path: Path) -> None:
    build = RunBuilder(tmp_path / "run")
    for epoch in range(4):
        build.picture(LABELS, noise(1 if epoch < 3 else 2), epoch)
        build.picture(PRED, noise(10 + epoch % 2), epoch)
    report = report_of(build.run)
    assert mosaic_of(report) == {
        "key": "val_batch0",
        "epochs": [1, 2, 3, 4],
        "labels": {"1": picture_id(noise(1)), "4": picture_id(noise(2))},
        "pred": {str(epoch): picture_id(noise(10 + (epoch - 1) % 2)) for epoch in (1, 2, 3, 4)},
    }
    files = {name: (mime, data) for name, mime, data in report.files()}
    assert files == {picture_id(noise(seed)): ("image/jpeg", noise(seed)) for seed in (1, 2, 10, 11)}


def test_a_picture_of_a_row_of_wandbs_is_read_within_its_folder_only(tmp_path: Path) -> None:
    """A run file from elsewhere that names a file outside."""
    from aigp_lightning.logfiles.stored_pictures import pictures_of_rows
    from aigp_lightning.logfiles.wandb_run import WandbMedia, WandbRun

    outside = tmp_path / "secret.jpg"
    outside.write_bytes(noise(1))
    run = WandbRun(tmp_path / "run")
    run.mirror.mkdir(parents=True)
    (run.mirror / "inside.jpg").write_bytes(noise(2))
    paths = ("../../secret.jpg", str(outside), "inside.jpg")
    run.media = [WandbMedia("val_batch0_pred", 0, 0, path, "", 0) for path in paths]
    found = pictures_of_rows(run, [])
    assert [picture.read() for picture in found] == [noise(2)]


# ---- private images --------------------------------------------------------------------------------------------------


def private_run(folder: Path, patterns: object = "val/home/*") -> RunBuilder:
    """Three epochs: of the first and the last a masked variant is kept, of the second none."""
    build = RunBuilder(folder, media={"private": patterns})
    for epoch in range(3):
        build.picture(LABELS, noise(1), epoch, [STREET, HOME])
        build.picture(PRED, noise(10 + epoch), epoch, [STREET, HOME])
        build.picture("val_batch1_pred.jpg", noise(20 + epoch), epoch, [STREET])
        if epoch != 1:
            build.masked(LABELS, noise(3), epoch, [STREET])
            build.masked(PRED, noise(30 + epoch), epoch, [STREET])
    build.picture("results.png", noise(40, suffix=".png"), 2)
    return build


def test_private_images_are_masked_or_left_out(tmp_path: Path) -> None:
    run = private_run(tmp_path / "run").run
    report = report_of(run)
    first, second = report.payload["runs"][0]["mosaics"]
    assert first["labels"] == {"1": picture_id(noise(3))}
    assert first["pred"] == {"3": picture_id(noise(32))}  # the masked one of the first epoch was written over
    assert second["pred"] == {str(epoch + 1): picture_id(noise(20 + epoch)) for epoch in range(3)}
    assert {data for _, _, data in report.files()} == {
        *(noise(seed) for seed in (3, 32, 20, 21, 22)), noise(40, suffix=".png"),
    }  # fmt: skip
    private = report.payload["private"]
    assert (private["included"], private["masked"], private["left_out"]) == (False, 3, 3)
    assert "kitchen" not in json.dumps(report.payload) and "val/home" not in json.dumps(report.payload)
    assert "masked in 3 pictures, 3 pictures that would show them left out" in private["text"]


def test_private_images_are_shown_if_that_is_asked_for(tmp_path: Path) -> None:
    report = report_of(private_run(tmp_path / "run").run, include_private=True)
    assert mosaic_of(report)["pred"] == {str(epoch + 1): picture_id(noise(10 + epoch)) for epoch in range(3)}
    assert report.payload["runs"][0]["options"]["media.private"] == "val/home/*"
    assert "--include-private" in report.payload["private"]["text"] and report.payload["private"]["included"]


def test_in_doubt_a_picture_shows_a_private_image(tmp_path: Path) -> None:
    """Bytes that the ledger does not know, a list of private images that is gone, a configuration that is gone."""
    changed = private_run(tmp_path / "changed").run
    (changed / "history/epoch0001/val_batch1_pred.jpg").write_bytes(noise(99))
    assert "2" not in report_of(changed).payload["runs"][0]["mosaics"][1]["pred"]
    listed = private_run(tmp_path / "listed", str(tmp_path / "gone.txt")).run
    without = private_run(tmp_path / "without").run
    (without / "config.yaml").unlink()
    for run in (listed, without):
        content = report_of(run).payload["runs"][0]
        assert content["mosaics"] == [] and [each["key"] for each in content["closing"]] == ["results"]
        assert any("every image counts as private" in text for text in content["warnings"])


def test_what_the_run_itself_masked_stays_private_when_no_pattern_says_so(tmp_path: Path) -> None:
    """Patterns of an earlier start may be gone from the configuration."""
    assert mosaic_of(report_of(private_run(tmp_path / "run", None).run))["pred"] == {"3": picture_id(noise(32))}


def test_earlier_configurations_count_too(tmp_path: Path) -> None:
    build = RunBuilder(tmp_path / "run")
    build.picture(PRED, noise(10), 0, [STREET, HOME])
    assert mosaic_of(report_of(build.run))["pred"] == {"1": picture_id(noise(10))}
    (build.run / "config-before-epoch1.yaml").write_text("media: {private: [kitchen.jpg]}", encoding="utf-8")
    assert report_of(build.run).payload["runs"][0]["mosaics"] == []


def test_an_image_that_is_private_in_one_run_is_in_no_part_of_the_report(tmp_path: Path) -> None:
    files = [str(tmp_path / "val" / name) for name in ("street.jpg", "kitchen.jpg")]
    for number, name in enumerate(files):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(noise(number))
    runs = []
    for name, private in (("a", None), ("b", "kitchen.jpg")):
        build = RunBuilder(tmp_path / name, media={"private": private})
        build.picture(PRED, noise(10), 0, files)
        build.picture("val_batch1_pred.jpg", noise(20), 0, files[:1])
        build.checkpoint()
        build.results(files)
        runs.append(build.run)
    payload = build_report(runs, ReportOptions()).payload
    for content in payload["runs"]:
        assert [each["key"] for each in content["mosaics"]] == ["val_batch1"]
        assert [item["masked"] for item in content["pictures"]["items"]] == [False, True]
    assert "kitchen" not in json.dumps(payload)
    counts = {key: payload["private"][key] for key in ("masked", "left_out", "without_pixels")}
    assert counts == {"masked": 0, "left_out": 2, "without_pixels": 2}
    assert "masked" not in payload["private"]["text"]
    assert [each["key"] for each in build_report(runs[:1], ReportOptions()).payload["runs"][0]["mosaics"]] == [
        "val_batch0",
        "val_batch1",
    ]


def test_a_ledger_that_was_changed_vouches_for_no_picture(tmp_path: Path) -> None:
    """Its line says now that a picture of a private image shows another one."""
    run = private_run(tmp_path / "run").run
    ledger = run / "media.jsonl"
    text = ledger.read_text(encoding="utf-8")
    ledger.write_text(text + text.splitlines()[-1][:20], encoding="utf-8")
    assert len(report_of(run).payload["runs"][0]["mosaics"]) == 2, "half a line is what a kill leaves"
    ledger.write_text(text.replace(HOME, STREET), encoding="utf-8")
    content = report_of(run).payload["runs"][0]
    assert content["mosaics"] == [] and [each["key"] for each in content["closing"]] == ["results"]
    assert any("media.jsonl was changed after it was written" in text for text in content["warnings"])
    assert mosaic_of(report_of(run, include_private=True))["pred"]
    without = private_run(tmp_path / "without", None).run
    lines = [
        line for line in (without / "media.jsonl").read_text(encoding="utf-8").splitlines() if "masked" not in line
    ]
    (without / "media.jsonl").write_text("\n".join([*lines, ""]), encoding="utf-8")
    assert len(report_of(without).payload["runs"][0]["mosaics"]) == 2, "no entry, no record"


def test_an_entry_that_fits_no_known_image_makes_every_image_private(tmp_path: Path) -> None:
    content = report_of(private_run(tmp_path / "run", ["val/home/*", "hoem/*"]).run).payload["runs"][0]
    assert content["mosaics"] == []
    told = "1 of 2 entries of media.private fit no image that is known here, so every image counts as private."
    assert told in content["warnings"] and "hoem" not in json.dumps(content)


def test_private_validation_images_have_neither_pixels_nor_names(tmp_path: Path) -> None:
    files = []
    for name in ("street.jpg", "home/kitchen.jpg", "home/hall.jpg"):
        path = tmp_path / "val" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(noise(len(files)))
        files.append(str(path))
    build = RunBuilder(tmp_path / "run", media={"private": "val/home/*"})
    build.checkpoint()
    build.results(files)
    hidden = report_of(build.run)
    items = hidden.payload["runs"][0]["pictures"]["items"]
    assert [(item["file"], item["masked"], item["picture"] is None) for item in items] == [
        ("street.jpg", False, False), ("private image 1", True, True), ("private image 2", True, True),
    ]  # fmt: skip
    assert len(hidden.pictures) == 1 and "hall" not in json.dumps(hidden.payload)
    assert "2 validation images without pixels and name" in hidden.payload["private"]["text"]
    shown = report_of(build.run, include_private=True)
    assert [item["file"] for item in shown.payload["runs"][0]["pictures"]["items"]] == [
        "street.jpg",
        "kitchen.jpg",
        "hall.jpg",
    ]
    assert len(shown.pictures) == 3


# ---- size ------------------------------------------------------------------------------------------------------------


def large_run(folder: Path, epochs: int) -> Path:
    build = RunBuilder(folder)
    build.checkpoint(epoch=4)
    for epoch in range(epochs):
        build.picture(PRED, noise(10 + epoch, 420), epoch)
    return build.run


@pytest.mark.parametrize(("room", "epochs", "steps"), [(4.0, 5, 1), (1.4, 5, 1), (0.5, 5, 1), (0.4, 9, 3)])
def test_pictures_are_scaled_to_the_size_that_is_asked_for(
    tmp_path: Path, room: float, epochs: int, steps: int
) -> None:
    from aigp_lightning.report.page.render import write_page

    run, limit = large_run(tmp_path / "run", epochs), page_size() / 1e6 + room
    report = report_of(run, max_mb=limit)
    notes, shown = " ".join(report.payload["notes"]), mosaic_of(report)["epochs"]
    sides = {max(cv2.imdecode(np.frombuffer(one.data, np.uint8), 1).shape) for one in report.pictures.values()}
    write_page(tmp_path / "report.html", report.payload, report.files())
    size = (tmp_path / "report.html").stat().st_size
    assert size <= limit * 1e6
    if room > 3:
        assert sides == {420} and "scaled" not in notes and "anew" not in notes
    elif room > 1:
        assert sides == {420} and "scaled" not in notes
        assert "Pictures are encoded anew as WebP to fit --max-mb" in notes
    else:
        assert max(sides) < 420 and f"at most {max(sides)} pixels to fit --max-mb" in notes
        assert "files in full size stay in the run folder" in notes
    if steps == 1:
        assert shown == list(range(1, epochs + 1))
    else:
        assert {1, 5, epochs} <= {*shown} and len(shown) < epochs and "one is shown" in notes


def test_a_size_below_that_of_the_page_itself_is_refused(tmp_path: Path) -> None:
    from aigp_lightning.errors import ConfigError

    with pytest.raises(ConfigError, match="--max-mb 2: text, tables and charts alone take 6 MB"):
        report_of(large_run(tmp_path / "run", 1), max_mb=2)


def test_validation_images_lose_what_a_camera_noted(tmp_path: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x010F] = "a camera of mine"
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    build = RunBuilder(tmp_path / "run")
    build.checkpoint()
    build.results([str(tmp_path / "a.jpg")])
    assert b"a camera of mine" in (tmp_path / "a.jpg").read_bytes()
    (picture,) = report_of(build.run).pictures.values()
    assert picture.mime == "image/webp" and b"a camera of mine" not in picture.data
