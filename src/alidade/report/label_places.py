"""Where the labels of points in a picture go: beside their points, and on one another only where no place is free."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, hypot

_SIDES = ((1, 0), (-1, 0), (0, -1), (0, 1), (0.7, -0.7), (-0.7, -0.7), (0.7, 0.7), (-0.7, 0.7))
_RINGS = (9, 18, 30, 44, 60, 78, 98, 120, 144)
_MARK = 6.0  # half of the room that a point takes up
_STEP = 6.0  # between the places at which a line is looked at
_HIDDEN, _CROSSED, _FAR = 1000.0, 1.0, 4.0  # what a label on something, a line through it and a ring further cost


@dataclass(frozen=True)
class Box:
    """A rectangle; up is less."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether two rectangles share more than an edge."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def holds(self, x: float, y: float) -> bool:
        """Whether a place is inside."""
        return self.left <= x <= self.right and self.top <= y <= self.bottom

    def moved_into(self, other: Box) -> Box:
        """The same rectangle where it is wholly inside another one, or starts at its left and top if it is larger."""
        across = max(other.left, min(self.left, other.right - (self.right - self.left))) - self.left
        down = max(other.top, min(self.top, other.bottom - (self.bottom - self.top))) - self.top
        return Box(self.left + across, self.top + down, self.right + across, self.bottom + down)

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """The place in the rectangle that is nearest to (x, y)."""
        return min(max(x, self.left), self.right), min(max(y, self.top), self.bottom)


Point = tuple[float, float]
Line = tuple[Point, Point]


def places(points: Sequence[Point], sizes: Sequence[Point], lines: Sequence[Line], within: Box) -> list[Box]:
    """A place for each point's label of a given width and height: near it, off all points and labels, and rarely on a line."""
    marks = [Box(x - _MARK, y - _MARK, x + _MARK, y + _MARK) for x, y in points]
    crossed = [place for line in lines for place in _along(line)]
    placed: list[Box] = []
    for point, size in zip(points, sizes, strict=True):
        costs = [
            (_cost(box, [*marks, *placed], crossed) + _FAR * ring, at, box)
            for at, (ring, box) in enumerate(_around(point, size, within))
        ]
        placed.append(min(costs, key=lambda one: one[:2])[2])
    return placed


def _around(point: Point, size: Point, within: Box) -> Iterator[tuple[int, Box]]:
    """The places around a point, the near ones first; those beyond a border are moved to it."""
    (x, y), (width, height) = point, size
    for ring, distance in enumerate(_RINGS):
        for across, down in _SIDES:
            left = x + across * distance - width * (1 - across / (abs(across) or 1)) / 2
            top = y + down * distance - height * (1 - down / (abs(down) or 1)) / 2
            yield ring, Box(left, top, left + width, top + height).moved_into(within)


def _cost(box: Box, taken: Sequence[Box], crossed: Sequence[Point]) -> float:
    return _HIDDEN * sum(box.meets(other) for other in taken) + _CROSSED * sum(box.holds(x, y) for x, y in crossed)


def _along(line: Line) -> list[Point]:
    (x, y), (to_x, to_y) = line
    steps = max(1, ceil(hypot(to_x - x, to_y - y) / _STEP))
    return [(x + (to_x - x) * step / steps, y + (to_y - y) * step / steps) for step in range(steps + 1)]
