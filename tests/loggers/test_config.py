"""Which loggers a run gets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from helpers import REPO, UNDRAWN, small, tiny_network

from aigp_lightning.errors import ConfigError
from aigp_lightning.loggers.config import arguments_of, resolve_loggers, trim_settings
from aigp_lightning.loggers.wandb import ResilientWandbLogger
from aigp_lightning.loggers.wandb_config import run_id
from aigp_lightning.loggers.wandb_options import WandbOptions

TENSORBOARD = {"class_path": "lightning.pytorch.loggers.TensorBoardLogger", "init_args": {"save_dir": "{run_folder}"}}
WANDB = {"class_path": "lightning.pytorch.loggers.WandbLogger", "init_args": {"name": "x-{run_name}", "offline": True}}

PROJECTS = {"detector": "aigp-gate-detector", "pose": "aigp-gate-pose", "obstacle": "aigp-obstacle-detector"}


def copy(logger: dict[str, object]) -> dict[str, object]:
    return {**logger, "init_args": dict(logger["init_args"])}  # type: ignore[call-overload]


def test_placeholders_become_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "gätes 1"
    flushed = resolve_loggers([copy(TENSORBOARD), copy(WANDB)], folder)
    assert flushed[0]["init_args"]["save_dir"] == str(folder)
    assert flushed[1]["init_args"]["name"] == "x-gätes 1"


@pytest.mark.parametrize("word", ["0", "false", "False", "OFF", "no", " 0 "])
def test_wandb_is_left_out_on_request_and_named(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIGP_WANDB", word)
    left_out: list[str] = []
    assert resolve_loggers([copy(TENSORBOARD), copy(WANDB)], tmp_path, left_out=left_out) == [
        {
            "class_path": "aigp_lightning.loggers.tensorboard.ResilientTensorBoardLogger",
            "init_args": {"save_dir": str(tmp_path)},
        }
    ]
    assert capsys.readouterr().err == f"W&B: WandbLogger is left out, as AIGP_WANDB is {word.strip()}.\n"
    assert left_out == [f"WandbLogger (AIGP_WANDB is {word.strip()})"]
    assert resolve_loggers(copy(WANDB), tmp_path) is False


@pytest.mark.parametrize("word", ["1", "true", "ON", "Yes"])
def test_wandb_stays_on_request(word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIGP_WANDB", word)
    left_out: list[str] = []
    kept = resolve_loggers([copy(TENSORBOARD), copy(WANDB)], tmp_path, left_out=left_out)
    assert (len(kept), left_out) == (2, [])


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("AIGP_WANDB", "", r"AIGP_WANDB= means nothing \(it is empty\); use 0, false, off, no, 1, true, on or yes"),
        ("AIGP_WANDB", "offline", "AIGP_WANDB=offline means nothing; use 0, false, off, no, 1, true, on or yes"),
        ("AIGP_WANDB", "00", "AIGP_WANDB=00 means nothing"),
        ("AIGP_WANB", "0", "variable AIGP_WANB means nothing; AIGP_WANDB switches W&B off"),
        ("AIGP_WANDB_MODE", "offline", "variable AIGP_WANDB_MODE means nothing"),
        ("aigp_wandb", "0", "variable aigp_wandb means nothing"),
    ],
)
def test_a_switch_that_means_nothing_sends_nothing(
    variable: str, value: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever typed it wanted no W&B; it is refused whatever loggers there are."""
    monkeypatch.setenv(variable, value)
    for configured in ([copy(WANDB)], copy(TENSORBOARD)):
        with pytest.raises(ConfigError, match=told):
            resolve_loggers(configured, tmp_path)


@pytest.mark.parametrize("logger", [True, False, None])
def test_plain_values_stay(logger: bool | None, tmp_path: Path) -> None:
    assert resolve_loggers(logger, tmp_path) is (logger if logger is not None else None)


