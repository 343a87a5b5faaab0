"""The benchmark sets and the small set in ``data/``: opened, checked and downloaded by name."""

from deepcut_lib.datasets.dataset import DataSet, KeyPoint, Sample
from deepcut_lib.datasets.sources import (
    SAMPLE,
    SOURCES,
    DataSetError,
    check,
    download,
    open_dataset,
    remedy,
)
from deepcut_lib.downloads import DownloadError

__all__ = [
    "SAMPLE",
    "SOURCES",
    "DataSet",
    "DataSetError",
    "DownloadError",
    "KeyPoint",
    "Sample",
    "check",
    "download",
    "open_dataset",
    "remedy",
]
