"""The gate in front of W&B: every setting of wandb's is in the table, and what would open a closed channel is refused.

With `AIGP_WRITE_TABLE=1` in the environment, the page's test writes the table into docs/what-leaves-my-machine.md.
"""

from __future__ import annotations

import inspect
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
from helpers import small
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger
from wandb_standin import KEY, WandbStandin, forget, serve

from aigp_lightning.errors import ConfigError
from aigp_lightning.loggers.config import arguments_of, is_wandb, resolve_loggers
from aigp_lightning.loggers.wandb import ResilientWandbLogger, _closed, fenced, open_wandb
from aigp_lightning.loggers.wandb_allowed import ARGUMENTS, FIELDS, VARIABLES
from aigp_lightning.loggers.wandb_closing import finish_wandb
from aigp_lightning.loggers.wandb_gate import check_session, check_surroundings
from aigp_lightning.loggers.wandb_options import WandbOptions, wandb_settings

REPO = Path(__file__).parents[2]
PAGE = REPO / "docs" / "what-leaves-my-machine.md"
WRITE = "AIGP_WRITE_TABLE"
PLAIN = "lightning.pytorch.loggers.WandbLogger"

NO_VARIABLES = {
    # names of constants, of headers and of labels in wandb's source, which no process reads from its environment
    *("WANDB_API_KEY_EXAMPLE", "WANDB_CONFIG_", "WANDB_DEV_URI_REGEX", "WANDB_DIRS", "WANDB_DOCKERFILE_NAME"),
    *("WANDB_INTERNAL_KEYS", "WANDB_K8S_LABEL_AGENT", "WANDB_K8S_LABEL_AUXILIARY_RESOURCE", "WANDB_TYPES"),
    *("WANDB_K8S_LABEL_MONITOR", "WANDB_K8S_LABEL_NAMESPACE", "WANDB_K8S_RUN_ID", "WANDB_LAUNCH_FILE_OVERRIDES_"),
    *("WANDB_LOCAL_DEV_URI_REGEX", "WANDB_MEDIA_TYPES", "WANDB_PYTHON_CALL_ID", "WANDB_PYTHON_FUNC"),
    *("WANDB_QA_URI_REGEX", "WANDB_REGEX", "WANDB_RUNNERS", "WANDB_RUN_ID_KEY", "WANDB_SCHEDULERS"),
    *("WANDB_SCOPE_NAMESPACE", "WANDB_SECRET_STORE", "WANDB_STORAGE_POLICY", "WANDB_URI_REGEX"),
    *("WANDB_VALUE_ADAPTERS", "WANDB_VALUE_TYPES", "WANDB_VALUE_TYPES_MSG"),
    *("WANDB_CACHE_DIRI", "WANDB_DEBUGS", "WANDB_LIBTPU_PATHLIBTPU_PATH"),  # in binaries, texts stand without a gap
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home folder and a working directory without files of wandb's, and a wandb that has read nothing yet."""
    forget()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    yield tmp_path / "home"
    forget()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbStandin]:
    yield from serve(monkeypatch)


def resolved(folder: Path, options: WandbOptions | None = None, path: str = PLAIN, **others: Any) -> dict[str, Any]:
    """The arguments of a W&B logger, as the command line would build it."""
    entry = {"class_path": path, "init_args": {"save_dir": str(folder), "project": "p"}, "dict_kwargs": others}
    return arguments_of(resolve_loggers(entry, folder, options or WandbOptions(config=False)))


# ---- the table is complete -------------------------------------------------------------------------------------------


def test_every_field_of_wandbs_settings_is_in_the_table() -> None:
    assert set(FIELDS) == set(wandb.Settings.model_fields)