@pytest.mark.parametrize(
    ("task", "overlay", "folders"),
    [
        ("detector", "none", set()),
        ("detector", "wandb-offline", {"wandb"}),
        ("obstacle", "both", {"wandb", "tensorboard"}),
    ],
)
def test_overlay_swaps_the_logger(
    task: str, overlay: str, folders: set[str], shapes: Path, tmp_path: Path, run_cli: Callable[..., int]
) -> None:
    """The same command with another overlay; W&B offline records the run's metrics on disk, for the task's project."""
    configs = [REPO / f"configs/{task}.yaml", REPO / f"configs/logger/{overlay}.yaml"]
    status = run_cli(
        *("fit", "--config", configs[0], "--config", configs[1], *small(shapes, tmp_path), "--run.name", overlay),
        *("--trainer.max_epochs", 1, "--trainer.limit_train_batches", 1, *tiny_network(tmp_path), *UNDRAWN),
    )
    assert status == 0
    run = tmp_path / "detect" / overlay
    assert {path.name for path in run.iterdir() if path.name in ("wandb", "tensorboard")} == folders
    if "wandb" in folders:
        record = next(run.glob("wandb/offline-run-*/run-*.wandb")).read_bytes()
        assert b"metrics/mAP50-95(B)" in record
        assert PROJECTS[task].encode() in record


