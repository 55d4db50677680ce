"""The lineage of a run as a picture: stages in layers from the sources down, lines to those that read them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from alidade.pipeline import StageRun
from alidade.report.words import visible

WIDE, HIGH, GAP, RISE = 184, 46, 18, 40
_BEND = 10  # width of the place a long line takes up where it passes a layer
_SWEEPS = 8


@dataclass(frozen=True)
class Layout:
    """Where everything is: left edges of nodes and bends by layer, and the edges as chains through them."""

    layers: Sequence[Sequence[str]]
    left: Mapping[str, float]
    chains: Sequence[Sequence[str]]
    width: float


def depths(inputs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The layer of each stage: below all it reads; a source stands just above its first reader.

    `inputs` lists what each stage reads, in an order in which nothing comes before what it reads.
    """
    depth: dict[str, int] = {}
    for name, origins in inputs.items():
        depth[name] = max((depth[origin] + 1 for origin in origins), default=0)
    readers: dict[str, list[str]] = defaultdict(list)
    for name, origins in inputs.items():
        for origin in origins:
            readers[origin].append(name)
    for name, origins in inputs.items():
        if not origins and readers[name]:
            depth[name] = min(depth[reader] for reader in readers[name]) - 1
    return depth


def lay_out(inputs: Mapping[str, Sequence[str]]) -> Layout:
    """Stages in layers, ordered so that lines rarely cross, each near the middle of its neighbours."""
    depth = depths(inputs)
    chains, bends = [], dict(depth)
    for name, origins in inputs.items():
        for origin in dict.fromkeys(origins):
            between = [f"{origin}\0{name}\0{level}" for level in range(depth[origin] + 1, depth[name])]
            bends |= {bend: depth[origin] + 1 + place for place, bend in enumerate(between)}
            chains.append([origin, *between, name])
    count = max(bends.values(), default=-1) + 1
    layers = [[name for name, level in bends.items() if level == one] for one in range(count)]
    neighbours: dict[str, list[str]] = defaultdict(list)
    for chain in chains:
        for one, two in pairwise(chain):
            neighbours[one].append(two)
            neighbours[two].append(one)
    middle = _middles(layers, neighbours)
    first = min((middle[name] - _width(name) / 2 for name in middle), default=0.0)
    left = {name: middle[name] - _width(name) / 2 - first for name in middle}
    width = max((left[name] + _width(name) for name in left), default=0.0)
    return Layout(layers, left, chains, width)


def _width(name: str) -> float:
    return _BEND if "\0" in name else WIDE


def _middles(layers: list[list[str]], neighbours: Mapping[str, Sequence[str]]) -> dict[str, float]:
    middle: dict[str, float] = {}
    for layer in layers:
        _place(layer, dict.fromkeys(layer, 0.0), middle)
    for sweep in range(2 * _SWEEPS):
        for layer in layers if sweep % 2 else reversed(layers):
            wanted = {name: _wish(name, neighbours.get(name, ()), middle) for name in layer}
            layer.sort(key=lambda name: wanted[name])
            _place(layer, wanted, middle)
    return middle


def _wish(name: str, neighbours: Sequence[str], middle: Mapping[str, float]) -> float:
    """The mean place of a node's neighbours; bends pull each other harder, so that long lines run straight."""
    weights = [_pull(name) * _pull(one) for one in neighbours]
    places = [middle[one] * weight for one, weight in zip(neighbours, weights, strict=True)]
    return sum(places) / sum(weights) if weights else middle[name]


def _pull(name: str) -> float:
    return 3.0 if "\0" in name else 1.0


def _place(layer: Sequence[str], wanted: Mapping[str, float], middle: dict[str, float]) -> None:
    """Give each node of a layer the nearest place to the wanted one that keeps the order and the gaps.

    Neighbours that want to overlap become a block around the mean of their wishes (pool adjacent violators).
    """
    offsets, at = [], 0.0
    for left, name in zip([None, *layer], layer, strict=False):
        at += (_width(left) / 2 + GAP + _width(name) / 2) if left is not None else 0.0
        offsets.append(at)
    blocks: list[tuple[float, float, int]] = []
    for name, offset in zip(layer, offsets, strict=True):
        mean, weight, size = wanted[name] - offset, _pull(name), 1
        while blocks and blocks[-1][0] > mean:
            before, pull, count = blocks.pop()
            mean = (mean * weight + before * pull) / (weight + pull)
            weight, size = weight + pull, size + count
        blocks.append((mean, weight, size))
    starts = [mean for mean, _, size in blocks for _ in range(size)]
    for name, offset, start in zip(layer, offsets, starts, strict=True):
        middle[name] = start + offset


def lineage(stages: Sequence[StageRun]) -> Markup:
    """Every stage of a run with the kind and digest of what it made."""
    known = {stage.name for stage in stages}
    inputs = {stage.name: [origin for origin in stage.inputs.values() if origin in known] for stage in stages}
    plan = lay_out(inputs)
    tops = {name: level * (HIGH + RISE) for level, layer in enumerate(plan.layers) for name in layer}
    lines = Markup("").join(_line(chain, plan, tops) for chain in plan.chains)
    nodes = Markup("").join(_node(stage, plan.left[stage.name], tops[stage.name]) for stage in stages)
    height = len(plan.layers) * (HIGH + RISE) - RISE
    return Markup(
        '<svg class="lineage" style="width:{0:.0f}px" viewBox="-2 -2 {1:.0f} {2:.0f}" role="img" '
        'aria-label="Lineage: which stage made what from what">{3}{4}</svg>'
    ).format(plan.width + 4, plan.width + 4, height + 4, lines, nodes)


def _line(chain: Sequence[str], plan: Layout, tops: Mapping[str, float]) -> Markup:
    x = [plan.left[name] + _width(name) / 2 for name in chain]
    path = f"M{x[0]:.1f} {tops[chain[0]] + HIGH:.1f}"
    for place in range(1, len(chain)):
        start, end = tops[chain[place - 1]] + HIGH, tops[chain[place]]
        path += f"C{x[place - 1]:.1f} {start + RISE * 0.6:.1f} {x[place]:.1f} {end - RISE * 0.6:.1f}"
        path += f" {x[place]:.1f} {end:.1f}"
        if place < len(chain) - 1:
            path += f"V{end + HIGH:.1f}"
    return Markup('<path class="edge" d="{}"/>').format(path)


def _node(stage: StageRun, left: float, top: float) -> Markup:
    kind = "node model" if stage.kind in ("model", "reward-model") else "node"
    return Markup(
        '<g class="{}"><title>{}</title><rect x="{:.1f}" y="{:.1f}" width="{}" height="{}" rx="4"/>'
        '<text class="name" x="{:.1f}" y="{:.1f}">{}</text><text class="tick" x="{:.1f}" y="{:.1f}">{} {}</text></g>'
    ).format(
        kind,
        visible(f"{stage.name}: {stage.use}, {stage.kind} {stage.digest}"),
        left,
        top,
        WIDE,
        HIGH,
        left + 10,
        top + 19,
        _fitting(visible(stage.name), 20),
        left + 10,
        top + 36,
        _fitting(stage.kind, 14),
        stage.digest[:8],
    )


def _fitting(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}\u2026"
