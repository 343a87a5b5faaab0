"""How many frames a second a clip's masks take, features included: python -m benchmarks.video FOLDER."""

import argparse
import statistics
import time
from itertools import islice
from pathlib import Path

from deepcut_lib import load_backbone, segment_video
from deepcut_lib.images import load_image
from deepcut_lib.video import read_frames

FRAMES = 40
RUNS = 3


def main() -> None:
    """Print a line for each size and way, medians of a few runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path, help="a folder of frames, or a video file")
    parser.add_argument("--backbone", default="effnet_lite0")
    options = parser.parse_args()
    backbone = load_backbone(options.backbone)
    frames = [frame.picture for frame in islice(read_frames(options.clip), FRAMES) if frame.picture]
    width, height = frames[0].size
    print(f"{len(frames)} frames of {width}×{height}, {backbone.name}; median of {RUNS} runs")
    list(segment_video(frames[:2], backbone=backbone))  # what is loaded at first use
    for size in (backbone.size, backbone.size * 5 // 7):
        for refine in (False, True):
            wall, processor = [], []
            for _ in range(RUNS):
                started, used = time.perf_counter(), time.process_time()
                for _ in segment_video(map(load_image, frames), backbone=backbone, size=size, refine=refine):
                    pass
                wall.append(time.perf_counter() - started)
                processor.append(time.process_time() - used)
            print(
                f"{size} pixels{', bilateral solver' if refine else '':20} "
                f"{len(frames) / statistics.median(wall):5.1f} frames/s, "
                f"{statistics.median(processor) / len(frames):.3f} CPU seconds a frame",
                flush=True,
            )


if __name__ == "__main__":
    main()