@pytest.mark.parametrize("overlay", ["wandb", "wandb-offline", "both"])
@pytest.mark.parametrize("task", PROJECTS)
def test_each_task_has_its_project(
    task: str, overlay: str, tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    configs = [REPO / f"configs/{task}.yaml", REPO / "configs/quick.yaml", REPO / f"configs/logger/{overlay}.yaml"]
    with pytest.raises(SystemExit):
        run_cli("fit", *(word for config in configs for word in ("--config", config)), "--print_config")
    config = yaml.safe_load(capsys.readouterr().out)
    flushed = resolve_loggers(config["trainer"]["logger"], tmp_path, WandbOptions(**config["wandb"]))
    entries = flushed if isinstance(flushed, list) else [flushed]
    assert [arguments_of(entry).get("project") for entry in entries][-1] == PROJECTS[task]


def project_of(written: dict[str, str], folder: Path, project: str) -> str:
    entry = {**WANDB, "init_args": {**WANDB["init_args"], **written}}  # type: ignore[dict-item]
    return str(arguments_of(resolve_loggers(entry, folder, WandbOptions(project=project)))["project"])


def test_a_project_that_is_written_out_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the logger's own, W&B's variable and the option, the first that there is."""
    assert project_of({"project": "mine"}, tmp_path, "other") == "mine"
    assert project_of({"project": "{wandb_project}-x"}, tmp_path, "{run_name}") == "{run_name}-x"
    assert project_of({}, tmp_path, "other") == "other"
    monkeypatch.setenv("WANDB_PROJECT", "theirs")
    assert project_of({"project": "{wandb_project}"}, tmp_path, "other") == "other"
    assert project_of({}, tmp_path, "other") == "theirs"


@pytest.mark.parametrize(("project", "told"), [("", "--wandb.project is empty"), ("a/b", "cannot contain characters")])
def test_a_project_that_cannot_be(project: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=told):
        project_of({"project": "{wandb_project}"}, tmp_path, project)


@pytest.mark.parametrize(
    ("variable", "written", "option", "becomes"),
    [
        (None, False, False, False),
        ("true", False, False, True),
        ("end", False, False, True),
        ("checkpoint", True, False, "all"),
        ("ALL", False, True, "all"),
        ("false", True, False, True),
        ("0", False, True, True),
        (None, "all", True, "all"),
        ("Yes", False, False, True),
        ("off", False, False, False),
    ],
)
def test_weights_go_if_anybody_says_so(
    variable: str | None,
    written: bool | str,
    option: bool,
    becomes: bool | str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("WANDB_MODE")
    if variable is not None:
        monkeypatch.setenv("WANDB_LOG_MODEL", variable)
    entry = {"class_path": WANDB["class_path"], "init_args": {"log_model": written}}
    arguments = arguments_of(resolve_loggers(entry, tmp_path, WandbOptions(weights=option)))
    assert arguments["log_model"] == becomes


def test_offline_and_weights_is_one_line_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WANDB_MODE")
    arguments = arguments_of(resolve_loggers(copy(WANDB), tmp_path, WandbOptions(weights=True)))
    assert (arguments["log_model"], arguments["offline"], arguments["settings"]["mode"]) == (False, False, "offline")
    assert capsys.readouterr().err == (
        "W&B: the mode is offline, so no weights are uploaded; they stay in the run folder.\n"
    )
    ResilientWandbLogger(**arguments)


@pytest.mark.parametrize(
    ("name", "value"), [("WANDB_LOG_MODEL", "maybe"), ("WANDB_MODE", "on"), ("WANDB_MODE", "shared")]
)
def test_a_variable_that_means_nothing_is_an_error(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=f"{name}={value}"):
        resolve_loggers({**copy(WANDB), "init_args": {}}, tmp_path)


@pytest.mark.parametrize("given", [{"mode": "shared"}, {"settings": {"mode": "shared"}}])
def test_a_mode_is_one_of_three_from_every_side(given: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mode=shared means nothing; use online, offline or disabled"):
        resolve_loggers({**copy(WANDB), "dict_kwargs": given}, tmp_path)


def test_a_wrong_setting_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="consoles"):
        resolve_loggers({**copy(WANDB), "dict_kwargs": {"settings": {"consoles": "wrap"}}}, tmp_path)


def test_the_run_id_is_kept_and_the_users_own_wins(tmp_path: Path) -> None:
    first = run_id(tmp_path, None, resumed=False)
    assert len(first) == 8
    assert run_id(tmp_path, None, resumed=True) == first
    assert run_id(tmp_path, None, resumed=False) != first
    assert run_id(tmp_path, "mine", resumed=True) == "mine"
    assert run_id(tmp_path, None, resumed=True) == "mine"
    (tmp_path / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"run\.json"):
        run_id(tmp_path, None, resumed=True)


def test_a_run_that_never_began_leaves_no_folder(shapes: Path, tmp_path: Path, run_cli: Callable[..., int]) -> None:
    """W&B's record is open by then; the data set turns out to be wrong after that."""
    (tmp_path / "data.yaml").write_text("train: nowhere\nval: nowhere\nnames: {0: a}\n", encoding="utf-8")
    overlay = REPO / "configs/logger/wandb-offline.yaml"
    assert run_cli("fit", "--config", overlay, *small(tmp_path / "data.yaml", tmp_path / "runs")) == 2
    assert list((tmp_path / "runs").rglob("run.json")) == []


def test_settings_in_yaml_are_what_the_user_wrote(
    shapes: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    """jsonargparse fills in a hundred more, among them wandb's public defaults."""
    from jsonargparse import Namespace

    usual = {"x_disable_meta": False, "save_code": None, "console": "auto", "run_tags": None, "host": None}
    entry = Namespace(class_path=WANDB["class_path"], init_args=Namespace(settings=Namespace(usual)))
    entry.init_args.settings.run_tags = ["night"]
    trim_settings(entry)
    assert entry.dict_kwargs == {"settings": {"run_tags": ("night",)}}
    settings = arguments_of(resolve_loggers(entry, tmp_path))["settings"]
    assert (settings["x_disable_meta"], settings["save_code"], settings["console"]) == (True, False, "off")


def test_another_verb_takes_a_training_runs_options(
    finished: Path, shapes: Path, tmp_path: Path, run_cli: Callable[..., int]
) -> None:
    overlay, best = REPO / "configs/logger/wandb.yaml", finished / "weights/best.ckpt"
    words = (*small(shapes, tmp_path), "--ckpt_path", best, "--wandb.console", "true")
    assert run_cli("validate", "--config", overlay, *words) == 0
