"""Each W&B side channel sends its own content when it is on, and nobody else's; off is off."""

from __future__ import annotations

import platform
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import REPO
from wandb_standin import WandbStandin, serve

from aigp_lightning.loggers.config import arguments_of, resolve_loggers
from aigp_lightning.loggers.private_names import masked_command
from aigp_lightning.loggers.wandb import ResilientWandbLogger, open_wandb
from aigp_lightning.loggers.wandb_closing import finish_wandb
from aigp_lightning.loggers.wandb_options import ELSEWHERE, SENDS, WandbOptions, public_values, side_channels
from aigp_lightning.loggers.wandb_sources import without_credentials, without_user

HOST = "host-of-mine"
PLANTED = {
    "config": b"0.012345678912",  # long: a short number turns up by chance in W&B's own times
    "weights": b"THE-WEIGHTS",
    "code": b"THE-CODE",
    "git": b"THE-DIRTY-FILE",
    "command": b"--data.note=THE-ARGUMENT",
    "console": b"THE-CONSOLE",
    "system_metrics": b"system.proc.cpu.threads",
    "requirements": b"torchmetrics==",
    "host": HOST.encode(),
    "machine": platform.release().encode(),
}
SECRETS = ("--db.password", "THE-OPTION", "--apiKey=THE-OPTION", "--url=https://THE-URL:x@host/?token=THE-URL")
NEVER = {
    b"THE-OPTION",
    b"THE-URL",
    b"THE-PASSWORD",
    b"THE-GIT-USER",
    b"THE-ENVIRONMENT",
    b"THE-PLACE",
    f'"{socket.gethostname()}"'.encode(),
}