def test_every_variable_that_wandb_could_read_is_in_the_table() -> None:
    """Whatever looks like one, in the text of its modules and in its programs."""
    package = Path(wandb.__file__).parent
    source = (path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    programs = (path.read_bytes().decode("latin-1") for path in (package / "bin").iterdir())
    found = {name for text in (*source, *programs) for name in re.findall(r"WANDB_[A-Z0-9_]*[A-Z]\w*", text)}
    found = {name for name in found if name == name.upper()} - NO_VARIABLES
    assert len(found) > 90
    known = set(VARIABLES) | {f"WANDB_{field.upper()}" for field in FIELDS}
    known |= {f"WANDB__{field[2:].upper()}" for field in FIELDS if field.startswith("x_")}
    assert found - known == set()


def test_every_argument_is_in_the_table() -> None:
    arguments = {*inspect.signature(wandb.init).parameters, *inspect.signature(WandbLogger).parameters} - {"kwargs"}
    arguments |= set(inspect.signature(ResilientWandbLogger).parameters) - {"args", "kwargs"}
    assert set(ARGUMENTS) == arguments


def test_names_that_stand_for_fields_do_so_in_wandb_too() -> None:
    for name, field in VARIABLES.items():
        if isinstance(field, str):
            settings, value = wandb.Settings(), "https://example.com" if field.endswith("override") else "7"
            settings.update_from_env_vars({name: value})
            assert field in settings.model_fields_set


def test_what_the_package_sets_is_what_the_table_says() -> None:
    """With all channels off, each such field has a value that passes, so that no other source is asked."""
    settings = wandb.Settings(**wandb_settings(WandbOptions()))
    left = {name for name, rule in FIELDS.items() if rule.verdict == "ours" and name not in settings.model_fields_set}
    assert left == {"reinit"}
    for name, rule in FIELDS.items():
        if rule.verdict == "ours":
            assert getattr(settings, name) in rule.passes


# ---- every door, from every side -------------------------------------------------------------------------------------


def opening(field: str) -> str:
    """A value, as text, that would open it."""
    rule, usual = FIELDS[field], getattr(wandb.Settings(), field)
    if rule.passes and isinstance(rule.passes[0], bool):
        return str(not rule.passes[0]).lower()
    return "true" if isinstance(usual, bool) else "7"


CLOSED = [field for field, rule in FIELDS.items() if rule.verdict != "harmless"]


@pytest.mark.parametrize("field", CLOSED)
def test_a_door_is_refused_from_every_side(
    field: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = opening(field)
    names = [f"WANDB_{field.upper()}", f"WANDB_{field}"]
    names += [f"WANDB__{field[2:].upper()}"] if field.startswith("x_") else []
    names += [name for name, other in VARIABLES.items() if other == field]
    for name in names:
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(ConfigError, match=rf"^environment variable {name} is refused: .+\.$") as told:
                check_surroundings(WandbOptions())
            assert "\n" not in str(told.value)
    for file in (
        home / ".config/wandb/settings",
        Path("wandb/settings"),
        Path(".wandb/settings"),
        tmp_path / "settings",
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"[default]\nentity = me\n{field.upper()} = {value}\n", encoding="utf-8")
        monkeypatch.setenv("WANDB_CONFIG_DIR" if file.parent == tmp_path else "WANDB_NAME", str(tmp_path))
        with pytest.raises(ConfigError, match=re.escape(f"{file.absolute()}, line 3: {field} is refused: ")):
            check_surroundings(WandbOptions())
        file.unlink()
        monkeypatch.delenv("WANDB_CONFIG_DIR", raising=False)
        if file.parent.name == ".wandb":
            file.parent.rmdir()
    spelt = [field, field[1:]] if field.startswith("x_") else [field]
    for name in spelt:
        with pytest.raises(ConfigError, match=f"^trainer.logger: settings.{name} is refused: "):
            resolved(tmp_path, settings={name: value})


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("sync_tensorboard", True), ("tensorboard", True), ("save_code", True), ("monitor_gym", True)),
        *(("config", {"a": "/a/b"}), ("config", "a.yaml"), ("config_include_keys", ["a"]), ("experiment", object())),
        *(("reinit", "finish_previous"), ("of_a_later_version", 1)),
    ],
)
def test_an_argument_that_opens_a_door_is_refused(argument: str, value: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"^trainer.logger: {argument} is refused: "):
        resolved(tmp_path, **{argument: value})


