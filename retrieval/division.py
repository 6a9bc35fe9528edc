"""The lines of a text divided into windows, along what the syntax tree says belongs together.

The lines of a node are divided among its children. What is longer than a window is divided again,
what is long enough is a window, and the short ones between two of these are packed:

    import os           short   |  packed with what follows, where that fits
    class A:            long    ------------------------------.
        x = 1                   short   | packed              |  header: ()
        def f(self):            medium  | a window of its own |  header: ("class A:",)
        def g(self):            long    divided again

So every node of some length starts anew, and an edit moves no boundary outside the nodes around it.
Where a run of short ones has to be cut, the place is chosen by what the lines say, never by how
many stand before them, so that boundaries behind an edit fall where they fell.

Lines end with a line feed, as rows do in tree-sitter; a lone carriage return ends none.
"""

from __future__ import annotations

import itertools
import re
import zlib
from typing import NamedTuple

import tree_sitter

from retrieval.scopes import Scope, entered

MAX_NUM_LINES = 20
_MEDIUM = 8  # filled lines that make a window; fewer are packed with their neighbours
_SHORT = 6  # fewer filled lines than this stay alone only where no neighbour has room for them
_MIN_CUT = 10  # lines to the nearest place where a run may be cut
_MAX_DEPTH = 64  # operators chained over thousands of lines nest as deep as they are long

_LEADING = frozenset(
    {"comment", "line_comment", "block_comment", "decorator", "attribute_item", "access_specifier"}
)
_CLOSER = re.compile(r"[)\]}]|end\b")

Shape = tuple[object, ...]


class Window(NamedTuple):
    """The lines ``[start, end)``, and the lines that open what encloses them, outermost first."""

    start: int
    end: int
    header: tuple[str, ...]


class Division(NamedTuple):
    """The windows of a region that began at ``start``."""

    start: int
    windows: list[Window]


class _Region(NamedTuple):
    """Lines ``[start, end)`` to be divided, along the children of ``node`` if there is one."""

    start: int
    end: int
    node: tree_sitter.Node | None
    scopes: tuple[Scope, ...]
    depth: int

    def header_at(self, line: int) -> tuple[str, ...]:
        """Return the header of a window that begins at ``line``."""
        return tuple(text for opened, text in self.scopes if opened < line)


class _Item(NamedTuple):
    """Lines ``[start, end)`` that stay together while they fit; ``node`` is what divides them."""

    start: int
    end: int
    node: tree_sitter.Node | None


