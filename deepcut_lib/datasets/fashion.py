"""Fashion Product Images: the five classes that the paper clusters."""

from pathlib import Path

from deepcut_lib.datasets.dataset import DataSet, Sample, read_text

CLASSES = ("Topwear", "Shoes", "Bags", "Eyewear", "Belts")
"""The paper's classes: values of the column ``subCategory``."""


def fashion(folder: Path) -> DataSet:
    """The pictures of the five classes, in the order of ``styles.csv``; the few missing are left out.

    Args:
        folder: what holds ``styles.csv`` and ``images``.

    Raises:
        ValueError: the table has no such columns.
    """
    lines = read_text(folder / "styles.csv").splitlines()
    header = lines[0].split(",") if lines else []
    if not {"id", "subCategory"} <= set(header):
        raise ValueError(f"{folder / 'styles.csv'}: has no columns id and subCategory; download it again")
    # The last column has commas of its own without quotes: what we need stands before it
    id_, class_ = header.index("id"), header.index("subCategory")
    rows = [line.split(",") for line in lines[1:]]
    there = {path.name for path in (folder / "images").iterdir()}
    labels = {
        row[id_]: row[class_]
        for row in rows
        if len(row) > class_ and row[class_] in CLASSES and f"{row[id_]}.jpg" in there
    }

    def read(name: str) -> Sample:
        return Sample(name, folder / "images" / f"{name}.jpg", label=labels[name])

    return DataSet(list(labels), read)