@pytest.mark.parametrize(
    "name",
    [
        *("WANDB_LAUNCH_QUEUE_NAME", "WANDB_CONFIG", "WANDB_CONFIG_0", "WANDB_ARTIFACTS", "WANDB_ARGS"),
        *("WANDB_DISABLED", "WANDB_OF_A_LATER_VERSION"),
    ],
)
def test_other_variables_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "{}")
    with pytest.raises(ConfigError, match=f"^environment variable {name} is refused: "):
        check_surroundings(WandbOptions())


def test_a_channel_is_refused_with_the_name_of_its_switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, switch in (("CONSOLE", "console"), ("GIT_COMMIT", "git"), ("SAVE_CODE", "code"), ("HOST", "host")):
        with monkeypatch.context() as patch:
            patch.setenv(f"WANDB_{name}", {"CONSOLE": "wrap", "SAVE_CODE": "true"}.get(name, "x"))
            with pytest.raises(ConfigError, match=f"--wandb.{switch} true"):
                resolved(tmp_path)


def test_a_field_of_a_later_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # a table of its own: put back into the table, the field would be its last, and no longer where the page has it
    fewer = {name: rule for name, rule in FIELDS.items() if name != "sync_tensorboard"}
    monkeypatch.setattr("aigp_lightning.loggers.wandb_gate.FIELDS", fewer)
    with pytest.raises(ConfigError, match="sync_tensorboard is refused: unknown here"):
        resolved(tmp_path, settings={"sync_tensorboard": False})


