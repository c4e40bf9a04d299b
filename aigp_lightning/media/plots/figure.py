"""What the plots share: a page of pixels, frames with coordinates on it, letters and lines.

Matplotlib's axes take some 30 ms each, most of it for ticks, and pyplot keeps state that threads would share. So areas
and letters are painted into an array, Matplotlib's renderer draws the curves over it, and nothing global is touched:
any thread may draw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.media.plots.text import Colour, one_line, text_mask

DPI = 150
INK, FAINT, EDGE = (38, 38, 38), (230, 230, 230), (140, 140, 140)
NORMAL, SMALL = 19, 16
"""Letter sizes, pixels."""

Range = tuple[float, float]
Anchor = Literal["low", "middle", "high"]


@dataclass(frozen=True)
class Frame:
    """A rectangle of the page with coordinates of its own.

    Attributes:
        left: first column of the page, pixels.
        top: first row of the page, pixels.
        width: pixels.
        height: pixels.
        x: values at the left and the right edge.
        y: values at the bottom and the top edge.
    """

    left: int
    top: int
    width: int
    height: int
    x: Range = (0, 1)
    y: Range = (0, 1)

    def across(self, values: Any) -> NDArray[np.float64]:
        """Pixels from the page's left edge."""
        return np.asarray(self.left + (np.asarray(values) - self.x[0]) / (self.x[1] - self.x[0]) * self.width)

    def down(self, values: Any) -> NDArray[np.float64]:
        """Pixels from the page's top edge."""
        share = (np.asarray(values) - self.y[0]) / (self.y[1] - self.y[0])
        return np.asarray(self.top + (1 - share) * self.height)


