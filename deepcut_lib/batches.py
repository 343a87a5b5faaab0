"""Pictures solved together: how many, and what becomes of those with which a batch fails."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from PIL import Image

from deepcut_lib.images import Size

Item = TypeVar("Item")
Made = TypeVar("Made")

TOGETHER = {"cpu": 3, "cuda": 64, "mps": 16}
"""The most pictures solved together, by the kind of device; more are no faster."""

PIXELS = 32_000_000
"""Pixels held decoded, 100 MB: they bound a worker's memory. A larger picture is alone."""


def by_size(
    loaded: Iterable[tuple[Item, Image.Image]], size: Size | str, most: int
) -> Iterator[list[tuple[Item, Image.Image]]]:
    """Batches of pictures that are fitted to one grid.

    Args:
        loaded: the pictures, each with what it is called; they are taken as batches are.
        size: what they are fitted to; with None, pictures of one size make a batch.
        most: pictures of a batch; and all that wait have at most `PIXELS`.
    """
    waiting: dict[Any, list[tuple[Item, Image.Image]]] = defaultdict(list)
    held: Counter[Any] = Counter()
    for item, picture in loaded:
        grid = picture.size if size is None else size
        pixels = picture.width * picture.height
        while waiting and held.total() + pixels > PIXELS:
            largest = held.most_common(1)[0][0]
            del held[largest]
            yield waiting.pop(largest)
        waiting[grid].append((item, picture))
        held[grid] += pixels
        if len(waiting[grid]) == most:
            del held[grid]
            yield waiting.pop(grid)
    yield from waiting.values()


def solved(
    work: Callable[[Sequence[Item]], Sequence[Made]], batch: Sequence[Item]
) -> Iterator[tuple[Item, Made | Exception]]:
    """What `work` makes of a batch; where it fails as a whole, each item shows by itself whether it does.

    Yields:
        Each item, and its result or what went wrong with it.
    """
    try:
        results = work(batch)
    except Exception as error:
        if len(batch) == 1:
            yield batch[0], error
            return
        for item in batch:
            yield from solved(work, [item])
        return
    yield from zip(batch, results, strict=True)
