"""Data sets of a few pictures in the true layout."""

import json
from pathlib import Path

import numpy as np
from PIL import Image


def picture(path: Path, size: tuple[int, int] = (48, 32), seed: int = 0) -> Path:
    """A noisy picture, (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).save(path)
    return path


def mask(path: Path, size: tuple[int, int] = (48, 32), light: int = 255) -> Path:
    """A light rectangle, a quarter of the picture, with a faint rim of 100."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((size[1], size[0]), np.uint8)
    values[size[1] // 4 - 1 : 3 * size[1] // 4 + 1, size[0] // 4 - 1 : 3 * size[0] // 4 + 1] = 100
    values[size[1] // 4 : 3 * size[1] // 4, size[0] // 4 : 3 * size[0] // 4] = light
    Image.fromarray(values).save(path)
    return path


def voc(root: Path, year: int = 2007) -> None:
    """Three pictures; the second has two objects, one of them difficult; the third only a truncated one."""
    home = root / "VOCdevkit" / f"VOC{year}"
    objects = {
        "000005": [(9, 5, 40, 30, 0, 0)],
        "000007": [(1, 1, 48, 32, 0, 0), (2, 3, 10, 12, 1, 0)],
        "000009": [(3, 3, 20, 20, 0, 1)],
    }
    (home / "ImageSets" / "Main").mkdir(parents=True)
    (home / "ImageSets" / "Main" / "trainval.txt").write_text("".join(f"{name}\n" for name in objects))
    (home / "Annotations").mkdir()
    for seed, (name, boxes) in enumerate(objects.items()):
        picture(home / "JPEGImages" / f"{name}.jpg", seed=seed)
        entries = "".join(
            f"<object><name>dog</name><truncated>{truncated}</truncated><difficult>{difficult}</difficult>"
            f"<bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>"
            "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
            "</object>"
            for x1, y1, x2, y2, difficult, truncated in boxes
        )
        (home / "Annotations" / f"{name}.xml").write_text(f"<annotation>{entries}</annotation>")


def coco(root: Path) -> None:
    """Two listed pictures of three; one with a crowd, one without any object."""
    home = root / "COCO"
    for number in (9, 25, 30):
        picture(home / "images" / "train2014" / f"COCO_train2014_{number:012}.jpg", seed=number)
    lines = [f"train2014/COCO_train2014_{number:012}.jpg\n" for number in (25, 9)]
    (home / "coco_20k_filenames.txt").write_text("".join(lines))
    (home / "annotations").mkdir()
    annotations = [
        {"segmentation": [[1, 2, 3]], "iscrowd": 0, "image_id": 25, "bbox": [3.4, 5.6, 10.2, 4.2], "id": 1},
        {"segmentation": {"counts": [1]}, "iscrowd": 1, "image_id": 25, "bbox": [0, 0, 48, 32], "id": 2},
        {"segmentation": [], "iscrowd": 0, "image_id": 30, "bbox": [0, 0, 4, 4], "id": 3},
    ]
    (home / "annotations" / "instances_train2014.json").write_text(
        json.dumps({"info": {}, "images": [{"id": 25}], "annotations": annotations, "categories": []})
    )


def cub(root: Path) -> None:
    """Three birds, two of them in the test split; and a stray picture that is in no list."""
    home = root / "CUB_200_2011"
    paths = ["001.Albatross/A_1.jpg", "001.Albatross/A_2.jpg", "002.Bunting/B_1.jpg"]
    for seed, path in enumerate(paths):
        picture(home / "images" / path, seed=seed)
        mask((root / "segmentations" / path).with_suffix(".png"), light=254)
    picture(home / "images" / "002.Bunting" / "B_1_rgb.jpg")
    (home / "parts").mkdir()
    tables = {
        "images.txt": [f"{i} {path}" for i, path in enumerate(paths, 1)],
        "train_test_split.txt": ["1 0", "2 1", "3 0"],
        "bounding_boxes.txt": ["1 12.0 8.0 24.0 16.0", "2 1.0 1.0 5.0 5.0", "3 12.0 8.0 24.0 16.0"],
        "parts/part_locs.txt": [
            f"{i} {part} {4.0 * part} {2.5 * part} {int(part not in (2, 15))}"
            for i in (1, 2, 3)
            for part in range(1, 16)
        ],
    }
    for name, lines in tables.items():
        (home / name).write_text("\n".join(lines) + "\n")


def masked(root: Path, folder: str, images: str = "images", masks: str = "masks", count: int = 3) -> None:
    """Pictures 0001.jpg … and masks of the same names."""
    for number in range(1, count + 1):
        picture(root / folder / images / f"{number:04}.jpg", seed=number)
        mask(root / folder / masks / f"{number:04}.png")


def fashion(root: Path, per_class: int = 2) -> None:
    """A table with commas where they do not belong, another class, and a picture that is missing."""
    home = root / "fashion"
    header = (
        "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"
    )
    lines = [header]
    number = 100
    for label in ("Topwear", "Shoes", "Bags", "Eyewear", "Belts", "Ties"):
        for _ in range(per_class):
            number += 1
            lines.append(
                f"{number},Men,Apparel,{label},Shirts,Blue,Fall,2011,Casual,A shirt, blue, of cotton"
            )
            picture(home / "images" / f"{number}.jpg", seed=number)
    lines.append("999,Men,Apparel,Bags,Bags,Blue,Fall,2011,Casual,Gone")
    lines.append("broken")
    (home / "styles.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def davis(root: Path, frames: int = 5) -> None:
    """Two clips of a light square that moves over dark noise, and a clip that is not in the list."""
    home = root / "DAVIS"
    lines = []
    for seed, name in enumerate(("bear", "swan", "unlisted")):
        for number in range(frames):
            values = np.random.default_rng(seed).integers(0, 60, (48, 64, 3), np.uint8)
            truth = np.zeros((48, 64), np.uint8)
            truth[12:36, 8 + 3 * number : 32 + 3 * number] = 255
            values[truth > 0] += 180
            paths = [f"/{kind}/480p/{name}/{number:05d}" for kind in ("JPEGImages", "Annotations")]
            paths = [f"{path}{ending}" for path, ending in zip(paths, (".jpg", ".png"), strict=True)]
            for path, content in zip(paths, (values, truth), strict=True):
                file = home / path.lstrip("/")
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(content).save(file)
            if name != "unlisted":
                lines.append(" ".join(paths))
    (home / "ImageSets" / "480p").mkdir(parents=True)
    (home / "ImageSets" / "480p" / "val.txt").write_text("\n".join(lines) + "\n")
