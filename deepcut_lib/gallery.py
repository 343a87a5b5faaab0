"""A folder's results as one page to look through: plain HTML, no script from elsewhere."""

from collections.abc import Sequence
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
figure img { display: block; width: 100%; height: 14rem; object-fit: contain; background: #0002; }
.mask img.overlay, .mask img.labels, .labels img.overlay, .labels img.mask,
.overlay img.mask, .overlay img.labels { display: none; }
figcaption { padding: .5rem .75rem; }
table { border-collapse: collapse; } td, th { padding: .15rem .75rem .15rem 0; text-align: left; }
.failed { border: 1px solid #d55e00; border-radius: .5rem; padding: .5rem 1rem; }
"""

_SCRIPT = """
const main = document.querySelector('main');
document.querySelectorAll('[name=view]').forEach(b => b.onchange = () => main.className = b.value);
document.querySelector('[name=order]').onchange = e => [...main.children]
  .sort((a, b) => e.target.value === 'name' ? a.id.localeCompare(b.id)
    : (a.dataset.score || 9) - (b.dataset.score || 9)).forEach(f => main.append(f));
"""


def gallery_page(title: str, summary: str, rows: Sequence[dict[str, Any]], failures: dict[str, str]) -> str:
    """Write the page.

    Args:
        title: heading, also of the browser's tab.
        summary: a sentence on all pictures: backbone, settings, mean score.
        rows: for each picture `name`, `caption`, `score` (or None) and the file names `overlay`, `mask` and
            `labels`, relative to the page.
        failures: messages by picture.
    """
    figures = "\n".join(_figure(row) for row in rows)
    views = "".join(
        f'<label><input type="radio" name="view" value="{kind}"{" checked" if kind == "overlay" else ""}> '
        f"{text}</label>"
        for kind, text in (("overlay", "foreground"), ("labels", "clusters"), ("mask", "mask"))
    )
    problems = "".join(f"<li>{escape(message)}</li>" for message in failures.values())
    failed = f'<section class="failed"><h2>Not done</h2><ul>{problems}</ul></section>' if failures else ""
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(title)}</title><style>{_STYLE}</style></head>
<body>
<h1>{escape(title)}</h1>
<p>{escape(summary)}</p>
<nav>{views}<label>order by
<select name="order"><option>name</option><option>score</option></select></label></nav>
{failed}
<main class="overlay">
{figures}
</main>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _figure(row: dict[str, Any]) -> str:
    name = escape(row["name"])
    images = "".join(
        f'<img class="{kind}" src="{quote(row[kind])}" alt="{text} of {name}" loading="lazy">'
        for kind, text in (("overlay", "foreground"), ("labels", "clusters"), ("mask", "mask"))
    )
    score = "" if row["score"] is None else f' data-score="{row["score"]:.4f}"'
    caption = f"<figcaption><b>{name}</b><br>{escape(row['caption'])}</figcaption>"
    return f'<figure id="{name}"{score}>{images}{caption}</figure>'
