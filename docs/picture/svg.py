"""Draws a terminal's screen (text with SGR sequences on standard input) as SVG."""

import html
import re
import sys

COLORS = {"30": "#1c1c1c", "31": "#ff6b6b", "32": "#5fd787", "33": "#ffd75f",
          "34": "#5fafff", "35": "#d787ff", "36": "#5fd7d7", "37": "#e4e4e4"}
WIDTH, HEIGHT = 8.4, 18


def runs(line):
    """Pieces of a line: (column, text, color, bold, reversed)."""
    color, bold, inverse, column = "#d0d0d0", False, False, 0
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        match = re.fullmatch(r"\x1b\[([0-9;]*)m", piece)
        if not match:
            if piece:
                yield column, piece, color, bold, inverse
                column += len(piece)
            continue
        codes = re.sub(r"38;5;([0-7])(?![0-9])", r"3\1", match.group(1) or "0").split(";")
        for code in codes:
            if code in ("", "0"):
                color, bold, inverse = "#d0d0d0", False, False
            elif code == "1":
                bold = True
            elif code == "7":
                inverse = True
            elif code == "22":
                bold = False
            elif code == "27":
                inverse = False
            elif code == "39":
                color = "#d0d0d0"
            elif code in COLORS:
                color = COLORS[code]


def main():
    lines = sys.stdin.read().rstrip("\n").split("\n")
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
    width = max(len(line) for line in plain) * WIDTH + 24
    height = len(lines) * HEIGHT + 24
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
           f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14">',
           f'<rect width="100%" height="100%" rx="8" fill="#16181d"/>']
    for row, line in enumerate(lines):
        y = 12 + row * HEIGHT
        for column, text, color, bold, inverse in runs(line):
            x, w = 12 + column * WIDTH, len(text) * WIDTH
            fill = color
            if inverse:
                out.append(f'<rect x="{x:.1f}" y="{y}" width="{w:.1f}" height="{HEIGHT}" fill="{color}"/>')
                fill = "#16181d"
            if text.strip():
                weight = ' font-weight="bold"' if bold else ""
                out.append(f'<text x="{x:.1f}" y="{y + 13}" fill="{fill}"{weight} xml:space="preserve" '
                           f'textLength="{w:.1f}" lengthAdjust="spacingAndGlyphs">{html.escape(text)}</text>')
    out.append("</svg>")
    print("\n".join(out))


main()
