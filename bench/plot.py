"""Line plots as SVG, in plain Python. Readable on light and on dark paper: the colours follow the
reader's setting."""

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 84, 24, 52, 64
STYLE = """
  svg { background: #ffffff; font: 13px system-ui, sans-serif }
  text { fill: #24292f } .axis { stroke: #57606a } .grid { stroke: #d0d7de; stroke-width: .6 }
  .a { stroke: #0969da; fill: #0969da } .b { stroke: #bc4c00; fill: #bc4c00 }
  path { fill: none !important; stroke-width: 2 } .title { font-size: 15px; font-weight: 600 }
  .band { stroke-width: 1.2; opacity: .55 } text.a, text.b { stroke: none }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117 } text { fill: #e6edf3 } .axis { stroke: #8b949e }
    .grid { stroke: #30363d } .a { stroke: #58a6ff; fill: #58a6ff }
    .b { stroke: #ffa657; fill: #ffa657 }
  }
"""


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def short(value):
    """1500000 -> 1.5 M"""
    for limit, unit in ((1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def nice_step(largest, count=5):
    """1, 2 or 5 times a power of ten, so that about count steps reach the largest value."""
    rough = max(largest, 1e-9) / count
    power = 10 ** len(str(int(rough))) / 10 if rough >= 1 else 1
    return next(power * f for f in (1, 2, 5, 10) if power * f >= rough)


def line_plot(title, x_label, y_label, series, x_positions=None):
    """series: {name: [(x, median, lowest, highest)]}. x_positions: the x values that get equal
    distances (for 1, 10, 100 …); None: a linear axis. Returns the SVG text."""
    points = [point for line in series.values() for point in line]
    top_step = nice_step(max(point[3] for point in points))
    top = top_step * -(-max(point[3] for point in points) // top_step)
    right = max(point[0] for point in points) or 1

    def at_x(x):
        share = x_positions.index(x) / max(len(x_positions) - 1, 1) if x_positions else x / right
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def at_y(y):
        return HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
           f'aria-label="{escape(title)}"><style>{STYLE}</style>',
           f'<text class="title" x="{LEFT}" y="22">{escape(title)}</text>']
    for i in range(int(top / top_step) + 1):
        y = at_y(i * top_step)
        out.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" '
                   f'y2="{y:.1f}"/>'
                   f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
                   f'{short(i * top_step)}</text>')
    step = nice_step(right)
    marks = x_positions or [i * step for i in range(int(right / step) + 1)]
    for x in marks:
        out.append(f'<line class="axis" x1="{at_x(x):.1f}" x2="{at_x(x):.1f}" '
                   f'y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM + 5}"/>'
                   f'<text x="{at_x(x):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">'
                   f'{short(x)}</text>')
    out.append(f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
    for (name, line), kind in zip(series.items(), "ab"):
        out += draw_line(name, line, kind, at_x, at_y)
    out += [f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">'
            f'{escape(x_label)}</text>',
            f'<text transform="translate(18 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" '
            f'text-anchor="middle">{escape(y_label)}</text>', "</svg>"]
    return "\n".join(out) + "\n"


def draw_line(name, line, kind, at_x, at_y):
    """The medians joined, a bar from the lowest to the highest run at each."""
    path = " ".join(f"{'ML'[i > 0]}{at_x(x):.1f} {at_y(middle):.1f}"
                    for i, (x, middle, _, _) in enumerate(line))
    yield f'<path class="{kind}" d="{path}"/>'
    for x, middle, low, high in line:
        yield (f'<line class="{kind} band" x1="{at_x(x):.1f}" x2="{at_x(x):.1f}" '
               f'y1="{at_y(low):.1f}" y2="{at_y(high):.1f}"/>'
               f'<circle class="{kind}" cx="{at_x(x):.1f}" cy="{at_y(middle):.1f}" r="3.5"/>')
    yield (f'<text class="{kind}" x="{LEFT + (0 if kind == "a" else 300)}" y="42">'
           f'● {escape(name)}</text>')
