"""What lies in W&B's folder beside scalars and pictures is a difference unless its switch is on."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from audit_run import ONE_EPOCH, append_record
from helpers import REPO, small, tiny_network

from aigp_lightning.audit.check import audit
from aigp_lightning.audit.findings import Finding, SideChannel
from aigp_lightning.logfiles.wandb_run import wandb_folders
from aigp_lightning.media.ledger.ledger import LEDGER_FILE, read_ledger

Cli = Callable[..., int]
Plant = Callable[[Path], None]


@pytest.fixture(scope="module")
def fitted(shapes: Path, made_once: Callable[..., Path], run_cli: Callable[..., int]) -> Path:
    """The folder of a run of one epoch with both loggers, by the command line."""

    def make(root: Path) -> None:
        both = ("--config", REPO / "configs" / "logger" / "both.yaml", "--wandb.project", "p")
        assert run_cli("fit", *small(shapes, root), *tiny_network(root), *both, "--run.name", "both", *ONE_EPOCH) == 0

    return made_once("fitted with both loggers", make) / "detect" / "both"


@pytest.fixture
def run(fitted: Path, tmp_path: Path) -> Path:
    """A copy elsewhere, under another name."""
    return Path(shutil.copytree(fitted, tmp_path / "moved", symlinks=True, ignore=shutil.ignore_patterns("weights")))


def mirror(run: Path) -> Path:
    (folder,) = wandb_folders(run)
    return folder / "files"


def found(run: Path) -> list[tuple[str, str]]:
    """Kind of each difference, and the channel or file that it names."""
    return [(finding.what, finding.message) for finding in audit(run).findings]


def only(run: Path, what: str, text: str) -> Finding:
    (finding,) = audit(run).findings
    assert (finding.what, finding.destination) == (what, "wandb"), finding
    assert text in finding.message
    return finding


def test_the_run_as_it_is_matches_wherever_it_lies(fitted: Path, run: Path) -> None:
    """Both loggers are noted, W&B's with what was on; of a moved run too."""
    known = json.loads((run / "run.json").read_text())
    (folder,) = wandb_folders(fitted)
    assert known["loggers"] == [
        {"destination": "tensorboard", "folder": "tensorboard"},
        {
            **{"destination": "wandb", "folder": f"wandb/{folder.name}"},
            **{"id": known["wandb_run_id"], "channels": ["config"]},
        },
    ]
    for place in (fitted, run):
        result = audit(place)
        assert (result.findings, result.notes) == ([], [])
        assert (
            result.tallies["tensorboard"].found == result.tallies["wandb"].found == result.tallies["wandb"].handed > 2
        )
    switches = {channel.name: channel.on for channel in result.side_channels}
    assert {name for name, on in switches.items() if on} == {"config"}
    assert switches["weights"] is switches["code"] is False
    assert switches["other files"] is switches["artifacts"] is switches["telemetry"] is None


# ---- files -----------------------------------------------------------------------------------------------------------

