"""A drawing of series on logarithmic axes, as SVG written by hand: it follows the reader's light or dark mode."""
import math
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 440, 300
LEFT, RIGHT, TOP, BOTTOM = 66, 30, 40, 84
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600 }
  .axis { stroke: #57606a }
  .grid { stroke: #d0d7de; stroke-width: 0.5 }
  .line { fill: none; stroke-width: 2 }
  .a { stroke: #0969da } .a.dot { fill: #0969da }
  .b { stroke: #bc4c00 } .b.dot { fill: #bc4c00 }
  .dash { stroke-dasharray: 6 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .axis { stroke: #8b949e }
    .grid { stroke: #30363d }
    .a { stroke: #58a6ff } .a.dot { fill: #58a6ff }
    .b { stroke: #f0883e } .b.dot { fill: #f0883e }
  }
"""
CLASSES = ["a", "b"]


@dataclass
class Series:
    name: str
    points: list


@dataclass
class Panel:
    title: str
    across: str
    up: str
    series: list


class Axis:
    """From decade to decade, or to the next 2 or 5, and where a value lies on the drawing."""

    def __init__(self, values, begin, end):
        low, high = min(values), max(values)
        steps = [base * 10.0**power for power in range(-4, 9) for base in (1, 2, 5)]
        self.low = max(step for step in steps if step <= low * 1.0001)
        self.high = max(min(step for step in steps if step >= high * 0.9999), self.low * 10)
        self.begin, self.end = begin, end
        within = [step for step in steps if self.low <= step <= self.high * 1.0001]
        wide = self.high / self.low > 200
        self.ticks = [step for step in within if not wide or math.isclose(math.log10(step), round(math.log10(step)), abs_tol=1e-6)]

    def at(self, value):
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.begin + share * (self.end - self.begin)


def draw_panel(panel, left):
    points = [point for series in panel.series for point in series.points]
    x = Axis([point[0] for point in points], left + LEFT, left + WIDTH - RIGHT)
    y = Axis([point[1] for point in points], HEIGHT - BOTTOM, TOP)
    out = [f'<text class="title" x="{x.begin}" y="20">{escape(panel.title)}</text>']
    for tick in y.ticks:
        out.append(f'<line class="grid" x1="{x.begin}" x2="{x.end}" y1="{y.at(tick):.1f}" y2="{y.at(tick):.1f}"/>')
        out.append(f'<text x="{x.begin - 6}" y="{y.at(tick) + 4:.1f}" text-anchor="end">{tick:,.10g}</text>')
    for tick in x.ticks:
        out.append(f'<line class="axis" x1="{x.at(tick):.1f}" x2="{x.at(tick):.1f}" y1="{y.begin}" y2="{y.begin + 4}"/>')
        out.append(f'<text x="{x.at(tick):.1f}" y="{y.begin + 18}" text-anchor="middle">{tick:,.10g}</text>')
    out.append(f'<path class="axis" fill="none" d="M{x.begin} {y.end}V{y.begin}H{x.end}"/>')
    out.append(f'<text x="{(x.begin + x.end) / 2}" y="{y.begin + 36}" text-anchor="middle">{escape(panel.across)}</text>')
    middle = (y.begin + y.end) / 2
    out.append(f'<text x="{left + 14}" y="{middle}" text-anchor="middle" transform="rotate(-90 {left + 14} {middle})">{escape(panel.up)}</text>')
    for index, series in enumerate(panel.series):
        kind = CLASSES[index]
        dash = " dash" if index else ""
        places = [(x.at(across), y.at(up)) for across, up in series.points]
        path = "M" + "L".join(f"{across:.1f} {up:.1f}" for across, up in places)
        out.append(f'<path class="line {kind}{dash}" d="{path}"/>')
        out += [f'<circle class="dot {kind}" cx="{across:.1f}" cy="{up:.1f}" r="3"/>' for across, up in places]
        key = x.begin + index * 170
        out.append(f'<line class="line {kind}{dash}" x1="{key}" x2="{key + 24}" y1="{HEIGHT - 18}" y2="{HEIGHT - 18}"/>')
        out.append(f'<text x="{key + 30}" y="{HEIGHT - 14}">{escape(series.name)}</text>')
    return out


def svg(panels):
    width = WIDTH * len(panels)
    title = "; ".join(panel.title for panel in panels)
    body = [line for index, panel in enumerate(panels) for line in draw_panel(panel, index * WIDTH)]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        *body,
        "</svg>",
        "",
    ])
