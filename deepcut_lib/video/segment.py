"""A clip to masks whose labels persist: each frame as it comes, or by a network fitted to all of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from PIL import Image

from deepcut_lib.backbones import Backbone, resolve_backbone
from deepcut_lib.clustering import DeepCut
from deepcut_lib.features import PatchFeatures
from deepcut_lib.images import Size
from deepcut_lib.parts import Parts, parts_recipe
from deepcut_lib.recipe import Recipe
from deepcut_lib.segmentation import Segmentation
from deepcut_lib.threads import ahead
from deepcut_lib.video.carried import CarriedDeepCut, video_recipe
from deepcut_lib.video.frames import Clip, Frame, read_frames

OFFLINE_FRAMES = 48
"""The most frames that a network for a whole clip is fitted to; at least half as many of longer clips."""

CUT_MESSAGE = "a new scene: labels begin anew"


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """What was found in one frame.

    Attributes:
        index: its place in the clip, from 0.
        name: its file's name without ending, or its number.
        picture: the frame, RGB, or None if it cannot be used.
        segmentation: as of a single picture, with labels that mean what they did in the frames before; None
            if the frame cannot be used.
        parts: of the foreground, if they were asked for.
        restarted: whether a new scene begins here: labels mean something new.
        failure: why the frame cannot be used; empty otherwise.
    """

    index: int
    name: str
    picture: Image.Image | None
    segmentation: Segmentation | None
    parts: Parts | None = None
    restarted: bool = False
    failure: str = ""

    @property
    def message(self) -> str:
        """What there is to say of the frame: why it failed, a new scene, nothing to cut; mostly empty."""
        if self.segmentation is None:
            return self.failure
        return CUT_MESSAGE if self.restarted else self.segmentation.message


def segment_video(
    clip: Clip,
    *,
    backbone: str | Backbone = "auto",
    recipe: Recipe | None = None,
    parts: int | None = None,
    offline: bool = False,
    refine: bool = False,
    size: Size | str = "default",
    device: str = "auto",
    random_state: int = 0,
    **overrides: Any,
) -> Iterator[VideoFrame]:
    """Segment a clip; beyond the paper, which names video as future work.

    One network is carried from frame to frame, so that clusters keep their numbers (`CarriedDeepCut`). The
    backbone looks once at each frame (`Backbone.seen_once`). What is kept does not grow with the clip.

    Args:
        clip: a folder of frames, a video file (with the extra ``video``), or an iterable of paths, pictures
            or arrays.
        backbone: a loaded backbone, or a name for `load_backbone`.
        recipe: how frames are cut; by default the backbone's `foreground_recipe`, see `video_recipe`.
        parts: into how many parts to cut the foreground; they keep their meaning, too.
        offline: fit one network to frames from the whole clip first, at most `OFFLINE_FRAMES`, then label
            all; the clip is read twice. Labels then mean the same in all scenes.
        refine: sharpen masks by the bilateral solver.
        size: the size that frames are fitted to; by default the backbone's.
        device: where to run, if the backbone is given by name.
        random_state: seed of the starts.
        **overrides: settings that replace the recipe's, such as ``objective="cc"`` for clusters whose number
            nobody names, see `Recipe`.

    Yields:
        One result for each frame, in order, also for those that cannot be used.

    Raises:
        ImageError: the clip does not exist, is no video, or holds no frame.
        VideoReaderMissingError: it is a file, and the package av is not installed.
        ValueError: a setting is out of range, a frame has fewer patches than clusters, or offline was asked
            for an iterator, which can be read only once.
        TypeError: there is no such setting.
    """
    # Checked here and not at the first frame, as a generator would
    backbone = resolve_backbone(backbone, device=device).seen_once()
    recipe = video_recipe(recipe or backbone.foreground_recipe).but(**overrides)
    recipe.estimator("cpu", random_state)
    if parts is not None:
        parts_recipe(recipe, parts, "sequential")
    fitted = None
    if offline:
        if not isinstance(clip, str | PathLike | Sequence):
            raise ValueError("offline reads a clip twice, an iterator only once; give a list, folder or file")
        fitted = fit_clip(clip, backbone, recipe, size=size, random_state=random_state)
    carried = CarriedDeepCut(recipe, parts=parts, refine=refine, fitted=fitted, random_state=random_state)
    return follow(read_frames(clip), carried, backbone, size=size)


def follow(
    frames: Iterator[Frame], carried: CarriedDeepCut, backbone: Backbone, *, size: Size | str = "default"
) -> Iterator[VideoFrame]:
    """Go through frames with a network that is carried; features of the next are made meanwhile.

    Args:
        frames: see `read_frames`.
        carried: goes on from what it knows already.
        backbone: what looks at the frames.
        size: the size that they are fitted to.
    """
    for frame, features in ahead(_looked_at(frames, backbone, size)):
        if features is None or frame.picture is None:
            yield VideoFrame(frame.index, frame.name, None, None, failure=frame.failure)
            continue
        tracked = carried.follow(features, frame.picture)
        yield VideoFrame(
            frame.index,
            frame.name,
            frame.picture,
            tracked.segmentation,
            tracked.parts,
            tracked.restarted,
        )


def fit_clip(
    clip: Clip, backbone: Backbone, recipe: Recipe, *, size: Size | str = "default", random_state: int = 0
) -> DeepCut:
    """Fit one network to frames from the whole clip, evenly spaced, in mini-batches of their patches (§4).

    Args:
        clip: as for `segment_video`, but what can be read again.
        backbone: what looks at the frames.
        recipe: how they are cut.
        size: the size that they are fitted to.
        random_state: seed of the starts.

    Raises:
        ImageError, ValueError: as `segment_video`; ImageError also where no frame can be used.
    """
    kept: list[PatchFeatures] = []
    step = 1
    for frame in read_frames(clip):
        if frame.index % step or frame.picture is None:
            continue
        kept.append(backbone(frame.picture, size=size, cls=False))
        if len(kept) == OFFLINE_FRAMES:  # from here on half as often, and of those so far every other one
            kept, step = kept[::2], 2 * step
    if not kept:
        raise ValueError("none of the clip's frames can be used; see what segment_video says of each")
    return fit_to_frames(kept, recipe, random_state)


def fit_to_frames(features: Sequence[PatchFeatures], recipe: Recipe, random_state: int = 0) -> DeepCut:
    """The same where the features of all frames are at hand; of more than `OFFLINE_FRAMES` some are taken."""
    step = -(-len(features) // OFFLINE_FRAMES)
    taken = features[::step]
    values = [recipe.prepare(of_frame.values) for of_frame in taken]
    model = recipe.estimator(taken[0].values.device, random_state)
    return model.fit_jointly(values, recipe.priors(taken))


def _looked_at(
    frames: Iterator[Frame], backbone: Backbone, size: Size | str
) -> Iterator[tuple[Frame, PatchFeatures | None]]:
    for frame in frames:
        features = None if frame.picture is None else backbone(frame.picture, size=size, cls=False)
        yield frame, features
