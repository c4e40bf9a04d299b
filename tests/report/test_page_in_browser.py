"""The page of a report in a real browser: Chromium, without a screen, opening it from disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import browser, complaints, from_elsewhere, missing_browser, open_page, requested
from report_payload import (
    BEST,
    ENDING,
    EPOCHS,
    HOSTILE,
    LABEL_COLOUR,
    bare_payload,
    counts,
    items,
    payload,
    pictures,
    prediction_colour,
)

from aigp_lightning.report.page.render import write_page

MISSING = missing_browser()
pytestmark = pytest.mark.skipif(bool(MISSING) and not os.environ.get("CI"), reason=MISSING or "there is one")

PIXEL = """
const image = document.querySelector(arguments[0]);
if (!image || !image.complete || !image.naturalWidth) return null;
const canvas = document.createElement("canvas");
canvas.width = image.naturalWidth;
canvas.height = image.naturalHeight;
const context = canvas.getContext("2d");
context.drawImage(image, 0, 0);
return [image.naturalWidth, ...context.getImageData(3, 3, 1, 1).data.slice(0, 3)];
"""
SET = """
const element = document.querySelector(arguments[0]);
element.value = arguments[1];
for (const name of ["input", "change"]) element.dispatchEvent(new Event(name, { bubbles: true }));
"""
PREDICTION, LABEL = "#mosaics .pair > .pred img", "#mosaics .pair > .labels img"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    write_page(folder / "one.html", payload(1), pictures(1))
    write_page(folder / "two.html", payload(2), pictures(2))
    write_page(folder / "bare.html", bare_payload(), [])
    many = payload(1)
    many["runs"][0]["pictures"]["items"] = [{**items()[0], "file": f"{number}.jpg"} for number in range(130)]
    write_page(folder / "many.html", many, pictures(1))
    return folder


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    assert not MISSING, f"CI is set, and there is {MISSING}"
    with browser(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


@pytest.fixture(autouse=True)
def nothing_leaves_and_nothing_complains(driver: Any) -> Iterator[None]:
    requested(driver), complaints(driver)
    yield
    assert (from_elsewhere(driver), complaints(driver)) == ([], [])


def until(driver: Any, true: Any, what: str) -> Any:
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(driver, 15, poll_frequency=0.02).until(lambda _: true(), what)


def show(driver: Any, section: str) -> Any:
    """Scroll to a section, wait until it is built, and return it."""
    found = driver.find_element("id", section)
    driver.execute_script("arguments[0].scrollIntoView()", found)
    until(driver, lambda: found.find_elements("css selector", ".body > *"), f"{section} is not built")
    return found


def texts(driver: Any, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent)"
    return list(driver.execute_script(script, selector))


def press(driver: Any, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    for key in keys:
        ActionChains(driver).send_keys(key).perform()


def shows(driver: Any, selector: str, colour: tuple[int, int, int]) -> None:
    until(
        driver,
        lambda: driver.execute_script(PIXEL, selector) == [48, *colour],
        f"{selector} shows {driver.execute_script(PIXEL, selector)}, not {colour}",
    )


def totals(driver: Any) -> dict[str, int]:
    return {key: int(texts(driver, f"#pictures [data-count={key}]")[0]) for key in ("tp", "fp", "fn")}


def files(driver: Any) -> list[str]:
    return [name.removesuffix(" not shown") for name in texts(driver, "#pictures .name")]


def test_it_asks_for_the_file_and_nothing_else(driver: Any, folder: Path) -> None:
    open_page(driver, folder / "one.html")
    for link in driver.find_elements("css selector", "#links a"):
        show(driver, link.get_attribute("href").split("#")[1])
    until(driver, lambda: driver.find_elements("css selector", "#ledger table"), "the last section is not built")
    asked = [url.split(":")[0] for url in requested(driver)]
    assert asked.count("file") == 1 and set(asked) <= {"file", "data", "blob"}


def test_the_slider_shows_the_pictures_of_its_epoch(driver: Any, folder: Path) -> None:
    open_page(driver, folder / "one.html")
    shows(driver, PREDICTION, prediction_colour(BEST))
    for index, epoch in enumerate(EPOCHS):
        driver.execute_script(SET, "#epoch", index)
        shows(driver, PREDICTION, prediction_colour(epoch))
        shows(driver, LABEL, LABEL_COLOUR)
        assert texts(driver, "output.epoch") == [f"epoch {epoch}{' (best)' if epoch == BEST else ''}"]


def test_fast_scrubbing_ends_at_the_last_picture(driver: Any, folder: Path) -> None:
    open_page(driver, folder / "one.html")
    for _ in range(5):
        for index in (0, 3, 1, 4, 2):
            driver.execute_script(SET, "#epoch", index)
    shows(driver, PREDICTION, prediction_colour(EPOCHS[2]))


def test_keys_step_through_the_epochs_and_switch(driver: Any, folder: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    open_page(driver, folder / "one.html")
    shows(driver, PREDICTION, prediction_colour(BEST))
    for key, epoch in (
        (Keys.ARROW_LEFT, 3),
        (Keys.HOME, 1),
        (Keys.ARROW_RIGHT, 2),
        (Keys.END, 5),
        (Keys.ARROW_RIGHT, 5),
    ):
        press(driver, key)
        shows(driver, PREDICTION, prediction_colour(epoch))
    visible = [True, True]
    for key, expected in (("", visible), ("l", [False, True]), ("L", [True, False]), ("l", [False, True])):
        press(driver, *key)
        assert [driver.find_element("css selector", each).is_displayed() for each in (LABEL, PREDICTION)] == expected


def test_space_plays_to_the_end(driver: Any, folder: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    open_page(driver, folder / "one.html")
    shows(driver, PREDICTION, prediction_colour(BEST))
    press(driver, Keys.HOME)
    shows(driver, PREDICTION, prediction_colour(1))
    press(driver, Keys.SPACE)
    shows(driver, PREDICTION, prediction_colour(5))
    until(driver, lambda: "Play" in texts(driver, "#mosaics .controls button")[0], "it plays on")


def test_a_click_enlarges_and_escape_closes(driver: Any, folder: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    open_page(driver, folder / "one.html")
    shows(driver, PREDICTION, prediction_colour(BEST))
    driver.find_element("css selector", "#mosaics .pair > .pred button").click()
    shows(driver, "#large img", prediction_colour(BEST))
    press(driver, Keys.ESCAPE)
    assert not driver.find_element("id", "large").is_displayed()


def test_the_confidence_recounts(driver: Any, folder: Path) -> None:
    open_page(driver, folder / "one.html")
    show(driver, "pictures")
    for conf in (0.0, 0.25, 0.35, 0.5, 0.7, 0.85, 1.0):
        driver.execute_script(SET, "#conf", conf)
        expected = counts(items(), conf)
        until(driver, lambda expected=expected: totals(driver) == expected, f"at {conf} not {expected}")
        kinds = "return ['tp', 'fp', 'fn'].map((kind) => document.querySelectorAll(`#pictures svg .${kind}`).length)"
        assert driver.execute_script(kinds) == list(expected.values())


def test_the_worst_picture_is_first(driver: Any, folder: Path) -> None:
    open_page(driver, folder / "one.html")
    show(driver, "pictures")
    assert totals(driver) == {"tp": 4, "fp": 1, "fn": 1}
    assert files(driver) == [ENDING, "a-unsure.jpg", "b-clean.jpg"]
    driver.execute_script(SET, "#conf", 0.5)
    assert texts(driver, "#pictures .counts") == ["TP 1 · FP 1 · FN 2", "TP 0 · FP 0 · FN 1", "TP 1 · FP 0 · FN 0"]
    driver.execute_script(SET, "#pictures select:has(option[value=name])", "name")
    assert files(driver) == sorted([ENDING, "a-unsure.jpg", "b-clean.jpg"])


def test_filters(driver: Any, folder: Path) -> None:
    open_page(driver, folder / "one.html")
    show(driver, "pictures")
    classes, sizes, bands = (f"#pictures .controls label:nth-of-type({number}) select" for number in (2, 3, 4))
    driver.execute_script(SET, classes, "0")
    assert (files(driver), totals(driver)) == ([ENDING, "b-clean.jpg"], {"tp": 2, "fp": 0, "fn": 1})
    driver.execute_script(SET, classes, "1")
    assert (files(driver), totals(driver)) == ([ENDING, "a-unsure.jpg"], {"tp": 2, "fp": 1, "fn": 0})
    driver.execute_script(SET, classes, "")
    driver.execute_script(SET, sizes, "small")
    assert (files(driver), totals(driver)) == ([ENDING, "b-clean.jpg"], {"tp": 2, "fp": 0, "fn": 0})
    driver.execute_script(SET, sizes, "large")
    assert (files(driver), totals(driver)) == ([ENDING, "a-unsure.jpg"], {"tp": 1, "fp": 1, "fn": 1})
    driver.execute_script(SET, sizes, "")
    driver.execute_script(SET, bands, "1")
    assert (files(driver), totals(driver)) == ([ENDING, "a-unsure.jpg"], {"tp": 2, "fp": 0, "fn": 0})
    driver.execute_script(SET, bands, "")
    driver.find_element("id", "only-errors").click()
    assert files(driver) == [ENDING]
    driver.execute_script(SET, "#pictures input[type=search]", "clean")
    assert files(driver) == [] and "No picture passes" in driver.find_element("id", "pictures").text


def test_many_pictures_come_a_part_at_a_time(driver: Any, folder: Path) -> None:
    open_page(driver, folder / "many.html")
    show(driver, "pictures")
    assert totals(driver)["tp"] == 130
    for count in (60, 120, 130):
        assert files(driver) == [f"{number}.jpg" for number in range(count)]
        driver.execute_script("document.querySelector('#pictures .more').click()")
    assert not driver.find_element("css selector", "#pictures .more").is_displayed()


def test_a_picture_opens_by_keyboard_with_its_objects(driver: Any, folder: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    open_page(driver, folder / "one.html")
    show(driver, "pictures")
    assert len(driver.find_elements("css selector", "#pictures .picture:first-child svg g")) == 4
    driver.execute_script("document.querySelector('#pictures .picture button').focus()")
    press(driver, Keys.ENTER)
    until(driver, lambda: texts(driver, "#large-title") == [f"{ENDING} (not shown)"], "it does not open")
    rows = [row.text.split() for row in driver.find_elements("css selector", "#large tbody tr")]
    assert [row[:2] for row in rows] == [["found", "gate"], ["false", "alarm"], ["found", "<img"], ["missed", "gate"]]
    assert rows[0][2:] == ["0.800", "50", "×", "50", "8.0"]
    press(driver, Keys.ARROW_RIGHT)
    assert texts(driver, "#large-title") == ["a-unsure.jpg"]
    assert "picture not included" in driver.find_element("id", "large").text
    press(driver, Keys.ESCAPE)
    assert not driver.find_element("id", "large").is_displayed()


def test_hostile_names_are_only_texts(driver: Any, folder: Path) -> None:
    title = open_page(driver, folder / "two.html") and driver.title
    assert title == payload()["title"]
    for section in ("curves", "pictures", "confusion", "classes", "config", "ledger"):
        show(driver, section)
    until(driver, lambda: driver.find_elements("css selector", "#curves .plot .legend"), "no chart is drawn")
    assert HOSTILE in texts(driver, "#classes td") and ENDING in driver.find_element("css selector", "#config pre").text
    assert HOSTILE in texts(driver, "#curves .legend text")[0]
    assert driver.execute_script("return document.querySelectorAll('[onerror], img[src=x]').length") == 0
    assert driver.title == title


def test_charts_are_drawn_from_the_numbers(driver: Any, folder: Path) -> None:
    open_page(driver, folder / "one.html")
    show(driver, "curves")
    plot = "[...document.querySelectorAll('#curves .plot')].find((each) => each.ariaLabel === 'box loss')"
    until(driver, lambda: driver.execute_script(f"return Boolean({plot}?.data)"), "no chart is drawn")
    lines = driver.execute_script(f"return {plot}.data.map((line) => [line.name, [...line.y]])")
    assert lines == [["train", [3, 2, None, 1, 0.5]], ["val", [3.5, 2.5, 2, 1.5, 1.6]]]
    assert driver.execute_script(f"return {plot}.layout.shapes.map((shape) => shape.x0)") == [BEST]
    show(driver, "confusion")
    plot = "document.querySelector('#confusion .plot')"
    until(driver, lambda: driver.execute_script(f"return Boolean({plot}?.data)"), "no chart is drawn")
    share = driver.execute_script(f"return {plot}.data[0].z.map((row) => [...row])")
    assert share == [[2 / 3, 0, 0.5], [0, 1, 0.5], [1 / 3, 0, 0]]
    driver.execute_script(SET, "#confusion select", "counts")
    assert driver.execute_script(f"return {plot}.data[0].z.map((row) => [...row])") == [[2, 0, 1], [0, 2, 1], [1, 0, 0]]


def test_several_runs(driver: Any, folder: Path) -> None:
    open_page(driver, folder / "two.html")
    show(driver, "comparison")
    assert texts(driver, "#comparison tbody tr:first-child td")[:3] == ["mAP50(B)", "0.6000", "★ 0.7000 +0.1000"]
    shows(driver, PREDICTION, prediction_colour(BEST))
    assert driver.find_element("css selector", PREDICTION).get_attribute("data-picture") == f"r0-pred-{BEST}"
    driver.find_element("css selector", "#tabs button:nth-child(2)").click()
    show(driver, "mosaics")
    shows(driver, PREDICTION, prediction_colour(BEST))
    assert driver.find_element("css selector", PREDICTION).get_attribute("data-picture") == f"r1-pred-{BEST}"
    show(driver, "config")
    assert driver.find_element("css selector", "#config pre").text.startswith("seed_everything: 1")
    show(driver, "curves")
    plot = "[...document.querySelectorAll('#curves .plot')].find((each) => each.ariaLabel === 'mAP50')"
    until(driver, lambda: driver.execute_script(f"return Boolean({plot}?.data)"), "no chart is drawn")
    colours = driver.execute_script(f"return {plot}.data.map((line) => line.line.color)")
    cards = "return [...document.querySelectorAll('.card')].map((each) => each.style.getPropertyValue('--run'))"
    assert len(set(colours)) == 2 and colours == driver.execute_script(cards)


def test_tables_sort_and_filter(driver: Any, folder: Path) -> None:
    open_page(driver, folder / "one.html")
    show(driver, "classes")
    head = driver.find_element("css selector", "#classes th:last-child button")
    for expected in (["0.7000", "0.6000", "0.5000"], ["0.5000", "0.6000", "0.7000"]):
        head.click()
        assert texts(driver, "#classes td:last-child") == expected
    show(driver, "ledger")
    driver.find_element("css selector", "#ledger summary").click()
    driver.find_element("css selector", "#ledger input").send_keys("private")
    assert texts(driver, "#ledger details tbody td:nth-child(5)") == ["withheld"]
    assert texts(driver, "#ledger details .controls span") == ["1 of 2 rows"]


def test_the_configuration_is_filtered_and_copied(driver: Any, folder: Path) -> None:
    open_page(driver, folder / "one.html")
    config = show(driver, "config")
    driver.find_element("css selector", "#config input").send_keys("SEED")
    assert config.find_element("css selector", "pre").text == "seed_everything: 0"
    config.find_element("css selector", "button").click()
    until(driver, lambda: texts(driver, "#config [role=status]") == ["Copied."], "it is not copied")


def test_what_a_run_did_not_keep_is_said(driver: Any, folder: Path) -> None:
    open_page(driver, folder / "bare.html")
    sections = [link.get_attribute("href").split("#")[1] for link in driver.find_elements("css selector", "#links a")]
    for section in sections:
        found = show(driver, section)
        assert found.find_element("css selector", ".missing").text.endswith(".")
        assert "could not be drawn" not in found.text
    assert {"mosaics", "curves", "pictures", "thresholds", "confusion", "classes", "config", "ledger"} <= set(sections)


def test_all_of_it_is_there_to_print(driver: Any, folder: Path) -> None:
    open_page(driver, folder / "two.html")
    driver.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    plots = driver.find_elements("css selector", "#main .plot")
    assert len(plots) > 10 and all(plot.find_elements("css selector", ".main-svg") for plot in plots)
    assert not driver.find_elements("css selector", "#main .body:empty")


def test_it_fits_a_phone(driver: Any, folder: Path) -> None:
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        open_page(driver, folder / "two.html")
        for link in driver.find_elements("css selector", "#links a"):
            show(driver, link.get_attribute("href").split("#")[1])
        assert driver.execute_script("return document.documentElement.scrollWidth") == 400
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_request_would_be_noticed(driver: Any, tmp_path: Path) -> None:
    """The check itself, on a page that asks for a picture from elsewhere."""
    page = tmp_path / "page.html"
    page.write_text('<html data-ready="1"><img src="http://127.0.0.1:9/x.png"></html>', encoding="utf-8")
    open_page(driver, page)
    until(driver, lambda: from_elsewhere(driver) == ["http://127.0.0.1:9/x.png"], "it is not noticed")
    until(driver, lambda: complaints(driver), "the console says nothing")
