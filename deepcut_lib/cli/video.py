"""``video``: a clip's masks, whose labels persist; a run that was cut off goes on where it was."""

import argparse
import contextlib
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict

from tqdm import tqdm

from deepcut_lib.backbones import Backbone
from deepcut_lib.cli import arguments as take
from deepcut_lib.cli.folder import LONGEST_NAME, settings_of
from deepcut_lib.cli.kept import FILES, Row, kept_results, write_results
from deepcut_lib.clustering import OBJECTIVES, DeepCut
from deepcut_lib.errors import CheckpointError, DeepCutError
from deepcut_lib.features import upsample
from deepcut_lib.files import prepare_folder, printable, write_whole
from deepcut_lib.images import load_image
from deepcut_lib.parts import parts_recipe
from deepcut_lib.plots import PALETTE, overlay
from deepcut_lib.recipe import CC_CLUSTERS, Recipe
from deepcut_lib.video import (
    CarriedDeepCut,
    Frame,
    VideoFrame,
    clip_facts,
    fit_clip,
    follow,
    has_video_reader,
    palette_picture,
    read_frames,
    video_recipe,
    write_clip,
)

STATE = "carried.safetensors"
"""What is carried, as of every `SAVED_EVERY`th frame: a run that was cut off goes on from there."""

SAVED_EVERY = 25

CLIP = "overlay.mp4"

LIST = "frames.json"


def add_command(commands: take.Commands) -> None:
    """Add ``video``."""
    parser = commands.add_parser(
        "video",
        description="Write each frame's mask, labels and overlay, a list of boxes, and an overlay clip. "
        "One network is carried from frame to frame, so that labels keep their meaning.",
    )
    parser.add_argument("clip", type=take.path, metavar="CLIP", help="a folder of frames, or a video file")
    take.add_prior(take.add_run(parser))
    clustering = parser.add_argument_group("clustering")
    clustering.add_argument(
        "--objective", choices=list(OBJECTIVES), help="Eq. 9 (ncut), Eq. 10 (cc), or soft_ncut"
    )
    clustering.add_argument(
        "--k", type=take.whole, help=f"clusters; with cc the most (default: {CC_CLUSTERS})"
    )
    clustering.add_argument("--alpha", type=take.positive, help="k sensitivity of cc")
    clustering.add_argument("--parts", type=take.whole, metavar="K", help="cut the foreground into K parts")
    clustering.add_argument(
        "--offline", action="store_true", help="fit one network to the whole clip first, then label it"
    )
    clustering.add_argument("--refine", action="store_true", help="sharpen masks by the bilateral solver")
    parser.set_defaults(run=run_video)


def run_video(options: argparse.Namespace) -> int:
    """Segment a clip, going past bad frames; finished ones are kept from earlier runs.

    Raises:
        DeepCutError: the clip cannot be read, or something cannot be written.
    """
    if options.clip.is_dir() and options.clip.resolve() == options.out.resolve():
        raise DeepCutError(f"{options.out}: holds the frames; choose another --out for the results")
    count, rate = clip_facts(options.clip)
    backbone = take.wanted_backbone(options).seen_once()
    recipe = video_recipe(backbone.foreground_recipe).but(
        objective=options.objective, n_clusters=options.k, alpha=options.alpha
    )
    recipe.estimator("cpu", options.seed)
    if options.parts is not None:
        parts_recipe(recipe, options.parts, "sequential")
    prepare_folder(options.out)
    run = _Run(options, backbone, recipe, count)
    try:
        run.go()
    finally:  # also when interrupted: what is done can be looked at, and gone on with
        run.write_list()
    clip = ""
    if run.rows and has_video_reader():
        write_clip(options.out / CLIP, (load_image(options.out / row["overlay"]) for row in run.rows), rate)
        clip = f", {printable(options.out / CLIP)}"
    elif run.rows:
        clip = "; no overlay clip, which the package av writes: pip install -e '.[video]'"
    print(f"\n{run.summary()}.\nWritten: {printable(options.out / LIST)}{clip}")
    for message in run.failures.values():
        print(f"not done: {printable(message)}", file=sys.stderr)
    return 1 if run.failures else 0