class Divider:
    """Divides the lines of one text, with what is ``known`` of another version of it.

    ``used`` are the divisions it looked up or made, by all that they depend on.
    """

    def __init__(self, lines: list[str], known: dict[Shape, Division]) -> None:
        self._lines = lines
        self._known = known
        self.used: dict[Shape, Division] = {}

    def windows(self, root: tree_sitter.Node | None) -> list[Window]:
        """Return windows that together are all lines, in order; without a tree for ``None``."""
        region = _Region(0, len(self._lines), root, (), 0)
        return self._packed(region, self._items(region))

    def _divided(self, region: _Region) -> list[Window]:
        """Return the windows of a region longer than one."""
        if region.node is not None and region.node.has_error:
            # What a fault makes of a node depends on more than the node.
            return self._packed(region, self._items(region))
        shape = self._shape(region)
        known = self._known.get(shape)
        if known is None:
            windows = self._packed(region, self._items(region))
        elif known.start == region.start:
            windows = known.windows
        else:
            shift = region.start - known.start
            windows = [Window(a + shift, b + shift, header) for a, b, header in known.windows]
        self.used[shape] = Division(region.start, windows)
        return windows

    def _shape(self, region: _Region) -> Shape:
        """Return all that the windows of ``region`` depend on, but for where it begins."""
        origin = region.start
        text = "\n".join(self._lines[origin : region.end])
        scopes = tuple((max(line - origin, -1), header) for line, header in region.scopes)
        if region.node is None:
            return text, scopes, region.depth
        (first, left), (last, right) = region.node.start_point, region.node.end_point
        extent = (first - origin, left, last - origin, right)
        return text, scopes, region.depth, region.node.type, extent

    def _items(self, region: _Region) -> list[_Item]:
        if region.node is None or region.depth > _MAX_DEPTH:
            return self._paragraphs(region)
        return self._children(region, region.node)

    def _children(self, region: _Region, node: tree_sitter.Node) -> list[_Item]:
        """Return the lines of ``region`` as they fall to the children of its node.

        A line belongs to the child that begins on it first, and lines on which none begins to the
        one before. Comments and the like are kept with what they lead to, where that fits.
        """
        starts = [region.start]
        nodes: list[tree_sitter.Node | None] = [None]
        last = max(region.start, node.start_point.row)
        led_to = -1
        for child in node.named_children:
            line, column = child.start_point
            if line >= region.end:
                break
            if line > last:
                is_leading = child.type in _LEADING
                text = self._lines[line]
                if is_blank(text) or (is_leading and text[:column].strip()):
                    continue
                if line != led_to or not _fits(child, starts[-1], is_leading):
                    starts.append(line)
                    nodes.append(None)
                last, led_to = line, _end_line(child) if is_leading else -1
            nodes[-1] = child
        return [_Item(*item) for item in zip(starts, [*starts[1:], region.end], nodes, strict=True)]

    def _paragraphs(self, region: _Region) -> list[_Item]:
        """Return ``region`` cut by blank lines and margins, or into lines where it has neither."""
        lines = self._lines[region.start : region.end]
        bodies = [line.lstrip() for line in lines]
        indents = [
            len(line) - len(body) if body else None
            for line, body in zip(lines, bodies, strict=True)
        ]
        margin = min((indent for indent in indents if indent is not None), default=0)
        starts = [0]
        for at, (above, indent) in enumerate(itertools.pairwise(indents), 1):
            if indent is None or (above is not None and not indent <= margin < above):
                continue
            if above is None or not _CLOSER.match(bodies[at]):
                starts.append(at)
        if len(starts) == 1 or region.depth > _MAX_DEPTH:
            starts = [0, *(at for at, body in enumerate(bodies) if at and body)]
        return [
            _Item(region.start + start, region.start + end, None)
            for start, end in itertools.pairwise((*starts, len(lines)))
        ]

    def _packed(self, region: _Region, items: list[_Item]) -> list[Window]:
        """Return windows of ``items``: the long ones divided, runs of short ones put together."""
        windows: list[Window] = []
        run: list[int] = []
        for item in items:
            if self._num_filled(item.start, item.end) < _MEDIUM:
                run.append(item.start)
                continue
            start = item.start
            if run:
                start = self._put_run(region, run, item, windows)
                run = []
            if self._num_filled(start, item.end) <= MAX_NUM_LINES:
                windows.append(Window(start, item.end, region.header_at(start)))
            else:
                windows += self._divided(self._inner(region, item, start))
        if run:
            self._put_run(region, run, None, windows)
        return windows

    def _inner(self, region: _Region, item: _Item, start: int) -> _Region:
        scopes = region.scopes
        if item.node is not None:
            scopes = entered(scopes, item.node, self._lines)
        return _Region(start, item.end, item.node, scopes, region.depth + 1)

    def _put_run(
        self, region: _Region, run: list[int], item: _Item | None, windows: list[Window]
    ) -> int:
        """Add the windows of a run to ``windows``; return where those of ``item`` are to begin.

        A short rest goes to ``item``, the one behind the run, if one window has room for both, or
        else to the window before, if that has. What opens the region goes to ``item`` even so, and
        they are divided together.
        """
        end = item.start if item else region.end
        *spans, (start, _) = self._cut(run, end)
        windows += [Window(*span, region.header_at(span[0])) for span in spans]
        if self._num_filled(start, end) < _SHORT:
            if item and self._num_filled(start, item.end) <= MAX_NUM_LINES:
                return start
            if windows and self._num_filled(windows[-1].start, end) <= MAX_NUM_LINES:
                windows[-1] = windows[-1]._replace(end=end)
                return end
            if item and start == region.start:
                return start
        windows.append(Window(start, end, region.header_at(start)))
        return end

    def _cut(self, starts: list[int], end: int) -> list[tuple[int, int]]:
        """Return the spans into which a run of short items is cut."""
        spans: list[tuple[int, int]] = []
        filled_end = starts[0] + self._num_filled(starts[0], end)
        at = 0
        while filled_end - starts[at] > MAX_NUM_LINES:
            cut = self._best_cut(starts, at, filled_end)
            spans.append((starts[at], starts[cut]))
            at = cut
        return [*spans, (starts[at], end)]

    def _best_cut(self, starts: list[int], at: int, end: int) -> int:
        """Return which of ``starts`` begins the next window, when one begins at ``starts[at]``."""
        start = starts[at]
        fitting = list(
            itertools.takewhile(
                lambda cut: self._num_filled(start, starts[cut]) <= MAX_NUM_LINES,
                range(at + 1, len(starts)),
            )
        )
        far = [cut for cut in fitting if starts[cut] - start >= _MIN_CUT]
        roomy = [cut for cut in far if end - starts[cut] >= _SHORT]
        candidates = roomy or far or fitting[-1:]
        return min(candidates, key=lambda cut: self._rank(starts[cut]))

    def _rank(self, line: int) -> tuple[bool, int, int]:
        """Return how well a window begins at ``line``, best first; by what it says among equals."""
        text = self._lines[line]
        is_joined = not is_blank(self._lines[line - 1])
        return is_joined, _indentation(text), zlib.crc32(text.encode("utf-8", "surrogatepass"))

    def _num_filled(self, start: int, end: int) -> int:
        """Return the number of lines without the blank ones at the end."""
        lines = self._lines
        while end > start and is_blank(lines[end - 1]):
            end -= 1
        return end - start


def _fits(child: tree_sitter.Node, start: int, is_leading: bool) -> bool:
    """Whether ``child`` can stay with what leads to it, which begins on the line ``start``."""
    end = _end_line(child)
    is_long = end - child.start_point.row > MAX_NUM_LINES
    return end - start <= MAX_NUM_LINES or (is_long and not is_leading)


def _end_line(node: tree_sitter.Node) -> int:
    line, column = node.end_point
    return line + (column > 0)


def is_blank(line: str) -> bool:
    """Whether nothing but white space is in ``line``."""
    return not line or line.isspace()


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())