def test_files_that_wandb_reads_by_itself_are_refused(tmp_path: Path) -> None:
    Path("config-defaults.yaml").write_text("a: {value: /a/b}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path / 'work' / 'config-defaults.yaml'}: wandb would send")):
        resolved(tmp_path)
    Path("config-defaults.yaml").unlink()
    Path("wandb").mkdir()
    Path("wandb/settings").write_text("[default]\nentity = %(\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="settings cannot be read"):
        resolved(tmp_path)


def test_a_patched_tensorboard_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(wandb.patched, "tensorboard", [["tensorboardX", "writer"]])
    with pytest.raises(ConfigError, match=r"wandb\.tensorboard\.patch was called"):
        resolved(tmp_path)


# ---- what users have in their environment ----------------------------------------------------------------------------

USUAL = {
    **{"WANDB_API_KEY": KEY, "WANDB_PROJECT": "p", "WANDB_ENTITY": "me", "WANDB_NAME": "n", "WANDB_TAGS": "a,b"},
    **{"WANDB_NOTES": "a note", "WANDB_RUN_GROUP": "g", "WANDB_JOB_TYPE": "train", "WANDB_SILENT": "true"},
    **{"WANDB_BASE_URL": "https://example.com", "WANDB_HTTPS_PROXY": "http://proxy:3128", "WANDB_RESUME": "allow"},
    **{"WANDB_DIR": "d", "WANDB_CACHE_DIR": "c", "WANDB_MODE": "offline", "WANDB_RUN_ID": "abc", "WANDB_QUIET": "true"},
    **{"WANDB_INIT_TIMEOUT": "300", "WANDB_HTTP_TIMEOUT": "60", "WANDB_WATCH": "false", "WANDB_LOG_MODEL": "false"},
    # the same as our defaults
    **{"WANDB_CONSOLE": "off", "WANDB_DISABLE_GIT": "true", "WANDB_DISABLE_CODE": "true", "WANDB_SAVE_CODE": "false"},
    **{"WANDB_SYNC_TENSORBOARD": "false", "WANDB_X_DISABLE_STATS": "true", "WANDB__DISABLE_META": "1"},
    **{"WANDB_NOTEBOOK_NAME": "", "WANDB_GIT_COMMIT": "", "WANDB_DOCKER": ""},
    **{"WANDB_ERROR_REPORTING": "true", "WANDB_SERVICE": "3-1-tcp-localhost-1", "WANDB_START_METHOD": "thread"},
}


def test_a_variable_without_effect_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The overlays fill in project and name, so the variables for these do not count."""
    for name in ("PROJECT", "NAME"):
        monkeypatch.setenv(f"WANDB_{name}", "theirs")
    resolved(tmp_path, project="ours", name="theirs", save_dir="runs")
    assert capsys.readouterr().err.splitlines() == [
        "W&B: WANDB_PROJECT has no effect, the configuration says project ours; --wandb.project chooses.",
    ]


def test_what_users_have_in_their_environment_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in USUAL.items():
        monkeypatch.setenv(name, value)
    found = resolved(tmp_path, save_code=False, sync_tensorboard=None, tags=["c"], settings={"console": "off"})
    assert (found["id"], found["tags"], found["settings"]["console"]) == ("abc", ["c"], "off")
    assert os.environ["WANDB_ERROR_REPORTING"] == "false"


def test_a_usual_settings_file_passes(home: Path, tmp_path: Path) -> None:
    (home / ".config/wandb").mkdir(parents=True)
    text = "[default]\nbase_url = https://example.com\nentity = me\nmode = offline\nsave_code = false\n"
    (home / ".config/wandb/settings").write_text(text, encoding="utf-8")
    resolved(tmp_path)


def test_ours_win_and_harmless_settings_are_passed_on(tmp_path: Path) -> None:
    given = {"x_stats_sampling_interval": 1.0, "_disable_meta": True, "run_tags": ("a",), "init_timeout": 7.0}
    settings = resolved(tmp_path, settings=given)["settings"]
    assert {key: settings[key] for key in ("x_stats_sampling_interval", "run_tags", "init_timeout")} == {
        **{"x_stats_sampling_interval": 1.0, "run_tags": ("a",), "init_timeout": 7.0}
    }
    assert "_disable_meta" not in settings
    open_console = resolved(tmp_path, WandbOptions(console=True), settings={"console": "wrap_raw"})["settings"]
    assert (open_console["console"], open_console["disable_git"]) == ("wrap_raw", True)
    git = resolved(tmp_path, WandbOptions(git=True), settings={"disable_git": False, "git_commit": "abc"})["settings"]
    assert (git["disable_git"], git["git_commit"], git["git_remote_url"]) == (True, "", "")


def test_a_refusal_ends_the_command_with_a_line(
    shapes: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    overlay = ("--config", REPO / "configs/logger/wandb.yaml", "--trainer.logger.sync_tensorboard", "true")
    for verb in ("fit", "plan"):
        assert run_cli(verb, *overlay, *small(shapes, tmp_path)) == 2
        lines = [line for line in capfd.readouterr().err.splitlines() if "refused" in line]
        assert [line.partition("trainer.logger: ")[2] for line in lines] == [
            "sync_tensorboard is refused: W&B's own switches open nothing here (TensorBoard's whole event files, "
            "unmasked pictures included; media.routes says which pictures W&B gets). Remove it."
        ]


# ---- loggers of the user's own ---------------------------------------------------------------------------------------


class MyBoard(WandbLogger):
    """Named unlike Lightning's."""

    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        super().log_hyperparams(params)
        self.told = True


class OwnSettings(WandbLogger):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "sync_tensorboard": True})


class NoSettings(WandbLogger):
    def __init__(self, settings: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)


class OwnRun(WandbLogger):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._experiment = wandb.init(mode="disabled")


def make_board(name: str) -> MyBoard:
    return MyBoard(name=name)


def make_any(name: str = "n") -> Logger:
    return WandbLogger(name=name)


class Few(WandbLogger):
    def __init__(self, name: str = "n") -> None:
        super().__init__(name=name)


class NoKeywords(WandbLogger):
    def __init__(
        self, name: Any = None, project: Any = None, id: Any = None, resume: Any = None, log_model: Any = False,
        save_dir: Any = ".",
    ) -> None:  # fmt: skip
        super().__init__(name=name)


class Holder(CSVLogger):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.boards = {"a": [WandbLogger(name="n")]}


