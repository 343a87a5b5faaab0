"""Where each data set comes from, what its folder must hold, and how it is opened, checked and downloaded."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deepcut_lib.datasets.archives import Archive, obtain, unfinished
from deepcut_lib.datasets.coco import LIST, coco20k
from deepcut_lib.datasets.cub import cub
from deepcut_lib.datasets.dataset import DataSet
from deepcut_lib.datasets.davis import LIST as DAVIS_LIST
from deepcut_lib.datasets.davis import davis
from deepcut_lib.datasets.fashion import fashion
from deepcut_lib.datasets.masked import masked
from deepcut_lib.datasets.voc import voc
from deepcut_lib.errors import DeepCutError

SAMPLE = Path(__file__).resolve().parents[2] / "data"
"""The picture set of the repository; absent from a plain installation."""


class DataSetError(DeepCutError, RuntimeError):
    """A data set is not there, or not whole."""


@dataclass(frozen=True)
class Source:
    """A data set that can be opened by name.

    Attributes:
        title: what tables call it.
        folder: the folder below the root that may hold it; it may also lie in the root itself.
        required: paths below either that must exist.
        open: from that folder to the set.
        count: how many pictures the whole set has, or None.
        archives: public files that make it up.
        instructions: how to get it where there is no public file.
    """

    title: str
    folder: str
    required: tuple[str, ...]
    open: Callable[[Path], DataSet]
    count: int | None = None
    archives: tuple[Archive, ...] = ()
    instructions: str = ""


_VOC = "http://host.robots.ox.ac.uk/pascal/VOC"
_COCO = "http://images.cocodataset.org"
_CUB = "https://data.caltech.edu/records"
_ECSSD = "https://www.cse.cuhk.edu.hk/leojia/projects/hsaliency/data/ECSSD"


def _voc_source(year: int, count: int, archive: Archive, *, hard: bool = True) -> Source:
    parts = ("JPEGImages", "Annotations", "ImageSets/Main/trainval.txt")
    return Source(
        f"VOC{year % 100:02}" if hard else f"VOC{year % 100:02}, no hard objects",
        f"VOC{year}",
        tuple(f"VOCdevkit/VOC{year}/{part}" for part in parts),
        partial(voc, year=year, hard=hard),
        count if hard else None,
        (archive,),
    )


_VOC07 = Archive(
    f"{_VOC}/voc2007/VOCtrainval_06-Nov-2007.tar",
    "VOCtrainval_06-Nov-2007.tar",
    checksum="7d8cd951101b0957ddfd7a530bdc8a94f06121cfc1e511bb5937e973020c7508",
    size=460_032_000,
)
_VOC12 = Archive(
    f"{_VOC}/voc2012/VOCtrainval_11-May-2012.tar",
    "VOCtrainval_11-May-2012.tar",
    checksum="e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
    size=1_999_639_040,
)

SOURCES = {
    "voc07": _voc_source(2007, 5_011, _VOC07),
    "voc12": _voc_source(2012, 11_540, _VOC12),
    "voc07_no_hard": _voc_source(2007, 5_011, _VOC07, hard=False),
    "voc12_no_hard": _voc_source(2012, 11_540, _VOC12, hard=False),
    "coco20k": Source(
        "COCO20k",
        "COCO",
        (LIST, "images/train2014", "annotations/instances_train2014.json"),
        coco20k,
        19_817,
        (
            Archive(
                "https://raw.githubusercontent.com/YangtaoWANG95/TokenCut/"
                f"ce70ed6176b1876212f0a3d1144d28507c81427d/datasets/{LIST}",
                LIST,
                "COCO",
                "74637e9b4f93f2ebef9b1f664aff53edd1f41ef08dad97bd22ce8e455052b335",
            ),
            Archive(
                f"{_COCO}/annotations/annotations_trainval2014.zip",
                "annotations_trainval2014.zip",
                "COCO",
                "031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009",
                252_872_794,
            ),
            Archive(
                f"{_COCO}/zips/train2014.zip",
                "train2014.zip",
                "COCO/images",
                "ede4087e640bddba550e090eae701092534b554b42b05ac33f0300b984b31775",
                13_510_573_713,
            ),
        ),
    ),
    "cub": Source(
        "CUB",
        "CUB",
        (
            "CUB_200_2011/images",
            "CUB_200_2011/images.txt",
            "CUB_200_2011/train_test_split.txt",
            "CUB_200_2011/bounding_boxes.txt",
            "CUB_200_2011/parts/part_locs.txt",
        ),
        cub,
        5_794,
        (
            Archive(
                f"{_CUB}/65de6-vp158/files/CUB_200_2011.tgz",
                "CUB_200_2011.tgz",
                checksum="0c685df5597a8b24909f6a7c9db6d11e008733779a671760afef78feb49bf081",
                size=1_150_585_339,
            ),
            Archive(
                f"{_CUB}/w9d68-gec53/files/segmentations.tgz",
                "segmentations.tgz",
                checksum="dc77f6cffea0cbe2e41d4201115c8f29a6320ecb04fffd2444f51b8066e4b84f",
                size=39_272_883,
            ),
        ),
    ),
    "duts": Source(
        "DUTS-TE",
        "DUTS-TE",
        ("DUTS-TE-Image", "DUTS-TE-Mask"),
        partial(masked, images="DUTS-TE-Image", masks="DUTS-TE-Mask"),
        5_019,
        (Archive("http://saliencydetection.net/duts/download/DUTS-TE.zip", "DUTS-TE.zip"),),
        "No checksum is published. Older copies have wrong masks for ILSVRC2012_test_00036002 and "
        "sun_bcogaqperiljqupq.",
    ),
    "ecssd": Source(
        "ECSSD",
        "ECSSD",
        ("images", "ground_truth_mask"),
        partial(masked, masks="ground_truth_mask"),
        1_000,
        (
            Archive(
                f"{_ECSSD}/images.zip",
                "ECSSD_images.zip",
                "ECSSD",
                "7d5dce1a21c6d82e2f9617c00ad7eae2de5ded9320e8c59a01b4c731d210ea47",
                67_766_979,
            ),
            Archive(
                f"{_ECSSD}/ground_truth_mask.zip",
                "ECSSD_ground_truth_mask.zip",
                "ECSSD",
                "dc0a9f11f2adee2737d95b28f9567a0a5de33f78743447c097ceb4d42f281a31",
                1_571_109,
            ),
        ),
    ),
    "fashion": Source(
        "Fashion Product Images",
        "fashion",
        ("styles.csv", "images"),
        fashion,
        instructions="Kaggle asks for a login: sign in, download "
        "paramaggarwal/fashion-product-images-dataset (25 GB) or "
        "paramaggarwal/fashion-product-images-small (565 MB), and unpack it so that fashion/styles.csv and "
        "fashion/images/ lie below the root.",
    ),
    "davis": Source(
        "DAVIS-2016 val",
        "DAVIS",
        (DAVIS_LIST, "JPEGImages/480p", "Annotations/480p"),
        davis,
        1_376,
        instructions="Its authors' site offers DAVIS 2016 for download (research use; no checksum is "
        "published): take it at 480p, and unpack it so that DAVIS/JPEGImages, DAVIS/Annotations and "
        "DAVIS/ImageSets lie below the root. For some of its clips, shorten ImageSets/480p/val.txt.",
    ),
    "horses": Source(
        "Weizmann horses",
        "horses",
        ("images", "masks"),
        masked,
        instructions="Ask its authors for the Weizmann horse database (E. Borenstein and S. Ullman; research "
        "use), or put any photographs into horses/images/ and their masks, of the same names and ending in "
        ".png, into horses/masks/.",
    ),
    "sample": Source(
        "data/",
        "data",
        ("images", "masks"),
        partial(masked, partly=True),
        80,
        instructions="It is the folder data/ of the repository: clone it.",
    ),
}
"""All sets by name."""


def open_dataset(name: str, root: Path | None = None) -> DataSet:
    """Open a data set.

    Args:
        name: one of `SOURCES`.
        root: what holds it, either in a folder of its own or as it is; by default, for ``sample``, the
            repository's.

    Raises:
        ValueError: no such set, or one of its tables is damaged.
        DataSetError: its folder lacks something; the message names it, and the remedy.
    """
    source = _source(name)
    home = _home(source, _root(name, root))
    if home is None:
        missing = "; ".join(check(name, root))
        raise DataSetError(f"{source.title} is not in {_root(name, root)}: {missing}. {remedy(name, root)}")
    return source.open(home)


def check(name: str, root: Path | None = None, *, at_most: int = 5) -> list[str]:
    """What of a data set is missing: nothing, if all is there.

    Args:
        name: one of `SOURCES`.
        root: as for `open_dataset`.
        at_most: how many missing files of a kind are named; the others are counted.

    Raises:
        ValueError: no such set, or one of its tables is damaged.
    """
    source = _source(name)
    where = _root(name, root)
    home = _home(source, where)
    if home is None:
        nearest = _nearest(source, where)
        wanted = [nearest / path for path in source.required]
        return [f"{path} is missing" for path in wanted if not path.exists()]
    dataset = source.open(home)
    problems = [
        f"{archive.file} was not unpacked to its end"
        for archive in source.archives
        if unfinished(archive, where)
    ]
    images, masks = [], []
    for sample in dataset:
        if not sample.image.exists():
            images.append(sample.image)
        if sample.mask is not None and not sample.mask.exists():
            masks.append(sample.mask)
    for kind, gone in (("pictures", images), ("masks", masks)):
        if gone:
            more = f" and {len(gone) - at_most:,} more" if len(gone) > at_most else ""
            named = ", ".join(str(path) for path in gone[:at_most])
            problems.append(f"{len(gone):,} of {len(dataset):,} {kind} are missing: {named}{more}")
    if source.count is not None and len(dataset) != source.count:
        problems.append(f"{home} has {len(dataset):,} pictures; the whole set has {source.count:,}")
    return problems


def download(name: str, root: Path) -> None:
    """Download and unpack what a set lacks; what is complete is left alone, what is partial is gone on with.

    The archives stay in ``root/archives`` and may be deleted afterwards.

    Raises:
        ValueError: no such set.
        DataSetError: the set has no public files, with what to do instead; or something is still missing.
        DownloadError: a file cannot be had, is not what was published, or would write outside the root.
    """
    source = _source(name)
    if not check(name, root):
        return
    if not source.archives:
        raise DataSetError(f"{source.title} cannot be downloaded by a program. {source.instructions}")
    for archive in source.archives:
        obtain(archive, root)
    missing = check(name, root)
    if missing:
        raise DataSetError(f"{source.title} is still not whole: {'; '.join(missing)}. {source.instructions}")


def remedy(name: str, root: Path | None = None) -> str:
    """What a user can do to get a set."""
    source = _source(name)
    if not source.archives:
        return source.instructions
    command = f"Download it: python -m deepcut_lib datasets download {name} --data {root or 'ROOT'}"
    return f"{command}. {source.instructions}".strip()


def _source(name: str) -> Source:
    if name not in SOURCES:
        raise ValueError(f"no data set is called {name!r}; there are: {', '.join(SOURCES)}")
    return SOURCES[name]


def _root(name: str, root: Path | None) -> Path:
    if root is not None:
        return root
    if name == "sample":
        return SAMPLE
    raise ValueError(f"say where {name} is: its root is missing")


def _home(source: Source, root: Path) -> Path | None:
    for folder in (root / source.folder, root):
        if all((folder / path).exists() for path in source.required):
            return folder
    return None


def _nearest(source: Source, root: Path) -> Path:
    """The folder that has most of what is required: the one to name what is missing in."""
    return max(
        (root, root / source.folder),
        key=lambda folder: (sum((folder / p).exists() for p in source.required), folder.exists()),
    )