class _Run:
    """A run under way: what is kept of earlier ones, and what it has come to.

    Attributes:
        rows: of the frames that are done, in order.
        failures: messages of frames that cannot be used, by index.
        digests: for each frame that was read, one of all frames up to it: on them its labels depend.
        kept: how many rows are an earlier run's.
        seconds: what the others took.
    """

    def __init__(
        self, options: argparse.Namespace, backbone: Backbone, recipe: Recipe, count: int | None
    ) -> None:
        self.options, self.backbone, self.recipe, self.count = options, backbone, recipe, count
        self.rows: list[Row] = []
        self.failures: dict[int, str] = {}
        self.digests: dict[int, str] = {}
        self.kept = 0
        self.seconds = 0.0
        self.settings = settings_of(
            options,
            backbone,
            recipe=asdict(recipe),
            size=options.size or "default",
            random_state=options.seed,
            parts=options.parts,
            refine=options.refine,
            offline=options.offline,
        )
        if options.offline:  # its network is made of all frames
            for _ in self._read():
                pass
            self.settings["clip"] = self.digests[max(self.digests)]

    def go(self) -> None:
        """Keep what earlier runs have done, and do the rest."""
        options, size = self.options, self.options.size or "default"
        finished, everything = (0, False) if options.overwrite else self._keep()
        if everything:
            return
        fitted = None
        if options.offline:
            fitted = fit_clip(options.clip, self.backbone, self.recipe, size=size, random_state=options.seed)
        carried, first = self._carried(finished, fitted)
        frames = (frame for frame in self._read() if frame.index >= first)
        started = time.perf_counter()
        for found in tqdm(
            follow(frames, carried, self.backbone, size=size),
            unit="frame",
            initial=first,
            total=self.count,
            disable=not sys.stderr.isatty(),
        ):
            if found.index >= finished:  # those before are only looked at again to take up what is carried
                self._write(found)
            if (found.index + 1) % SAVED_EVERY == 0:
                carried.save(options.out / STATE, self._mark(found.index))
            self.seconds = time.perf_counter() - started

    def write_list(self) -> None:
        """Write the list of boxes, and what there is to say of each frame.

        Raises:
            DeepCutError: it cannot be written.
        """
        frames = [{key: row[key] for key in (*_LISTED, *self._files())} for row in self.rows]
        listed = {
            "clip": printable(self.options.clip.name),
            "settings": self.settings,
            "frames": frames,
            "failures": [{"index": index, "message": text} for index, text in self.failures.items()],
        }
        write_whole(self.options.out / LIST, json.dumps(listed, indent=1, ensure_ascii=False) + "\n")

    def summary(self) -> str:
        """A sentence on all frames."""
        cuts = [row["index"] for row in self.rows if row["restarted"]]
        parts = [f"{len(self.rows)} frames with {self.backbone.name}, {take.described(self.recipe)}"]
        if cuts:
            parts.append(f"new scenes, whose labels begin anew, at frames {', '.join(map(str, cuts))}")
        if done := len(self.rows) - self.kept:
            parts.append(f"{done / self.seconds:.1f} frames a second")
        if self.kept:
            parts.append(f"{self.kept} kept from before")
        if self.failures:
            parts.append(f"{len(self.failures)} not done")
        return "; ".join(parts)

    def _read(self) -> Iterator[Frame]:
        chain = hashlib.sha256()
        for frame in read_frames(self.options.clip):
            picture = frame.picture
            content = frame.failure.encode() if picture is None else repr(picture.size).encode()
            chain.update(hashlib.sha256(content + (b"" if picture is None else picture.tobytes())).digest())
            self.digests[frame.index] = chain.hexdigest()
            yield frame

    def _keep(self) -> tuple[int, bool]:
        """Take up earlier runs' rows: how many frames from the first on are done, and whether all are."""
        finished = 0
        for frame in self._read():
            if frame.picture is None:
                self._fail(frame.index, frame.name, frame.failure)
            else:
                row = kept_results(self.options.out, _name(frame.name), self._made_from(frame.index))
                if row is None:
                    return finished, False
                self.rows.append(row)
                self.kept += 1
            finished += 1
        return finished, True

    def _carried(self, finished: int, fitted: DeepCut | None) -> tuple[CarriedDeepCut, int]:
        """What an earlier run has carried on, if it is at hand, and the frame to go on with; or the start."""

        def new() -> CarriedDeepCut:
            options = self.options
            return CarriedDeepCut(
                self.recipe,
                parts=options.parts,
                refine=options.refine,
                fitted=fitted,
                random_state=options.seed,
            )

        carried = new()
        with contextlib.suppress(CheckpointError):  # none, or a damaged one: frames are looked at again
            made_from = carried.load(self.options.out / STATE)
            for index in range(finished):
                if self._mark(index) == made_from:
                    return carried, index + 1
        return new(), 0

    def _made_from(self, index: int) -> Row:
        return {"index": index, "frames_sha256": self.digests[index], "settings": self.settings}

    def _mark(self, index: int) -> str:
        return json.dumps(self._made_from(index), sort_keys=True)

    def _write(self, found: VideoFrame) -> None:
        segmentation, picture = found.segmentation, found.picture
        if segmentation is None or picture is None:
            self._fail(found.index, found.name, found.failure)
            return
        if found.restarted:
            tqdm.write(f"frame {found.index}: {found.message}", file=sys.stderr)
        shown = {
            "mask": palette_picture(segmentation.mask, PALETTE),
            "overlay": overlay(picture, segmentation.mask, segmentation.box),
        }
        if found.parts is not None:
            shown["labels"] = palette_picture(found.parts.pixels, PALETTE)
        elif "labels" in self._files():
            clusters = upsample(segmentation.labels, segmentation.features)
            shown["labels"] = palette_picture(clusters, PALETTE)
        row = {
            **self._made_from(found.index),
            "box": segmentation.box,
            "foreground_share": float(segmentation.mask.mean()),
            "n_clusters": segmentation.n_clusters,
            "restarted": found.restarted,
            "message": found.message,
        }
        self.rows.append(write_results(self.options.out, _name(found.name), self._files(), shown, row))

    def _files(self) -> dict[str, str]:
        """Labels beside masks only where they say more."""
        more = self.options.parts is not None or self.recipe.n_clusters > 2
        return {kind: ending for kind, ending in FILES.items() if kind != "labels" or more}

    def _fail(self, index: int, name: str, message: str) -> None:
        self.failures[index] = f"frame {index} ({name}): {message}"


_LISTED = ("index", "name", "box", "foreground_share", "n_clusters", "restarted", "message")


def _name(name: str) -> str:
    return printable(name)[:LONGEST_NAME]