class NotOfWandb:
    """`WandbLogger` in a name makes no W&B logger."""


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> str:
    """This file, as a user's module that a class path names."""
    monkeypatch.setitem(sys.modules, "boards_of_mine", sys.modules[__name__])
    monkeypatch.setattr(sys.modules[__name__], "NotAWandbLogger", NotOfWandb, raising=False)
    return "boards_of_mine"


def test_a_logger_is_told_by_its_class(module: str) -> None:
    for name, is_one in (("MyBoard", True), ("make_board", True), ("NotAWandbLogger", False), ("KEY", False)):
        assert is_wandb({"class_path": f"{module}.{name}"}) is is_one
    assert is_wandb({"class_path": "nowhere.MyWandbLogger"})
    assert not is_wandb(True)


def opened(board: type[WandbLogger], folder: Path, arguments: dict[str, Any]) -> Any:
    trainer = Trainer(
        logger=board(**arguments), default_root_dir=folder, accelerator="cpu", enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    open_wandb(trainer, {"init_args": arguments}, WandbOptions(config=False), {})
    return trainer.loggers[0]


def test_a_subclass_gets_the_same_settings_and_the_fence(server: WandbStandin, module: str, tmp_path: Path) -> None:
    board = opened(MyBoard, tmp_path, resolved(tmp_path, path=f"{module}.MyBoard"))
    assert isinstance(board, MyBoard)
    assert isinstance(board, ResilientWandbLogger)
    board.log_hyperparams({"place": "THE-PLACE"})
    board.log_metrics({"a": 1.5}, step=3)
    assert board.told
    finish_wandb()
    assert [row["a"] for row in server.history] == [1.5]
    assert b"THE-PLACE" not in server.texts()


@pytest.mark.parametrize(
    ("board", "told"),
    [
        (OwnSettings, "sync_tensorboard is refused"),
        (NoSettings, "NoSettings does not pass on the settings"),
        (OwnRun, "OwnRun has opened a W&B run of its own"),
    ],
)
def test_a_subclass_that_goes_its_own_way_is_refused(
    board: type[WandbLogger], told: str, server: WandbStandin, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=told):
        opened(board, tmp_path, resolved(tmp_path))
    assert server.requests == []


def test_a_fenced_logger_can_be_sent_to_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setattr(MyBoard, "__module__", "boards_of_mine")
    monkeypatch.setitem(sys.modules, "boards_of_mine", sys.modules[__name__])
    board = opened(MyBoard, tmp_path, resolved(tmp_path))
    again = pickle.loads(pickle.dumps(board))
    assert type(again) is fenced(MyBoard) is type(board)
    assert again.save_dir == board.save_dir


@pytest.mark.parametrize(("name", "lacking"), [("Few", "id, log_model, project, resume"), ("NoKeywords", "settings")])
def test_a_class_that_takes_too_little_is_refused_in_a_line(
    name: str, lacking: str, module: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=f"{name} does not take {lacking}") as told:
        resolved(tmp_path, path=f"{module}.{name}")
    assert "\n" not in str(told.value)


def a_trainer(logger: Any, folder: Path, *callbacks: Callback) -> Trainer:
    return Trainer(
        logger=logger, default_root_dir=folder, accelerator="cpu", enable_progress_bar=False, max_steps=1,
        enable_model_summary=False, enable_checkpointing=False, callbacks=list(callbacks),
    )  # fmt: skip


@pytest.mark.parametrize("make", [lambda _: make_any(), Holder])
def test_a_logger_that_no_class_path_names_is_found(make: Any, server: WandbStandin, tmp_path: Path) -> None:
    assert not is_wandb({"class_path": f"{__name__}.make_any"})
    trainer = a_trainer(make(tmp_path), tmp_path)
    with pytest.raises(ConfigError, match=r"^trainer.logger: \w+ (does not pass on|holds a W&B logger)"):
        open_wandb(trainer, {}, WandbOptions(), {})
    assert server.requests == []


def test_switched_off_is_off_whatever_made_it(
    server: WandbStandin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIGP_WANDB", "0")
    trainer = a_trainer([make_any(), CSVLogger(tmp_path)], tmp_path)
    open_wandb(trainer, {}, WandbOptions(), {})
    assert [type(logger) for logger in trainer.loggers] == [CSVLogger]
    assert "W&B: WandbLogger is left out, as AIGP_WANDB is 0." in capfd.readouterr().err
    assert server.requests == []


def test_figures_about_the_machine_have_their_switch(
    server: WandbStandin, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    load = {"DeviceStatsMonitor.on_train_batch_start/cpu_percent": 7.0, "train/device/mfu": 0.5}
    board = opened(ResilientWandbLogger, tmp_path, resolved(tmp_path))
    board.log_metrics({"Mine.on_validation_batch_end/x": 1.0}, step=0)
    board.log_metrics({"a": 1.5, **load}, step=1)
    finish_wandb()
    assert [{key for key in row if key[0] != "_"} for row in server.history] == [{"a", "trainer/global_step"}]
    assert capfd.readouterr().err.count("figures about this machine are left out") == 1
    open_one = ResilientWandbLogger(settings={"x_disable_stats": False}, offline=True, save_dir=tmp_path)
    assert not _closed(open_one)


def test_two_wandb_loggers_are_refused(tmp_path: Path) -> None:
    entries = [{"class_path": PLAIN, "init_args": {"project": name}} for name in ("a", "b")]
    with pytest.raises(ConfigError, match="two W&B loggers"):
        resolve_loggers(entries, tmp_path)


# ---- attacks on a server that keeps all it gets ----------------------------------------------------------------------


def test_a_session_that_was_set_up_otherwise_is_refused(server: WandbStandin, tmp_path: Path) -> None:
    """By code of the user's own, before the run."""
    wandb.setup(wandb.Settings(x_extra_http_headers={"a": "THE-HEADER"}))
    arguments = resolved(tmp_path)
    with pytest.raises(ConfigError, match="wandb's setting x_extra_http_headers is refused"):
        opened(ResilientWandbLogger, tmp_path, arguments)
    assert server.requests == []
    wandb.teardown()
    check_session()


def test_doors_that_open_after_the_check_stay_closed(
    server: WandbStandin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module of the user's sets variables when it is imported, later than the options are read: ours win."""
    arguments = resolved(tmp_path)
    logger = ResilientWandbLogger(**arguments)
    for name, value in {"GIT_COMMIT": "THE-COMMIT", "GIT_REMOTE_URL": "THE-REMOTE", "HOST": "THE-HOST"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    for name, value in {"SYNC_TENSORBOARD": "true", "SAVE_CODE": "true", "DOCKER": "THE-DOCKER"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    monkeypatch.setenv("WANDB_PROGRAM", "THE-PROGRAM")
    monkeypatch.setenv("WANDB_CONSOLE", "wrap")
    logger.log_metrics({"a": 1.5}, step=0)
    print("THE-CONSOLE")
    finish_wandb()
    assert [row["a"] for row in server.history] == [1.5]
    assert wandb.patched["tensorboard"] == []
    assert b"THE-" not in server.texts()


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_what_users_have_in_their_environment_sends_no_more(
    mode: str, server: WandbStandin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = ("WANDB_BASE_URL", "WANDB_HTTPS_PROXY", "WANDB_DIR", "WANDB_SERVICE", "WANDB_MODE", "WANDB_ENTITY")
    for name, value in USUAL.items():
        if name not in ours:
            monkeypatch.setenv(name, value)
    for name in ("USER", "LOGNAME", "USERNAME"):
        monkeypatch.setenv(name, "THE-USER")
    monkeypatch.setenv("WANDB_MODE", mode)
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "remote", "add", "origin", "https://example.com/THE-REMOTE.git"], check=True)
    board = opened(ResilientWandbLogger, tmp_path, resolved(tmp_path))
    board.log_metrics({"a": 1.5}, step=0)
    finish_wandb()
    text = server.texts() if mode == "online" else next(tmp_path.glob("wandb/*run-*/*.wandb")).read_bytes()
    assert b"a note" in text
    assert [leak for leak in ("THE-", str(tmp_path), str(REPO), sys.prefix) if leak.encode() in text] == []


# ---- folders of attempts that failed ---------------------------------------------------------------------------------


def test_only_the_folder_of_the_attempt_itself_is_removed(
    server: WandbStandin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process's, which comes up meanwhile, and one that was there stay, whatever their names."""
    server.refuse = 403
    arguments = resolved(tmp_path)
    names = [f"run-20260101_00000{number}-{arguments['id']}" for number in range(3)] + ["run-20260101_000000-other"]
    init = wandb.init

    def meanwhile(**given: Any) -> Any:
        for name in names[1:]:
            (tmp_path / "wandb" / name / "logs").mkdir(parents=True, exist_ok=True)
        log = "2026-01-01 00:00:00,000 INFO    MainThread:1 [wandb_setup.py:_flush():81] x\n"
        (tmp_path / "wandb" / names[1] / "logs/debug.log").write_text(log, encoding="utf-8")
        return init(**given)

    (tmp_path / "wandb" / names[0]).mkdir(parents=True)
    monkeypatch.setattr(wandb, "init", meanwhile)
    assert opened(ResilientWandbLogger, tmp_path, arguments).experiment.offline
    finish_wandb()
    left = sorted(path.name for path in (tmp_path / "wandb").glob("run-*"))
    assert left == sorted(names)


# ---- the page --------------------------------------------------------------------------------------------------------

HEADING = "## What becomes of each of wandb's own settings?\n"
ABOUT = """
A field `a_b` of `wandb.Settings` is also the variable `WANDB_A_B`, a line in wandb's settings files, and an entry of
`settings` among the logger's options. What is refused is an error before the run starts, unless it is wandb's own
default; what the package sets passes where it asks for the same.
"""
VERDICTS = {
    "ours": "Set by the package; anything else is refused while the channel is off",
    "harmless": "Harmless, and passed on",
    "refused": "Refused",
}


def table() -> str:
    """The section of the page, made of the table in the code."""
    rows: dict[tuple[str, str], list[str]] = {}
    for field, rule in FIELDS.items():
        rows.setdefault((rule.verdict, rule.text), []).append(f"`{field}`")
    for form, entries in (("`{}`", VARIABLES), ("argument `{}`", ARGUMENTS)):
        for name, entry in entries.items():
            rule = FIELDS[entry] if isinstance(entry, str) else entry
            rows.setdefault((rule.verdict, rule.text), []).append(form.format(name))
    text = [HEADING, " ".join(ABOUT.split()), ""]
    for verdict, title in VERDICTS.items():
        text += [f"### {title}", "", "| setting | what it does |", "|---|---|"]
        text += [f"| {', '.join(names)} | {what} |" for (kind, what), names in rows.items() if kind == verdict]
        text.append("")
    return "\n".join(text)


def test_the_page_has_the_table() -> None:
    page, kept = PAGE.read_text(encoding="utf-8"), PAGE.read_text(encoding="utf-8").partition(HEADING)[0].rstrip("\n")
    if os.environ.get(WRITE):
        page = f"{kept}\n\n{table()}"
        PAGE.write_text(page, encoding="utf-8")
    assert page.endswith(table()), (
        f"docs/{PAGE.name} differs from the table in the code; to write it anew: "
        f"{WRITE}=1 python -m pytest -n 0 tests/loggers/test_wandb_gate.py -k page"
    )


def test_the_table_names_everything_once() -> None:
    rows = [line for line in table().splitlines() if line.startswith("| ")]
    names = [name for line in rows for name in line.split(" | ")[0].removeprefix("| ").split(", ")]
    listed = [f"`{name}`" for name in (*FIELDS, *VARIABLES)] + [f"argument `{name}`" for name in ARGUMENTS]
    assert sorted(name for name in names if name != "setting") == sorted(listed)