FAST = {"dict_kwargs": {"settings": {"x_stats_sampling_interval": 0.5}}}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbStandin]:
    yield from serve(monkeypatch)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A dirty repository with a module of the user's, and secrets in the environment and the command line."""
    folder = tmp_path / "THE-PLACE"
    folder.mkdir()
    (folder / "mine_of_test.py").write_text("x = 'THE-CODE'\n", encoding="utf-8")
    (folder / "tracked.txt").write_text("clean\n", encoding="utf-8")
    remote = "https://THE-GIT-USER:THE-PASSWORD@example.com/team/repo.git"
    person = ("-c", "user.name=n", "-c", "user.email=e@example.com", "-c", "commit.gpgsign=false")
    for words in (("init", "-q"), ("remote", "add", "origin", remote), ("add", "."), (*person, "commit", "-qm", "one")):
        subprocess.run(["git", *words], cwd=folder, check=True)
    (folder / "tracked.txt").write_text("THE-DIRTY-FILE\n", encoding="utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("A_TOKEN", "THE-ENVIRONMENT")
    monkeypatch.setattr(
        sys, "orig_argv", ["python", "-m", "aigp_lightning", "fit", *SECRETS, "--data.note=THE-ARGUMENT"]
    )
    monkeypatch.setattr(sys, "argv", ["aigp_lightning", "fit", *SECRETS, "--data.note=THE-ARGUMENT"])
    monkeypatch.setattr(socket, "gethostname", lambda: HOST)
    monkeypatch.syspath_prepend(str(folder))
    import_module("mine_of_test")
    yield folder
    del sys.modules["mine_of_test"]


def train(folder: Path, options: WandbOptions, **more: Any) -> None:
    """What the command line does about W&B, around a row of figures and a checkpoint."""
    from lightning.pytorch import Trainer
    from lightning.pytorch.callbacks import ModelCheckpoint

    entry = {"class_path": "lightning.pytorch.loggers.WandbLogger", **more}
    entry["init_args"] = {"project": "p", "name": "n", "save_dir": str(folder)}
    flushed = resolve_loggers(entry, folder, options)
    trainer = Trainer(
        logger=ResilientWandbLogger(**arguments_of(flushed)), default_root_dir=folder, accelerator="cpu",
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    config = {"model": {"init_args": {"lr0": 0.012345678912}}, "data": {"data_yaml": str(folder / "data.yaml")}}
    open_wandb(trainer, flushed, options, config)
    print("THE-CONSOLE")
    trainer.logger.log_metrics({"a": 1.5}, step=3)
    checkpoint = ModelCheckpoint(dirpath=folder)
    checkpoint.best_model_path = str(folder / "best.ckpt")
    (folder / "best.ckpt").write_bytes(b"THE-WEIGHTS")
    trainer.logger.after_save_checkpoint(checkpoint)
    trainer.logger.finalize("success")
    if options.system_metrics:
        time.sleep(4)  # wandb samples every half second, once its own process has come to it
    finish_wandb()


def found(server: WandbStandin) -> set[str]:
    text = server.texts()
    assert server.unknown == []
    assert {secret for secret in NEVER if secret in text} == set()
    return {name for name, planted in PLANTED.items() if planted in text}


@pytest.mark.parametrize("channel", list(SENDS))
def test_a_channel_sends_its_own_content_alone(channel: str, server: WandbStandin, place: Path, tmp_path: Path) -> None:
    train(tmp_path, WandbOptions(**{"config": False, channel: True}), **FAST)
    assert found(server) == {channel}
    assert server.history[0]["a"] == 1.5
    if channel == "git":
        commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        run = next(iter(server.runs.values()))
        assert (run["repo"], run["commit"]) == ("https://example.com/team/repo.git", commit)


def test_with_all_channels_off_only_the_figures_leave(server: WandbStandin, place: Path, tmp_path: Path) -> None:
    train(tmp_path, WandbOptions(config=False))
    assert found(server) == set()
    assert set(server.files) == {"config.yaml", "wandb-summary.json"}
    assert set(server.config) == {"_wandb"}
    assert {row.pop("a") for row in server.history} == {1.5}


def test_all_channels_together(server: WandbStandin, place: Path, tmp_path: Path) -> None:
    train(tmp_path, WandbOptions(**dict.fromkeys(SENDS, True)), **FAST)
    assert found(server) == set(SENDS)
    assert server.files["artifact/model.ckpt"] == b"THE-WEIGHTS"
    assert server.files["code/mine_of_test.py"] == b"x = 'THE-CODE'\n"
    source = (REPO / "aigp_lightning" / "types.py").read_bytes()
    assert server.files["code/aigp_lightning/types.py"] == source
    assert b"+THE-DIRTY-FILE" in server.files["diff.patch"]
    assert b"THE-CONSOLE" in server.files["output.log"]
    assert server.config["command"].endswith("--data.note=THE-ARGUMENT")


def test_the_users_own_settings_win(server: WandbStandin, place: Path, tmp_path: Path) -> None:
    """Where a channel is open; a closed one is opened by our switch alone, see test_wandb_gate.py."""
    train(tmp_path, WandbOptions(config=False, console=True), dict_kwargs={"settings": {"console": "wrap_raw"}})
    assert found(server) == {"console"}


def test_every_channel_has_a_row_and_its_switch() -> None:
    switches = {field.name for field in fields(WandbOptions) if isinstance(field.default, bool)}
    assert switches == set(SENDS)
    rows = side_channels(WandbOptions(git=True), log_model="all")
    assert {row.name for row in rows if row.on} == {"config", "git", "weights"}
    assert {row.name for row in side_channels(WandbOptions()) if row.on} == {"config"}
    assert not any(row.on for row in side_channels(WandbOptions(config=False, weights=True), log_model=False))


def test_config_holds_settings_and_no_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    options = {
        "model": {
            "class_path": "a.b.C",
            "init_args": {"variant": "yolo11n", "weights": "mine", "optim": {"lr0": 0.01}},
        },
        "data": {"data_yaml": "gates", "imgsz": [640, 360], "single_cls": True, "seed": None, "extra": [{"a": 1}]},
        "trainer": {"precision": "16-mixed", "logger": {"x": 1}, "devices": "auto", "note": "a b", "log": "C:x"},
        "words": {"a": "alice-2", "b": "here", "c": "x" * 33, "d": "dir/x", "e": "dir\\x", "f": "best.pt", "g": "ok"},
        **{"run": {"name": "n"}, "ckpt_path": "last", "media": {"private": ["a"]}},
    }
    assert public_values(options, frozenset({"alice"})) == {
        "model": {"variant": "yolo11n", "optim": {"lr0": 0.01}},
        "data": {"imgsz": [640, 360], "single_cls": True, "seed": None},
        "trainer": {"precision": "16-mixed", "devices": "auto"},
        "words": {"g": "ok"},
    }


SECRET_NAMES = (
    *("password", "Passwd", "secret", "apiKey", "API_KEY", "api-key", "db-password", "DBPASSWORD", "accessToken"),
    *("token", "email", "e_mail", "userEmail", "credentials", "auth", "user", "userName", "login", "pin", "smtp_pw"),
    *("pass_word", "ｐassword", "secret.code", "wandb token", "hf_token_2", "keyid", "tokenvalue", "mytokenvalue"),
    *("passkey", "licensekey", "masterkey", "encryptionkey", "signkey", "hfkey", "keyfile", "sshkeypath", "tokenid"),
    *("tokéns", "secretid", "hiddensecretx", "passwordhash", "emailaddress", "e-mails", "usermail", "webhookurl"),
    *("PASSWÖRD", "p\u0430ssword", "session_id", "access_code", "pin_code", "otpcode", "seedphrase", "mnemonic"),
    *("k_e_y", "kEY", "p_i_n", "p4ssw0rd", "to_ken", "oauth2", "dbpass", "mypin", "private_x", "passwort", "cvv"),
)
PUBLIC_NAMES = (
    "keypoints",
    "key_points",
    "monkey",
    "max_tokens",
    "pin_memory",
    "author",
    "passthrough",
    "compass",
    *("spin", "mapping", "uncertainty", "footprint", "encoder", "class_names", "curiosity", "microscope", "seed"),
)


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize("value", [1234, True, 0.5, "word", [1, 2], None, {"a": 1, "b": {"c": 2}}])
def test_config_holds_nothing_called_a_secret(name: str, value: object) -> None:
    """A PIN is a number."""
    nested = {"data": {name: value, "init_args": {name: value}, "x": 1}}
    assert public_values(nested, frozenset()) == {"data": {"x": 1}}


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_config_holds_what_only_sounds_like_a_secret(name: str) -> None:
    assert public_values({"model": {name: 17}}, frozenset()) == {"model": {name: 17}}


@pytest.mark.parametrize(
    "text",
    [
        *("me@example.com", "https://me:x@host/a", "ssh://me@host", "ghp_abcdef", "sk-abcdef", "hf_abc", "AKIAABCDEF"),
        *("0123456789abcdef0123456789abcdef", "a1b2c3d4e5f6a7b8c9"),
    ],
)
def test_config_holds_no_credential_in_a_value_or_a_name(text: str) -> None:
    assert public_values({"data": {"note": text, "notes": [text, 1], "x": 1}}, frozenset()) == {"data": {"x": 1}}
    assert public_values({"data": {text: 1, "/a/b": 1, "c:\\d": {"e": 1}, "Alice": 1}}, frozenset({"alice"})) == {}


def test_a_command_line_is_masked() -> None:
    typed = (
        "fit --data.imgsz 640 --db.password abc --dbPassword=abc --apiKey abc --auth --seed 1 --x=https://a:b@h/c "
        "PASSWORD=abc --data.url https://h/?a=1&access_token=abc --keypoints 4 https://h:80/a@b"
    )
    assert " ".join(masked_command(typed.split())) == (
        "fit --data.imgsz 640 --db.password *** --dbPassword=*** --apiKey *** --auth --seed 1 --x=https://h/*** "
        "PASSWORD=*** --data.url *** --keypoints 4 https://***"
    )


@pytest.mark.parametrize(
    "words",
    [
        *(["--x.password", "-ABC"], ["--x.passwords", "ABC", "ABC"], ["--p\u0430ssword", "ABC"], ["--x.password+=ABC"]),
        *(["--cfg", '{"password": "ABC"}'], ["--cfg={password: ABC}"], ["--dsn", "host=h password=ABC"], ["-pABC:x@h"]),
        *(["--u", "user:ABC@host"], ["--u=user:AB/ABC@host"], ["ABC@host:a/b"], ["--x", "https://me:a/ABC@h"]),
        *([f"--t={shape}ABC"] for shape in ("ghp_", "github_pat_", "glpat-", "xoxb-", "sk-", "hf_", "AKIA", "eyJ")),
        *(["--t", "x,hf_ABC"], ["?sig=ABC&X-Amz-Signature=ABC"], ["--h", "https://hooks.slack.com/services/T0/B0/ABC"]),
        *(["--t", "ABC0123456789abcdef0123456789abcdef01234"], ["--x=https://h/a#ABC"], ["--x=https://ABC@h"]),
    ],
)
def test_a_command_line_gives_no_secret_away(words: list[str]) -> None:
    told = " ".join(masked_command(words))
    assert "ABC" not in told
    assert "***" in told or told == "--x=https://h"


def test_paths_and_plain_words_of_a_command_line_stay() -> None:
    typed = "fit --config configs/detector.yaml --data.imgsz=640 --model.init_args {variant: yolo11n} /a/b.c a:b -1"
    assert " ".join(masked_command(typed.split())) == typed


ORDINARY = {"class_path", "name", "data_yaml", "variant", "extra", "path", "private", "private_action", "weights"}


def test_of_our_own_options_nothing_ordinary_is_left_out() -> None:
    """Numbers and switches of all configurations that can have a W&B logger; words that hold places are."""
    for path in (REPO / "configs" / f"{name}.yaml" for name in ("detector", "pose", "obstacle", "quick")):
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert left_out(config, public_values(config, frozenset())) <= ORDINARY, path


def left_out(config: dict[str, Any], public: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    for key, value in config.items():
        if key in ELSEWHERE:
            continue
        if isinstance(value, dict):
            found |= left_out(value, public if key == "init_args" else public.get(key, {}))
        elif key not in public:
            found.add(key)
    return found


def test_code_and_patches_are_masked() -> None:
    text = b"a = 'https://me:se/cret@host/b'  # me@example.com, https://host:80/a@b\n"
    assert without_credentials(text) == b"a = 'https://***@host/b'  # me@example.com, https://host:80/a@b\n"


@pytest.mark.parametrize(
    ("address", "bare"),
    [
        ("https://me:secret@example.com:8443/a/b.git", "https://example.com:8443/a/b.git"),
        ("ssh://me@example.com/a.git", "ssh://example.com/a.git"),
        ("me@example.com:a/b.git", "example.com:a/b.git"),
        ("https://example.com/a@b.git", ""),
        ("", ""),
        ("https://example.com/a.git?access_token=x#y", "https://example.com/a.git"),
        ("https://example.com?token=x", "https://example.com"),
        ("https://me:p@ss@example.com/a.git", "https://example.com/a.git"),
        ("https://me:pa/ss@example.com/a.git", ""),
        ("https://me:12/ss@example.com/a.git", ""),
        ("ext::https://me:secret@example.com/a", ""),
        ("https://me@[::1]:8443/a", "https://[::1]:8443/a"),
        ("me:secret@example.com:a/b.git?token=x", "example.com:a/b.git"),
        ("ssh://git@example.com:22/a/b.git", "ssh://example.com:22/a/b.git"),
        *(
            (odd, "")
            for odd in ("https://h/tok@x/a", "https://h/a;tok=1", "https://h/a/ghp_abc/b.git", "https:/u:p@h/x")
        ),
        *(
            (odd, "")
            for odd in ("ext::sh -c 'curl https://u:p@h'", "https://h/%41", "https://h/a b", "h:a;b", "x://h/a")
        ),
        *((place, "") for place in ("/home/me/a", "../a", "~/a", "C:\\me\\a", "C:/me/a", "file:///home/me/a", "a")),
    ],
)
def test_a_remote_loses_its_user(address: str, bare: str) -> None:
    assert without_user(address) == bare
