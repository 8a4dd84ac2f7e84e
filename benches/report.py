"""The tables and the pictures of a comparison."""

import html
import re
import statistics
from dataclasses import dataclass

WIDTH = 800
COLOURS = ["#0969da", "#8c959f", "#bc4c00", "#8250df", "#1a7f37"]

STYLE = """
    text { font-family: system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif; font-size: 13px }
    text { fill: #1f2328 }
    .head { font-size: 15px; font-weight: 700 }
    .soft { font-size: 11.5px; fill: #59636e }
    .page { fill: #ffffff }
    .axis { stroke: #d0d7de }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .soft { fill: #9198a1 }
      .page { fill: #0d1117 }
      .axis { stroke: #3d444d }
    }
"""


@dataclass
class Result:
    """The figures of a row: for each proxy those of all rounds."""

    name: str
    figures: dict

    def middle(self, proxy):
        """Returns the median."""
        return statistics.median(self.figures[proxy])

    def ratio(self, proxy):
        """Returns the median of the ratios to nginx in each round, the smallest and the largest."""
        each = [ours / theirs for ours, theirs in zip(self.figures[proxy], self.figures["nginx"], strict=True)]
        return statistics.median(each), min(each), max(each)


def table(results):
    """Returns lines of Markdown: for each proxy the median and its ratio to nginx with the spread."""
    proxies = list(dict.fromkeys(proxy for result in results for proxy in result.figures))
    rows = [["", *proxies]]
    for result in results:
        rows.append([result.name, *(cell(result, proxy) for proxy in proxies)])
    rows.insert(1, ["---"] * len(rows[0]))
    return ["| " + " | ".join(row) + " |" for row in rows]


def cell(result, proxy):
    if proxy not in result.figures:
        return ""
    middle = result.middle(proxy)
    text = f"{middle:,.0f}" if middle >= 1000 else f"{middle:.3g}"
    if proxy == "nginx" or "nginx" not in result.figures:
        return text
    ratio, low, high = result.ratio(proxy)
    spread = f" ({low:.2f} to {high:.2f})" if len(result.figures[proxy]) > 1 else ""
    return f"{text}: {ratio:.2f}{spread}"


def write_page(file, text):
    """Replaces the measured part of a document."""
    page, count = re.subn(r"(<!-- measured -->\n).*(<!-- end of measured -->)",
                          lambda found: f"{found[1]}\n{text}\n\n{found[2]}", file.read_text(), flags=re.S)
    if count != 1:
        raise SystemExit(f"compare: {file} has no measured part")
    file.write_text(page)


def picture(file, title, height, parts):
    """Writes a picture, which is light or dark as the reader's system is."""
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    file.write_text(f'''<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title">
  <title id="title">{html.escape(title)}</title>
  <style>{STYLE}  </style>
  <rect class="page" width="{WIDTH}" height="{height}" rx="12"/>
  {chr(10).join("  " + part for part in parts).strip()}
</svg>
''')


def write(x, y, text, kind="", anchor="start"):
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{html.escape(str(text))}</text>'


def legend(proxies, y):
    """The colours of the proxies, in a line."""
    parts = []
    for number, proxy in enumerate(proxies):
        x = 24 + number * 150
        parts += [f'<rect x="{x}" y="{y - 10}" width="11" height="11" rx="2" fill="{COLOURS[number % len(COLOURS)]}"/>',
                  write(x + 17, y, proxy)]
    return parts


def bars(file, title, results):
    """Draws the ratios to nginx: for each row a bar for each proxy."""
    proxies = list(results[0].figures)
    longest = max(result.ratio(proxy)[0] for result in results for proxy in proxies)
    left, scale = 190, (WIDTH - 190 - 70) / longest
    parts = [write(24, 34, title, "head"), *legend(proxies, 60)]
    y = 86
    for result in results:
        parts.append(write(left - 12, y + 8 * len(proxies), result.name, anchor="end"))
        for number, proxy in enumerate(proxies):
            ratio = result.ratio(proxy)[0]
            colour = COLOURS[number % len(COLOURS)]
            parts += [f'<rect x="{left}" y="{y}" width="{ratio * scale:.1f}" height="11" rx="2" fill="{colour}"/>',
                      write(left + ratio * scale + 6, y + 10, f"{ratio:.2f}", "soft")]
            y += 14
        y += 12
    line = f'<line class="axis" x1="{left + scale:.1f}" x2="{left + scale:.1f}" y1="76" y2="{y - 6}"/>'
    picture(file, title, y + 12, [*parts, line])


def curves(file, charts):
    """Draws the growth of the CPU per request: charts side by side, each a title and {x: result}."""
    proxies = list(dict.fromkeys(proxy for _, results in charts for each in results.values() for proxy in each.figures))
    parts = legend(proxies, 34)
    width = (WIDTH - 24) / len(charts)
    for number, (title, results) in enumerate(charts):
        parts += chart(24 + number * width, width - 48, title, results, proxies)
    picture(file, " and ".join(title for title, _ in charts), 330, parts)


def chart(left, width, title, results, proxies):
    top, bottom = 96, 280
    highest = max(each.middle(proxy) for each in results.values() for proxy in each.figures)
    places = {value: left + 34 + at * (width - 50) / (len(results) - 1) for at, value in enumerate(results)}
    parts = [write(left, 70, title, "head")]
    for share in (0, 0.5, 1):
        y = bottom - share * (bottom - top)
        parts += [f'<line class="axis" x1="{left + 28:.0f}" x2="{left + width:.0f}" y1="{y:.0f}" y2="{y:.0f}"/>',
                  write(left + 22, y + 4, f"{share * highest:.0f}", "soft", "end")]
    parts += [write(x, bottom + 20, f"{value}", "soft", "middle") for value, x in places.items()]
    for number, proxy in enumerate(proxies):
        points = [f"{places[value]:.1f},{bottom - each.middle(proxy) / highest * (bottom - top):.1f}"
                  for value, each in results.items() if proxy in each.figures]
        if points:
            colour = COLOURS[number % len(COLOURS)]
            parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2"/>')
    return parts
