"""A plot with powers of ten on both axes, as SVG: for figures that differ a million times."""
import math

from plot import escape

WIDTH, HEIGHT = 820, 460
LEFT, RIGHT, TOP, BOTTOM = 84, 230, 44, 60
COLOURS = ["#2f81f7", "#d1570b", "#2da44e", "#bf3989", "#8250df", "#9a6700", "#57606a", "#cf222e",
           "#1b7c83"]
STYLE = """
  svg { background: #ffffff; font: 13px system-ui, sans-serif }
  text { fill: #24292f } .axis { stroke: #57606a; fill: none }
  .grid { stroke: #d0d7de; stroke-width: .6 } .title { font-size: 15px; font-weight: 600 }
  .line { fill: none; stroke-width: 2 } .dashed { stroke-dasharray: 5 4 }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117 } text { fill: #e6edf3 } .axis { stroke: #8b949e }
    .grid { stroke: #30363d }
  }
"""


def power_label(exponent, unit_names):
    """10 us for 10,000 ns: the largest unit that leaves a number from 1 to 999."""
    step = min(max(exponent // 3, 0), len(unit_names) - 1)
    return f"{10 ** (exponent - 3 * step)}{unit_names[step]}"


class Axis:
    """From one power of ten to another, mapped to a distance."""

    def __init__(self, values, begin, end, units):
        self.low = math.floor(math.log10(min(values)) + 1e-9)
        self.high = max(math.ceil(math.log10(max(values)) - 1e-9), self.low + 1)
        self.begin, self.end, self.units = begin, end, units

    def at(self, value):
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def marks(self):
        for exponent in range(self.low, self.high + 1):
            yield self.at(10 ** exponent), power_label(exponent, self.units)


def draw_axes(x_axis, y_axis, x_label, y_label):
    for y, label in y_axis.marks():
        yield (f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
               f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    for x, label in x_axis.marks():
        yield (f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{HEIGHT - BOTTOM}" '
               f'y2="{HEIGHT - BOTTOM + 5}"/><text x="{x:.1f}" y="{HEIGHT - BOTTOM + 20}" '
               f'text-anchor="middle">{label}</text>')
    yield f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>'
    yield (f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">'
           f'{escape(x_label)}</text>')
    yield (f'<text transform="translate(18 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" '
           f'text-anchor="middle">{escape(y_label)}</text>')


def draw_series(number, name, line, is_ours, x_axis, y_axis):
    """A line with its points, and its name on the right. What was not measured here is dashed."""
    colour = COLOURS[number % len(COLOURS)]
    places = [(x_axis.at(x), y_axis.at(y)) for x, y in line]
    path = " ".join(f"{'ML'[i > 0]}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(places))
    kind = "line" if is_ours else "line dashed"
    yield f'<path class="{kind}" stroke="{colour}" d="{path}"/>'
    for x, y in places:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="{colour}"/>'
    y = TOP + 12 + number * 22
    yield (f'<path class="{kind}" stroke="{colour}" d="M{WIDTH - RIGHT + 16} {y - 4}h26"/>'
           f'<text x="{WIDTH - RIGHT + 50}" y="{y}">{escape(name)}</text>')


def log_plot(title, x_label, y_label, series, y_units):
    """series: [(name, is measured here, [(x, y)])]. y_units: what stands behind 1, 10 or 100 in
    steps of a thousand. Returns the SVG text."""
    points = [point for _, _, line in series for point in line]
    x_axis = Axis([x for x, _ in points], LEFT, WIDTH - RIGHT, ["", ",000", " M"])
    y_axis = Axis([y for _, y in points], HEIGHT - BOTTOM, TOP, y_units)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
           f'aria-label="{escape(title)}"><style>{STYLE}</style>',
           f'<text class="title" x="{LEFT}" y="22">{escape(title)}</text>']
    out += draw_axes(x_axis, y_axis, x_label, y_label)
    for number, (name, is_ours, line) in enumerate(series):
        out += draw_series(number, name, line, is_ours, x_axis, y_axis)
    return "\n".join([*out, "</svg>"]) + "\n"