FILES = {
    "code/train.py": ("switched off", "code: code/train.py"),
    "code/secret.jpg": ("switched off", "code: code/secret.jpg"),
    "train.ipynb": ("switched off", "code: train.ipynb"),
    "deep/er/diff.patch": ("switched off", "patch: deep/er/diff.patch"),
    "best.ckpt": ("switched off", "weights: best.ckpt"),
    "model.onnx": ("switched off", "weights: model.onnx"),
    "output.log": ("switched off", "console: output.log"),
    "logs/a.txt": ("switched off", "console: logs/a.txt"),
    "requirements.txt": ("switched off", "requirements: requirements.txt"),
    "wandb-metadata.json": ("unasked", "metadata: wandb-metadata.json"),
    "a/events.out.tfevents.1": ("unasked", "event files: a/events.out.tfevents.1"),
    "notes.txt": ("unasked", "other files: notes.txt"),
    "Media/images/a.png": ("unasked", "other files: Media/images/a.png"),
    "wandb-summary.json.bak": ("unasked", "other files: wandb-summary.json.bak"),
    "artifact/1/wandb_manifest.json": ("unasked", "other files: artifact/1/wandb_manifest.json"),
    ".hidden/.key": ("unasked", "other files: .hidden/.key"),
    "media/images/train.py": ("unlisted", "no row and no line"),
    "media/images/best_0_00000000000000000000.png": ("unlisted", "no row and no line"),
    "media/html/a_0_00000000000000000000.html": ("unlisted", "no row and no line"),
    "media/table/a.table.json": ("unlisted", "no row and no line"),
    "media/audio/a.wav": ("unlisted", "no row and no line"),
    "media/a": ("unlisted", "no row and no line"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_in_the_mirror(name: str, run: Path) -> None:
    path = mirror(run) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"secret")
    finding = only(run, *FILES[name])
    assert finding.file == path.relative_to(run).as_posix()


def test_the_verb_names_it_and_ends_with_1(
    run: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Escape codes in its name reach no terminal."""
    name = "\x1b[31mred.txt" if sys.platform != "win32" else "red.txt"
    (mirror(run) / name).write_bytes(b"secret")
    (mirror(run) / "code").mkdir()
    (mirror(run) / "code/a.py").write_bytes(b"secret")
    capsys.readouterr()
    assert run_cli("audit", run, "--json", run.parent / "a.json") == 1
    printed = capsys.readouterr().out
    assert "code: code/a.py (0.00 MB); it was switched off (wandb.code)." in printed
    assert "red.txt (0.00 MB); no option asks for it." in printed
    assert "\x1b[31m" not in printed
    content = json.loads((run.parent / "a.json").read_text(encoding="utf-8"))
    rows = {row["name"]: (row["on"], row["handed"], row["bytes"]) for row in content["side_channels"]}
    assert (rows["code"], rows["other files"], rows["git"]) == ((False, True, 6), (None, True, 6), (False, False, 0))


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes")
def test_links_and_pipes_in_the_mirror(run: Path) -> None:
    """`run.save` makes links: what they lead to is sent, wherever that is now."""
    place, secret = mirror(run), run.parent / "secret"
    secret.mkdir()
    (secret / "a.txt").write_text("x")
    links = {
        "a.txt": secret / "a.txt",
        "folder": secret,
        "gone.pt": secret / "gone.pt",
        "media/b.png": secret / "a.txt",
    }
    for name, target in links.items():
        (place / name).symlink_to(target)
    os.mkfifo(place / "media" / "pipe.png")
    assert sorted(finding.message for finding in audit(run).findings) == [
        "other files: a.txt (a link); no option asks for it.",
        "other files: folder (a link); no option asks for it.",
        "other files: media/b.png (a link); no option asks for it.",
        "other files: media/pipe.png (a device); no option asks for it.",
        "weights: gone.pt (a link); it was switched off (wandb.weights).",
    ]


def test_files_that_wandb_derives_are_read(run: Path) -> None:
    """What they have that the records don't; and what cannot be read."""
    place = mirror(run)
    good = "_wandb:\n  value: {cli_version: 0.31.0, t: {'1': [1]}}\ndata:\n  value: {imgsz: 96, lr: 1e-05}\n"
    (place / "config.yaml").write_text(good)
    (place / "wandb-summary.json").write_text('{"_step": 9, "_wandb": {"runtime": 0}}')
    assert audit(run).clean
    (place / "config.yaml").write_text(good.replace("0.31.0", "0.31.0, e: {x: {args: [--token]}}"))
    only(run, "unasked", "config.yaml: _wandb.e W&B's own has no such part")
    (place / "config.yaml").write_text(good + "path:\n  value: x\n")
    only(run, "unasked", "config.yaml: path is in no record of the run's")
    (place / "config.yaml").write_text(good.replace("96", "/home/me"))
    only(run, "unasked", "config.yaml: data.imgsz is neither a number nor one plain word")
    (place / "config.yaml").write_text("a: &a [1]\nb: [*a, *a\n")
    only(run, "unasked", "config.yaml (is not valid YAML)")
    (place / "config.yaml").write_text(good)
    (place / "wandb-summary.json").write_text('{"epoch": "/home/me"}')
    assert {what for what, _ in found(run)} == {"unasked"}
    assert "wandb-summary.json: epoch is neither a figure nor a picture" in found(run)[0][1]


def test_the_summary_holds_no_more_than_the_records(run: Path) -> None:
    """Its names and its values are those of rows and summary records; W&B's own are figures."""
    from wandb.proto.wandb_internal_pb2 import Record

    for fill in (history("a", 0.1), history("n", float("nan")), history("a", 1e-05), summary("best", 3)):
        record = Record()
        fill(record)
        append_record(next(mirror(run).parent.glob("*.wandb")), record)
    path = mirror(run) / "wandb-summary.json"
    right = {"a": 1e-05, "n": float("nan"), "best": 3.0, "_runtime": 4.5, "_timestamp": 2e9, "_wandb": {"runtime": 4}}
    path.write_text(json.dumps(right))
    assert audit(run).findings == []
    path.write_text(json.dumps({**right, "x": 1, "secret/pass": 123456}))
    assert sorted(found(run)) == [
        ("unasked", f"values: wandb-summary.json: {key} is in no record of the run's; no option asks for it.")
        for key in ("secret/pass", "x")
    ]
    path.write_text(json.dumps({**right, "best": 123456}))
    only(run, "unasked", "wandb-summary.json: best has a value that is in no record of the run's")


def test_files_listed_for_upload(run: Path) -> None:
    """Whether the mirror still has them or not; names that lead elsewhere."""
    from wandb.proto.wandb_internal_pb2 import Record

    record = Record()
    names = ("/home/me/a.txt", "media/images/../../../b.png", "code/c.py", "media/images/gone_0_aa.png", "C:\\d.jpg")
    for name in names:
        record.files.files.add().path = name
    append_record(next(mirror(run).parent.glob("*.wandb")), record)
    told = {finding.message: finding.what for finding in audit(run).findings}
    assert told == {
        "other files: /home/me/a.txt; no option asks for it.": "unasked",
        "other files: C:/d.jpg; no option asks for it.": "unasked",
        "other files: media/images/../../../b.png; no option asks for it.": "unasked",
        "code: code/c.py; it was switched off (wandb.code).": "switched off",
        "no row names it; it is listed for upload, and W&B's folder does not have it any more.": "unlisted",
    }


def test_a_listed_picture_whose_row_came_later(run: Path) -> None:
    """A kill came between the file and its row; the resumed run removed the copy, and sent the picture in a new row."""
    from wandb.proto.wandb_internal_pb2 import Record

    line = next(line for line in read_ledger(run / LEDGER_FILE) if line.destination == "wandb")
    record = Record()
    record.files.files.add().path = f"media/images/{line.key}_99_{line.sha256[:20]}.png"
    append_record(next(mirror(run).parent.glob("*.wandb")), record)
    assert audit(run).findings == []


# ---- records ---------------------------------------------------------------------------------------------------------


def item(items: Any, names: list[str], value: object) -> None:
    entry = items.add()
    entry.nested_key.extend(names)
    entry.value_json = json.dumps(value)


def history(name: str, value: object) -> Callable[[Any], None]:
    return lambda record: item(record.history.item, [name], value)


def summary(name: str, value: object) -> Callable[[Any], None]:
    return lambda record: item(record.summary.update, [name], value)


def config(name: str, value: object) -> Callable[[Any], None]:
    return lambda record: item(record.config.update, [name], value)


def artifact(kind: str, *files: str) -> Callable[[Any], None]:
    def fill(record: Any) -> None:
        record.artifact.type, record.artifact.name = kind, "weights-or-data"
        for file in files:
            entry = record.artifact.manifest.contents.add()
            entry.path, entry.size = file, 1000

    return fill


def merged(**fields: Any) -> Callable[[Any], None]:
    from google.protobuf.json_format import ParseDict

    return lambda record: ParseDict(fields, record) and None


PICTURE = {"_type": "image-file", "path": "media/images/none.png", "sha256": "0" * 64, "size": 1}
RECORDS: dict[str, tuple[Callable[[Any], None], str, str]] = {
    "model": (artifact("model", "model.ckpt"), "switched off", "weights: artifact weights-or-data (model, 0.00 MB: mo"),
    "model with more": (artifact("model", "a/b.txt"), "switched off", "weights: artifact"),
    "data set": (artifact("dataset", "a.jpg"), "unasked", "artifacts: artifact weights-or-data (dataset"),
    "output": (merged(output_raw={"line": "/home/me"}), "switched off", "console: 1 pieces of output"),
    "stats": (merged(stats={"item": [{"key": "cpu", "valueJson": "1"}]}), "switched off", "system_metrics: 1 samples"),
    "environment": (merged(environment={"program": "/home/me/a.py"}), "switched off", "command: program /home/me/a.py"),
    "user": (merged(environment={"username": "me"}), "unasked", "user: username me"),
    "hardware": (merged(environment={"gpu_type": "x"}), "switched off", "machine: gpu_type"),
    "alert": (merged(alert={"title": "t", "text": "/home/me"}), "unasked", "other records: 1 alert"),
    "use": (merged(use_artifact={"name": "x"}), "unasked", "other records: 1 use_artifact"),
    "TensorBoard": (merged(tbrecord={"log_dir": "/home/me"}), "unasked", "event files: TensorBoard sync"),
    "label": (merged(telemetry={"label": {"code_string": "x"}}), "unasked", "other records: 1 telemetry label"),
    "a kind of tomorrow": (lambda record: None, "unasked", "other records: 1 unknown"),
    "path as a setting": (config("data", "/home/me/gates"), "unasked", "values: config: data is neither a number"),
    "nested path": (config("x", {"y": ["a.jpg"]}), "unasked", "values: config: x.y is a list of more than a few"),
    "place as a name": (config("/home/me", 1), "unasked", "values: config: /home/me has a name that is a place"),
    "command": (config("command", "fit --token x"), "switched off", "command: command fit --token x"),
    "machine": (config("machine", {"os": "Linux"}), "switched off", "machine: os"),
    "own part": (config("_wandb", {"e": {"args": "x"}}), "unasked", "values: config: _wandb.e W&B's own has no such"),
    "text in a row": (history("note", "/home/me"), "unasked", "values: rows: note is neither a figure nor a picture"),
    "list in a row": (history("pixels", [1, 2]), "unasked", "values: rows: pixels is neither a figure"),
    "huge number": (history("a", 1 << 80), "unasked", "values: rows: a is neither a figure"),
    "path in a row's name": (history("/home/me/a.jpg", 1), "unasked", "values: rows: /home/me/a.jpg has a name that"),
    "hash in a row": (history("key", "0a" * 32), "unasked", "values: rows: key is neither a figure"),
    "path as a metric": (
        merged(metric={"name": "/home/me"}),
        "unasked",
        "values: metrics: /home/me has a name that is",
    ),
    "request": (merged(request={"status": {}}), "unasked", "other records: 1 request"),
    "histogram": (
        history("h", {"_type": "histogram", "bins": [1]}),
        "unasked",
        "values: rows: h is of the kind histog",
    ),
    "text in the summary": (summary("best", "/home/me"), "unasked", "values: summary: best is neither a figure"),
    "caption": (summary("p", {**PICTURE, "caption": "a.jpg"}), "unasked", "with more than its bytes: caption"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_in_the_run_file(name: str, run: Path) -> None:
    from wandb.proto.wandb_internal_pb2 import Record

    fill, what, text = RECORDS[name]
    record = Record()
    fill(record)
    (file,) = mirror(run).parent.glob("*.wandb")
    append_record(file, record)
    assert only(run, what, text).file == file.relative_to(run).as_posix()


def test_what_a_row_may_have(run: Path) -> None:
    """Figures that are none, and the hash of a ledger in the summary."""
    from wandb.proto.wandb_internal_pb2 import Record

    heads = read_ledger(run / LEDGER_FILE).heads
    for fill in (
        history("a", float("nan")),
        history("b", -1e300),
        history("c", None),
        summary("ledger/head", heads[-1]),
        summary("ledger/lines", len(heads) - 1),
    ):
        record = Record()
        fill(record)
        append_record(next(mirror(run).parent.glob("*.wandb")), record)
    assert audit(run).clean


def test_the_runs_own_record(run: Path) -> None:
    """Host, git and notes; the W&B run's id is another: then it is no record of this run."""
    from wandb.proto.wandb_internal_pb2 import Record

    record = Record()
    known = json.loads((run / "run.json").read_text())["wandb_run_id"]
    record.run.run_id, record.run.host, record.run.notes = known, "mine", "about me"
    record.run.git.commit = "abc"
    (file,) = mirror(run).parent.glob("*.wandb")
    append_record(file, record)
    assert sorted(found(run)) == [
        ("switched off", "git: commit abc; it was switched off (wandb.git)."),
        ("switched off", "host: mine; it was switched off (wandb.host)."),
        ("switched off", "notes: notes about me; it was switched off (the logger's notes)."),
    ]
    record.Clear()
    record.run.run_id = "abcdefgh"
    append_record(file, record)
    assert ("stranger", f"it is of the W&B run abcdefgh, not of this run's ({known}).") in found(run)


# ---- switches --------------------------------------------------------------------------------------------------------


def note_channels(run: Path, channels: list[str] | None) -> None:
    """Change what the run noted of its W&B folder."""
    content = json.loads((run / "run.json").read_text())
    content["loggers"][1].pop("channels")
    content["loggers"][1].update({} if channels is None else {"channels": channels})
    (run / "run.json").write_text(json.dumps(content))


def test_what_was_noted_at_the_start_counts_before_the_configuration(run: Path) -> None:
    """The environment may have asked for weights; a later start may have had other switches."""
    (mirror(run) / "code").mkdir()
    (mirror(run) / "code" / "a.py").write_bytes(b"x")
    set_option(run, "code", True)
    note_channels(run, ["config", "code"])
    assert audit(run).clean
    (mirror(run) / "b.py").write_bytes(b"x")
    only(run, "unasked", "code: b.py (0.00 MB); no option asks for it.")
    (mirror(run) / "b.py").unlink()
    set_option(run, "code", False)
    note_channels(run, [])
    told = dict(found(run))
    assert len(told) == 1
    assert "config: seed_everything and" in next(message for _, message in found(run) if message.startswith("config"))
    note_channels(run, None)
    only(run, "switched off", "code: code/a.py (0.00 MB); it was switched off (wandb.code).")
    set_option(run, "code", True)
    assert audit(run).clean


def test_whose_project_it_is_stands_in_the_row_of_notes(run: Path) -> None:
    """It is where the run goes, and no channel: a row without a switch, and no finding; notes beside it are one."""
    from wandb.proto.wandb_internal_pb2 import Record

    def row() -> SideChannel:
        return next(channel for channel in audit(run).side_channels if channel.name == "notes")

    assert (row().handed, row().detail, row().on) == (False, "", False)
    record = Record()
    record.run.run_id = json.loads((run / "run.json").read_text())["wandb_run_id"]
    record.run.entity = "my-team"
    (file,) = mirror(run).parent.glob("*.wandb")
    append_record(file, record)
    assert (row().handed, row().detail, row().on) == (True, "entity my-team", None)
    assert audit(run).findings == []
    record.run.notes = "about me"
    append_record(file, record)
    assert (row().detail, row().on) == ("entity my-team, notes about me", False)
    assert found(run) == [("switched off", "notes: notes about me; it was switched off (the logger's notes).")]


def set_option(run: Path, name: str, on: bool) -> None:
    """Change a switch of the group `wandb` in the run's configuration."""
    text = (run / "config.yaml").read_text(encoding="utf-8")
    words = [f"  {name}: {str(value).lower()}" for value in (not on, on)]
    assert words[0] in text
    (run / "config.yaml").write_text(text.replace(*words), encoding="utf-8")


def test_switches_that_contradict_each_other(run: Path) -> None:
    """Only what a variable may have put on explains itself; what the contradiction would have allowed is told too."""
    note_channels(run, ["config", "weights", "notes"])
    assert (audit(run).findings, audit(run).notes) == ([], [])
    note_channels(run, ["config", "weights", "code", "host"])
    finding = only(run, "contrary", "it says that wandb.code, wandb.host was on in wandb/")
    assert (finding.file, finding.message.endswith("and config.yaml says off.")) == ("run.json", True)
    (mirror(run) / "code").mkdir()
    (mirror(run) / "code" / "x.py").write_bytes(b"x")
    assert [(what, text.partition(";")[0]) for what, text in found(run)][1:] == [
        ("switched off", "code: code/x.py (0.00 MB)")
    ]
    (run / "config.yaml").unlink()
    assert audit(run).clean
    assert any("config.yaml is missing" in note and "run.json" in note for note in audit(run).notes)


def test_a_switch_changed_by_a_resumed_run(run: Path) -> None:
    """Each start has its own; `config.yaml` is the last one's, and what it says of an earlier one is a note."""
    content = json.loads((run / "run.json").read_text())
    (*_, last) = content["loggers"]
    content["loggers"].insert(1, {**last, "folder": "wandb/offline-run-20250101_000000-gone", "channels": ["git"]})
    (run / "run.json").write_text(json.dumps(content))
    result = audit(run)
    assert result.findings == []
    assert any("run.json says that wandb.git was on in wandb/offline-run-20250101" in note for note in result.notes)


@pytest.mark.parametrize(
    "key",
    ["DeviceStatsMonitor.on_train_batch_start/cpu_percent", "My.Monitor.on_validation_batch_end/gpu.0", "cpu_percent"],
)
def test_samples_of_the_system_as_scalars(key: str, run: Path) -> None:
    from wandb.proto.wandb_internal_pb2 import Record

    for value in (1.0, 2.0):
        record = Record()
        history(key, value)(record)
        append_record(next(mirror(run).parent.glob("*.wandb")), record)
    only(run, "switched off", f"system_metrics: 2 values of 1 scalars, such as {key}")
    (channel,) = (row for row in audit(run).side_channels if row.name == "system_metrics")
    assert (channel.handed, channel.on) == (True, False)
    set_option(run, "system_metrics", True)
    note_channels(run, ["config", "system_metrics"])
    assert audit(run).clean


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"a: [", b"- 1\n", b"x" * 2_000_000])
def test_a_configuration_that_cannot_be_read_allows_nothing(content: bytes | None, run: Path) -> None:
    note_channels(run, None)
    (run / "config.yaml").unlink()
    if content is not None:
        (run / "config.yaml").write_bytes(content)
    result = audit(run)
    assert result.clean
    assert "had switched on is unknown; what is off by default must not be there." in result.notes[0]
    (mirror(run) / "requirements.txt").write_bytes(b"x")
    only(run, "switched off", "nothing says that it was switched on (wandb.requirements).")


def test_an_online_run_says_what_it_cannot_tell(run: Path) -> None:
    """Its artifacts go by requests, of which nothing stays on this disk."""
    (folder,) = wandb_folders(run)
    folder.rename(folder.with_name(folder.name.removeprefix("offline-")))
    (run / "run.json").write_text((run / "run.json").read_text().replace("/offline-run", "/run"))
    (note,) = audit(run).notes
    assert "no record of the artifacts it uploads" in note


def test_a_run_that_noted_no_loggers(run: Path) -> None:
    """As earlier versions' runs: the configuration tells."""
    known = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({"wandb_run_id": known["wandb_run_id"]}))
    assert (audit(run).findings, audit(run).notes) == ([], [])
    (run / "run.json").write_text("{}")
    assert audit(run).clean
    assert "whether W&B's folders are this run's is unknown" in audit(run).notes[0]
