"""The loss of a training as a picture: SVG, a line a stage, the held-out losses as dots."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from orca_guard_tuning.trainer import Told

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 720, 320, 56, 44, 34, 16
_COLOURS = ("#0b6e99", "#b4540a", "#2f7d32", "#7b3fa0")
_POINTS = 400
"""A stage of more steps is drawn as means over as many stretches."""


def loss_plot(log: Sequence[Told], stages: Sequence[str]) -> str:
    """The picture.

    Args:
        log: of all stages, in order.
        stages: their names.
    """
    steps = [told for told in log if not told.held_out]
    top = max((told.loss for told in log), default=1.0) * 1.05 or 1.0
    frame = _Frame(steps=max(1, len(steps)), top=top)
    body = [*_axes(frame), *_lines(steps, stages, frame), *_dots(log, frame)]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        'font-family="sans-serif" font-size="12"><title>Loss per answer token, in nats</title>'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>'
    )
    return "\n".join((head, *body, "</svg>")) + "\n"


class _Frame:
    """Where a step and a loss lie in the picture."""

    def __init__(self, *, steps: int, top: float) -> None:
        self.steps = steps
        self.top = top

    def x(self, step: float) -> float:
        return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * step / self.steps, 1)

    def y(self, loss: float) -> float:
        return round(_TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - loss / self.top), 1)


def _axes(frame: _Frame) -> Iterator[str]:
    for loss in _ticks(frame.top):
        y = frame.y(loss)
        yield f'<path d="M{_LEFT} {y}H{_WIDTH - _RIGHT}" stroke="#ddd"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{loss:g}</text>'
    for step in _ticks(frame.steps):
        yield f'<text x="{frame.x(step)}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{step:g}</text>'
    yield f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 8}" text-anchor="end">step</text>'
    yield f'<text x="{_LEFT}" y="{_TOP - 18}">loss per answer token, nats</text>'


def _ticks(top: float) -> list[float]:
    """About five round numbers from 0 to `top`."""
    rough = top / 5
    scale: float = 10.0 ** math.floor(math.log10(rough))
    size = next(scale * unit for unit in (1, 2, 5, 10) if scale * unit >= rough)
    return [round(size * n, 10) for n in range(int(top / size) + 1)]


def _lines(steps: Sequence[Told], stages: Sequence[str], frame: _Frame) -> Iterator[str]:
    at = 0
    for number, name in enumerate(stages):
        mine = [told.loss for told in steps if told.place.stage == number]
        colour = _COLOURS[number % len(_COLOURS)]
        if mine:
            points = " ".join(f"{frame.x(at + x)},{frame.y(loss)}" for x, loss in _thinned(mine))
            yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
            yield f'<text x="{frame.x(at) + 4}" y="{_TOP - 4}" fill="{colour}">{escape(name)}</text>'
        at += len(mine)
        if 0 < at < frame.steps:
            yield f'<path d="M{frame.x(at)} {_TOP}V{_HEIGHT - _BOTTOM}" stroke="#999" stroke-dasharray="3 3"/>'


def _thinned(losses: Sequence[float]) -> Iterator[tuple[float, float]]:
    width = max(1, -(-len(losses) // _POINTS))
    for start in range(0, len(losses), width):
        part = losses[start : start + width]
        yield start + len(part) / 2, sum(part) / len(part)


def _dots(log: Sequence[Told], frame: _Frame) -> Iterator[str]:
    at = 0
    for told in log:
        if told.held_out:
            x, y = frame.x(at), frame.y(told.loss)
            yield f'<circle cx="{x}" cy="{y}" r="4" fill="#111"><title>held out</title></circle>'
        else:
            at += 1
