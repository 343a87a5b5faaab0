"""Results as one page to look through: plain HTML, no script from elsewhere."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 84rem; padding: 1.5rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; }
nav { margin: 1rem 0; display: flex; gap: .5rem 1.5rem; flex-wrap: wrap; align-items: center; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); gap: 1.25rem; }
figure { margin: 0; border: 1px solid var(--line); border-radius: .5rem; overflow: hidden;
  background: var(--soft); }
figure img { display: none; width: 100%; height: 14rem; object-fit: contain; background: #0002; }
.overlay img.overlay, .labels img.labels, .mask img.mask, .matte img.matte { display: block; }
figcaption { padding: .5rem .75rem; }
.thumbnails img { height: 6rem; margin: .2rem; border-radius: .3rem; }
.thumbnails { content-visibility: auto; contain-intrinsic-size: auto 60rem; }
.failed { border: 1px solid #d55e00; border-radius: .5rem; padding: .5rem 1rem; }
"""

_SCRIPT = """
const main = document.querySelector('main');
document.querySelectorAll('[name=view]').forEach(b => b.onchange = () => main.className = b.value);
document.querySelector('[name=order]').onchange = e => [...main.children]
  .sort((a, b) => e.target.value === 'name' ? a.id.localeCompare(b.id)
    : (a.dataset.score || 9) - (b.dataset.score || 9)).forEach(f => main.append(f));
"""


BLOCK = 120
"""Thumbnails of a block: a page of 10,000 pictures is laid out a block at a time."""

_VIEWS = {"overlay": "foreground", "labels": "clusters", "mask": "mask", "matte": "matte"}
"""Kinds of a picture's files, and what the page calls them; not every run makes all."""


def page(title: str, summary: str, content: str, failures: Iterable[str]) -> str:
    """Write a page.

    Args:
        title: heading, also of the browser's tab.
        summary: a sentence on all pictures: backbone, settings, mean score.
        content: what is below, from `gallery` or `groups`.
        failures: a message for each picture that was not done.
    """
    problems = "".join(f"<li>{escape(message)}</li>" for message in failures)
    failed = f'<section class="failed"><h2>Not done</h2><ul>{problems}</ul></section>' if problems else ""
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(title)}</title><style>{_STYLE}</style></head>
<body>
<h1>{escape(title)}</h1>
<p>{escape(summary)}</p>
{failed}
{content}
</body>
</html>
"""


def gallery(rows: Sequence[dict[str, Any]]) -> str:
    """A figure for each picture, to be seen in several ways and ordered by name or score.

    Args:
        rows: for each picture `name`, `caption`, `score` (or None) and the file names `overlay`, `mask` and
            `labels`, and `matte` if there is one, relative to the page.
    """
    views = "".join(
        f'<label><input type="radio" name="view" value="{kind}"{" checked" if kind == "overlay" else ""}> '
        f"{text}</label>"
        for kind, text in _VIEWS.items()
        if any(kind in row for row in rows)
    )
    figures = "\n".join(_figure(row) for row in rows)
    return f"""<nav>{views}<label>order by
<select name="order"><option>name</option><option>score</option></select></label></nav>
<main class="overlay">
{figures}
</main>
<script>{_SCRIPT}</script>"""


def groups(thumbnails: dict[str, dict[str, str]], notes: Sequence[str] = ()) -> str:
    """Small pictures under headings, in blocks that a browser lays out when they come into view.

    Args:
        thumbnails: by heading and name, each picture's file, relative to the page.
        notes: sentences above all.
    """
    links = " ".join(f'<a href="#group{i}">{escape(heading)}</a>' for i, heading in enumerate(thumbnails))
    said = "".join(f"<li>{escape(note)}</li>" for note in notes)
    parts = [f"<nav>{links}</nav>", f"<ul>{said}</ul>" if said else ""]
    for i, (heading, files) in enumerate(thumbnails.items()):
        parts.append(f'<h2 id="group{i}">{escape(heading)}</h2>')
        items = list(files.items())
        parts += [
            f'<p class="thumbnails">{_thumbnails(dict(items[start : start + BLOCK]))}</p>'
            for start in range(0, len(items), BLOCK)
        ]
    return "\n".join(parts)


def _figure(row: dict[str, Any]) -> str:
    name = escape(row["name"])
    images = "".join(
        f'<img class="{kind}" src="{quote(row[kind])}" alt="{text} of {name}" loading="lazy">'
        for kind, text in _VIEWS.items()
        if kind in row
    )
    score = "" if row["score"] is None else f' data-score="{row["score"]:.4f}"'
    caption = f"<figcaption><b>{name}</b><br>{escape(row['caption'])}</figcaption>"
    return f'<figure id="{name}"{score}>{images}{caption}</figure>'


def _thumbnails(files: dict[str, str]) -> str:
    return "".join(
        f'<img src="{quote(file)}" alt="{escape(name)}" title="{escape(name)}" loading="lazy">'
        for name, file in files.items()
    )