class Page:
    """A white page; coordinates are pixels from the top left corner.

    Args:
        width: pixels.
        height: pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.paper: NDArray[np.uint8] = np.full((height, width, 3), 255, np.uint8)
        self._lines: list[Any] = []

    def fill(self, left: float, top: float, right: float, bottom: float, colour: Sequence[int]) -> None:
        """Paint a rectangle; (red, green, blue) 0…255."""
        rows = slice(max(round(top), 0), max(round(bottom), 0))
        self.paper[rows, max(round(left), 0) : max(round(right), 0)] = colour

    def image(self, frame: Frame, picture: NDArray[np.uint8]) -> None:
        """Put a picture (h, w, 3), its pixels as squares, into a frame; its first row is on top."""
        rows = np.arange(frame.height) * picture.shape[0] // frame.height
        columns = np.arange(frame.width) * picture.shape[1] // frame.width
        place = (slice(frame.top, frame.top + frame.height), slice(frame.left, frame.left + frame.width))
        self.paper[place] = picture[rows[:, None], columns]

    def text(
        self,
        x: float,
        y: float,
        words: str,
        letters: int = SMALL,
        anchor: tuple[Anchor, Anchor] = ("low", "middle"),
        ink: Colour = INK,
        upright: bool = False,
    ) -> None:
        """Write over what is there.

        Args:
            x: pixels.
            y: pixels.
            words: one line.
            letters: their height, pixels.
            anchor: which point of the text lies at (x, y): along x and along y.
            ink: red, green, blue, 0…255.
            upright: turned, to be read from below.
        """
        mask = _mask(words, letters)
        mask = np.rot90(mask) if upright else mask
        share = {"low": 0.0, "middle": 0.5, "high": 1.0}
        left, top = (round(at - share[a] * n) for at, a, n in zip((x, y), anchor, mask.shape[::-1], strict=True))
        mask = mask[max(-top, 0) :, max(-left, 0) :]
        room = self.paper[max(top, 0) :, max(left, 0) :][: mask.shape[0], : mask.shape[1]]
        part = mask[: room.shape[0], : room.shape[1], None].astype(np.float32) / 255
        room[...] = np.round(room * (1 - part) + np.array(ink, np.float32) * part)

    def line(self, frame: Frame | None, x: Any, y: Any, colour: Colour, width: float = 1.5, **looks: Any) -> None:
        """Draw through points: of the frame, cut off at its edges, or of the page.

        Args:
            frame: whose coordinates these are; None for the page's.
            x: (n,) NaN leaves a gap.
            y: (n,) NaN leaves a gap.
            colour: red, green, blue, 0…255.
            width: pixels.
            looks: further properties of Matplotlib's `Line2D`.
        """
        from matplotlib.lines import Line2D
        from matplotlib.transforms import Bbox, IdentityTransform

        xs, ys = (frame.across(x), frame.down(y)) if frame is not None else (np.asarray(x), np.asarray(y))
        shade = tuple(value / 255 for value in colour)
        points = width * 72 / DPI
        line: Any = Line2D(xs, self.height - ys, color=shade, linewidth=points, transform=IdentityTransform(), **looks)  # type: ignore[arg-type]
        if frame is not None:
            bottom, right = self.height - frame.top - frame.height, frame.left + frame.width
            box = (frame.left - 3, bottom - 3, right + 3, bottom + frame.height + 3)
            line.set_clip_box(Bbox.from_extents(*box))
        self._lines.append(line)

    def axes(
        self,
        frame: Frame,
        title: str = "",
        labels: tuple[str, str] = ("", ""),
        ticks: tuple[Sequence[float], Sequence[float]] = ((), ()),
        grid: bool = True,
        beside: Callable[[float], str] | None = None,
    ) -> None:
        """Draw a frame's edges, ticks with numbers, grid, labels and title.

        Args:
            frame: where.
            title: above it, on the left.
            labels: below it and beside it.
            ticks: values along x and along y.
            grid: lines at the ticks.
            beside: how ticks along y are written; None: as numbers.
        """
        written = [(beside or number)(value) for value in ticks[1]]
        left, top, right, bottom = frame.left, frame.top, frame.left + frame.width, frame.top + frame.height
        for value, column in zip(ticks[0], frame.across(ticks[0]).tolist(), strict=True):
            self.fill(column, top if grid else bottom, column + 1, bottom, FAINT)
            self.fill(column, bottom, column + 1, bottom + 6, EDGE)
            self.text(column, bottom + 7, number(value), SMALL, ("middle", "low"))
        for words, row in zip(written, frame.down(ticks[1]).tolist(), strict=True):
            self.fill(left, row, right if grid else left, row + 1, FAINT)
            self.fill(left - 6, row, left, row + 1, EDGE)
            self.text(left - 7, row, words, SMALL, ("high", "middle"))
        self.fill(left - 1, top, left + 1, bottom + 1, EDGE)
        self.fill(left - 1, bottom - 1, right, bottom + 1, EDGE)
        if title:
            self.text(left - 3, top - 4, title, NORMAL, ("low", "high"))
        if labels[0]:
            self.text((left + right) / 2, bottom + 8 + 20 * bool(len(ticks[0])), labels[0], NORMAL, ("middle", "low"))
        if labels[1]:
            place = left - 10 - extent(written, SMALL)
            self.text(place, (top + bottom) / 2, labels[1], NORMAL, ("high", "middle"), upright=True)

    def pixels(self) -> NDArray[np.uint8]:
        """Draw the lines over the rest: (H, W, 3) uint8 RGB."""
        if not self._lines:
            return self.paper
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(self.width / DPI, self.height / DPI), dpi=DPI)
        canvas: Any = FigureCanvasAgg(figure)
        renderer = canvas.get_renderer()
        inked = np.asarray(renderer.buffer_rgba())
        inked[..., :3], inked[..., 3] = self.paper, 255  # a figure's own images are resampled, which takes long
        figure.patch.set_visible(False)
        for line in self._lines:
            figure.add_artist(line)
        figure.draw(renderer)
        return np.ascontiguousarray(inked[..., :3])


def notice(words: str, width: int = 1200, height: int = 300) -> NDArray[np.uint8]:
    """A picture that only says something, where there is nothing to plot."""
    page = Page(width, height)
    page.text(width / 2, height / 2, words, 32, ("middle", "middle"))
    return page.pixels()


def shown(text: str, most: int = 28) -> str:
    """A name as a plot can show it: one line, at most so many letters."""
    text = one_line(text)
    end = (most - 2) // 2  # what tells long names apart is often at their end
    return text if len(text) <= most else f"{text[: most - 2 - end]}..{text[-end:]}"


def told_apart(texts: Sequence[str], letters: int, room: int) -> list[str]:
    """Names as a plot can show them: each in one line and no wider than there is room; no two alike by shortening.

    Args:
        texts: the names.
        letters: their height, pixels.
        room: pixels.
    """
    lines = [one_line(text) for text in texts]
    short = [_fitted(line, letters, room) for line in lines]
    times = Counter(short)
    return [
        _fitted(line, letters, room, f"{place}: ") if times[name] > 1 and name != line else name
        for place, (line, name) in enumerate(zip(lines, short, strict=True))
    ]


def _fitted(text: str, letters: int, room: int, before: str = "") -> str:
    most = len(text)
    while (wide := extent([before + shown(text, most)], letters)) > room and most > 4:  # noqa: PLR2004
        most = max(min(most - 1, most * room // wide), 4)
    return before + shown(text, most)


def extent(texts: Sequence[str], letters: int) -> int:
    """Width of the widest text, pixels."""
    return max((_mask(text, letters).shape[1] for text in texts), default=0)


def _mask(words: str, letters: int) -> NDArray[np.uint8]:
    return text_mask(words, letters, words.isascii())


def number(value: float) -> str:
    """A tick's value, short."""
    return f"{value:,.0f}" if abs(value) >= 1000 and value == round(value) else f"{value:.4g}"  # noqa: PLR2004


def steps(low: float, high: float, most: int = 5) -> list[float]:
    """Round values between two, at most so many and one: multiples of 1, 2, 2.5 or 5 times a power of ten."""
    span = high - low
    if not (np.isfinite(span) and span > 0):
        return []
    power = 10.0 ** np.floor(np.log10(span / most))
    step = next(unit * power for unit in (1, 2, 2.5, 5, 10, 20) if span <= most * unit * power * (1 + 1e-9))
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    return [float(f"{value * step:.9g}") + 0.0 for value in np.arange(first, last + 1).tolist()]
