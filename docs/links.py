"""Checks folders of pages: links lead somewhere, nothing is loaded from the net, every picture has words.

python -m docs.links site slides
"""

import argparse
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """What a page refers to, what can be referred to in it, and its pictures without words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.wordless = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.names |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        loads = tag == "link" and values.get("rel") not in ("canonical", "search", "index", "next", "prev")
        if loads and "href" in values:
            self.loaded.append(values["href"])
        if tag in ("script", "img", "iframe", "video", "source", "audio") and "src" in values:
            self.loaded.append(values["src"])
        self.wordless += tag == "img" and not values.get("alt", "").strip()


def faults(folder: Path) -> Iterator[str]:
    """What is wrong with the pages of a folder, a line each; links into the net are not followed."""
    pages = {
        path.resolve(): _Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))
    }
    if not pages:
        yield f"{folder}: no pages"
    for path, page in pages.items():
        where = path.relative_to(folder.resolve())
        for link in dict.fromkeys(page.loaded):
            if urlsplit(link).scheme not in ("", "data") or link.startswith("//"):
                yield f"{where}: loads {link} from the net"
            elif not link.startswith("data:") and not _target(path, link).exists():
                yield f"{where}: loads {link}, which is missing"
        for link in dict.fromkeys(page.links):
            parts = urlsplit(link)
            if parts.scheme or link.startswith("//"):
                continue
            target = _target(path, link)
            if not target.exists():
                yield f"{where}: link to {link}, which is missing"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].names:
                yield f"{where}: link to {link}: no such place on that page"
        if page.wordless:
            yield f"{where}: {page.wordless} pictures without alternative text"


def _target(page: Path, link: str) -> Path:
    name = unquote(urlsplit(link).path)
    return (page.parent / name).resolve() if name else page


def main() -> None:
    """The command line: prints faults, and fails if there are any."""
    parser = argparse.ArgumentParser(prog="python -m docs.links", description="Check pages.")
    parser.add_argument("folders", nargs="+", type=Path)
    found = [fault for folder in parser.parse_args().folders for fault in faults(folder)]
    print("\n".join(found) or "All links lead somewhere, nothing is loaded from the net.")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
