"""Names of images that YAML would read as nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aigp_lightning.cli.preflight import check_image_options
from aigp_lightning.errors import ConfigError


@pytest.mark.parametrize("value", ["#1.jpg", " # x", "&x", "!!null x"])
@pytest.mark.parametrize("form", [["--media.private", "{}"], ["--media.private={}"], ["--media.val_files+", "{}"]])
def test_what_would_name_nothing_is_refused(value: str, form: list[str]) -> None:
    """Silently, all images would leave unmasked."""
    with pytest.raises(ConfigError, match=r"^--media\.\w+ .*would be read as nothing.*Write it as a list with quotes"):
        check_image_options([word.format(value) for word in form])


def test_what_is_meant_as_nothing_and_what_names_something() -> None:
    for value in (
        "null",
        "~",
        "",
        "a#b.jpg",
        "x #1.jpg",
        '["#1.jpg"]',
        "[a, b]",
        "{a,b}.jpg",
        "*",
        "%",
        "@x",
        "a: b: c",
    ):
        check_image_options(["--media.private", value, "--run.name", "#3"])
    check_image_options(["--media.private"])


def test_the_command_line_asks(run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]) -> None:
    assert run_cli("plan", "--media.private", "#1.jpg") == 2
    assert "error: --media.private #1.jpg would be read as nothing" in capfd.readouterr().err
