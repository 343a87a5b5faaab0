"""Selective Search and EdgeBoxes, by OpenCV's contributed modules where those are installed."""

import importlib
from os import PathLike, fspath
from typing import Any

import numpy as np
from PIL import Image

from deepcut_lib.errors import DeepCutError
from deepcut_lib.metrics import Box


class OpenCVMissingError(DeepCutError, RuntimeError):
    """OpenCV's contributed modules, which both methods need, are not installed."""


def has_ximgproc() -> bool:
    """Whether OpenCV with its contributed modules is installed."""
    try:
        _ximgproc()
    except OpenCVMissingError:
        return False
    return True


def selective_search(picture: Image.Image) -> Box:
    """The first proposal of Selective Search (Uijlings et al., 2013), in its fast mode.

    OpenCV ranks proposals with random numbers that cannot be seeded: a second run differs.

    Returns:
        (x1, y1, x2, y2) in pixels, far edges exclusive; the whole picture if nothing was proposed.

    Raises:
        OpenCVMissingError: OpenCV is not installed, or lacks the module.
    """
    search = _ximgproc().segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(_bgr(picture))
    search.switchToSelectiveSearchFast()
    return _first(search.process(), picture)


def edge_boxes(picture: Image.Image, model: str | PathLike[str]) -> Box:
    """The best proposal of EdgeBoxes (Zitnick and Dollár, 2014), on structured edges.

    Args:
        picture: RGB.
        model: OpenCV's file of the edge detector (model.yml.gz of its extra test data).

    Returns:
        (x1, y1, x2, y2) in pixels, far edges exclusive; the whole picture if nothing was proposed.

    Raises:
        OpenCVMissingError: OpenCV is not installed, or lacks the module.
        ValueError: the model cannot be read.
    """
    ximgproc = _ximgproc()
    try:
        detector = ximgproc.createStructuredEdgeDetection(fspath(model))
    except Exception as error:  # OpenCV has one class of errors for everything, and only where it is there
        raise ValueError(
            f"{fspath(model)}: not a model of structured edges; give model.yml.gz of OpenCV's extra test data"
        ) from error
    edges = detector.detectEdges(np.asarray(picture, np.float32) / 255)
    directions = detector.computeOrientation(edges)
    proposer = ximgproc.createEdgeBoxes()
    proposer.setMaxBoxes(1)
    boxes, _ = proposer.getBoundingBoxes(detector.edgesNms(edges, directions), directions)
    return _first(boxes, picture)


def _ximgproc() -> Any:
    try:
        return importlib.import_module("cv2").ximgproc
    except (ImportError, AttributeError) as error:
        raise OpenCVMissingError(
            "OpenCV's contributed modules are not installed; install opencv-contrib-python-headless"
        ) from error


def _first(boxes: Any, picture: Image.Image) -> Box:
    if not len(boxes):
        return (0, 0, picture.width, picture.height)
    x, y, width, height = (int(number) for number in boxes[0])
    return (x, y, min(x + width, picture.width), min(y + height, picture.height))


def _bgr(picture: Image.Image) -> np.ndarray:
    return np.ascontiguousarray(np.asarray(picture)[:, :, ::-1])
