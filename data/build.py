"""Build the picture set of this folder from its packaged sources, byte for byte.

Two Debian packages and two Python packages hold the sources:

* tuxpaint-stamps-default: photographs cut out with an alpha channel (the objects),
* mate-backgrounds: nature photographs (the backdrops),
* scikit-image and scikit-learn: grey textures (the grounds) and six whole photographs.

`recipes.csv` says, one row a picture, which cut-out goes where on which backdrop. Nothing is drawn at
random: the noise of a picture is seeded with its name.

    python data/build.py --packages DIR     # DIR holds the two .deb files, or their unpacked tree
    python data/build.py                    # fetches the two packages with apt-get download
    python data/build.py --check            # builds aside and compares with the files in this folder
"""

from __future__ import annotations

import argparse
import csv
import filecmp
import io
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

HERE = Path(__file__).resolve().parent

# Another version of these may round differently, so that the bytes are no longer the same.
BYTES_MADE_WITH = {"pillow": "13.0.0", "numpy": "2.4.6", "scipy": "1.17.1"}
# These two only hand over files, but another release might hold other files.
FILES_TAKEN_FROM = {"scikit-image": "0.26.0", "scikit-learn": "1.9.1"}
DEBIAN_PACKAGES = {"tuxpaint-stamps-default": "2022.06.04-1", "mate-backgrounds": "1.26.0-1"}

STAMPS = "usr/share/tuxpaint/stamps"
BACKDROPS = "usr/share/backgrounds/mate/nature"

BACKDROP_AUTHORS = {
    "Aqua.jpg": "Charles Barbin",
    "Blinds.jpg": "Lennart Poettering, Andrea Cimitan",
    "Dune.jpg": "Marco Cogoni, Hylke Bons",
    "FreshFlower.jpg": "Jens Ansorg",
    "Garden.jpg": "Charles Barbin",
    "GreenMeadow.jpg": "Timothy Schellhase, Lapo Calamandrei",
    "LadyBird.jpg": "Charles Barbin",
    "RainDrops.jpg": "blackcombwhistler07",
    "Storm.jpg": "Sergey Nazarov",
    "TwoWings.jpg": "Charles Barbin, Hylke Bons",
    "Wood.jpg": "Jean-François Fortin Tam",
    "YellowFlower.jpg": "Charles Barbin",
}
TEXTURE_AUTHORS = {
    "grass.png": "linolafett (DeviantArt)",
    "gravel.png": "CC0Textures",
    "brick.png": "CC0Textures",
}

# name of the picture: package, file in the package, author, licence
PHOTOS = {
    "photo_astronaut": ("scikit-image", "astronaut.png", "NASA", "LicenseRef-public-domain"),
    "photo_cat": ("scikit-image", "chelsea.png", "Stefan van der Walt", "CC0-1.0"),
    "photo_coffee": ("scikit-image", "coffee.png", "Rachel Michetti (Pikolo Espresso Bar)", "CC0-1.0"),
    "photo_flower": (
        "scikit-learn",
        "flower.jpg",
        "vultilion (Flickr; the package also names danielbuechele)",
        "CC-BY-2.0",
    ),
    "photo_rocket": ("scikit-image", "rocket.jpg", "SpaceX", "LicenseRef-public-domain"),
    "photo_temple": ("scikit-learn", "china.jpg", "danielbuechele (Flickr)", "CC-BY-2.0"),
}


@dataclass(frozen=True)
class Ground:
    """A flat texture laid down in perspective: its file, repeat, contrast and mean colour (0 to 255)."""

    file: str
    repeat: float  # how many times the texture spans the width of the picture at its lower edge
    contrast: float
    colour: tuple[int, int, int] | None  # None keeps the colours of the file
    part: tuple[float, float, float, float] = (0, 0, 1, 1)  # what of the file is used, in fractions
    uneven: float = 0.0  # how wavy its far edge is, in fractions of the height


# The lower left of the wooden deck, without its groove.
PLAIN_BOARDS = (0.0, 0.5, 0.42, 1.0)
GROUNDS = {
    "asphalt": Ground("gravel.png", 3.2, 0.16, (112, 112, 114)),
    "boards": Ground("Wood.jpg", 0.9, 1.0, None, PLAIN_BOARDS),
    "earth": Ground("gravel.png", 1.9, 0.42, (124, 98, 74), uneven=0.02),
    "gravel": Ground("gravel.png", 1.5, 0.62, (138, 130, 120), uneven=0.01),
    "lawn": Ground("grass.png", 1.5, 0.75, (94, 116, 56), uneven=0.02),
    "paving": Ground("brick.png", 0.9, 0.55, (150, 120, 104)),
    "planks": Ground("Wood.jpg", 0.9, 1.3, (146, 108, 74), PLAIN_BOARDS),
    "sand": Ground("gravel.png", 3.6, 0.14, (196, 176, 142), uneven=0.015),
    "straw": Ground("grass.png", 1.6, 0.7, (160, 140, 88), uneven=0.02),
    "table": Ground("Wood.jpg", 0.8, 0.4, (206, 200, 190), PLAIN_BOARDS),
}


@dataclass(frozen=True)
class Thing:
    """One cut-out and where its lowest middle point stands, in fractions of the picture."""

    file: str
    x: float
    y: float
    scale: float


@dataclass(frozen=True)
class Recipe:
    """One row of recipes.csv."""

    name: str
    category: str
    size: tuple[int, int]
    things: tuple[Thing, ...]
    shadow: str  # none, stand or lie
    sink: int  # height in pixels over which grass hides the feet
    gain: float  # brightness factor of the cut-out
    backdrop: str
    crop: tuple[float, float, float]  # centre x, centre y and width, in fractions of the backdrop
    blur: float
    tint: tuple[int, int, int] | None
    ground: str
    horizon: float
    author: str
    note: str


@dataclass
class Library:
    """Finds and caches the source files."""

    tree: Path  # holds usr/share of both Debian packages
    cache: dict[str, Image.Image] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        """Where a stamp (a path with a folder), backdrop, texture or photograph lies."""
        if "/" in name:
            return self.tree / STAMPS / name
        if name in BACKDROP_AUTHORS:
            return self.tree / BACKDROPS / name
        for module, folder in (("skimage", "data"), ("sklearn", "datasets/images")):
            spec = find_spec(module)
            if spec is None or spec.origin is None:
                fail(f"the Python package {module} is missing: pip install scikit-image scikit-learn")
            path = Path(spec.origin).parent / folder / name
            if path.exists():
                return path
        return Path(name)

    def image(self, name: str, mode: str = "RGB") -> Image.Image:
        """The picture of that name in that mode."""
        if name not in self.cache:
            path = self.path(name)
            if not path.exists():
                fail(f"{name} is not in the packages given: take the versions named in build.py")
            with Image.open(path) as image:
                self.cache[name] = image.convert(mode)
        return self.cache[name]


FOLDERS = ("images", "masks", "alpha")


def fail(message: str) -> None:
    """Stop with one line on standard error."""
    sys.exit(f"build.py: {message}")


def read_recipes(path: Path = HERE / "recipes.csv") -> list[Recipe]:
    """The table of composed pictures."""

    def numbers(text: str) -> tuple:
        return tuple(float(part) if "." in part else int(part) for part in text.split())

    recipes = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            things = []
            for suffix in ("", "2"):
                if row["cutout" + suffix]:
                    x, y, scale = numbers(row["at" + suffix])
                    things.append(Thing(row["cutout" + suffix], x, y, scale))
            recipes.append(
                Recipe(
                    name=row["name"],
                    category=row["name"].split("_")[0],
                    size=numbers(row["size"]),
                    things=tuple(things),
                    shadow=row["shadow"],
                    sink=int(row["sink"] or 0),
                    gain=float(row["gain"] or 1),
                    backdrop=row["backdrop"],
                    crop=numbers(row["crop"]),
                    blur=float(row["blur"] or 0),
                    tint=numbers(row["tint"]) or None,
                    ground=row["ground"],
                    horizon=float(row["horizon"] or 0),
                    author=row["author"],
                    note=row["note"],
                )
            )
    return recipes


# --- the scene -------------------------------------------------------------------------------------


def blurred(array: np.ndarray, sigma: float | tuple[float, float]) -> np.ndarray:
    """Gaussian blur over the first two axes."""
    sigmas = (sigma, sigma) if isinstance(sigma, (int, float)) else sigma
    return ndimage.gaussian_filter(array, sigmas + (0,) * (array.ndim - 2), mode="nearest")


def tinted(array: np.ndarray, colour: tuple[int, int, int], contrast: float = 1.0) -> np.ndarray:
    """The brightness of `array` around the mean `colour`, as a grey texture becomes sand or grass."""
    grey = array.mean(axis=2)
    relative = 1 + contrast * (grey / grey.mean() - 1)
    # Bright blades and stones are a little paler than dark ones: full tint looks like a colour filter.
    paler = np.clip(relative - 1, 0, 1)[..., None] * 0.25
    result = relative[..., None] * np.array(colour, float)
    return np.clip(result * (1 - paler) + result.mean(axis=2, keepdims=True) * paler, 0, 255)


def make_backdrop(recipe: Recipe, library: Library) -> np.ndarray:
    """The cropped, perhaps tinted and blurred backdrop."""
    image = library.image(recipe.backdrop)
    width, height = recipe.size
    x, y, part = recipe.crop
    crop_width = part * image.width
    crop_height = crop_width * height / width
    if crop_height > image.height:
        crop_height = image.height
        crop_width = crop_height * width / height
    left = min(max(x * image.width - crop_width / 2, 0), image.width - crop_width)
    top = min(max(y * image.height - crop_height / 2, 0), image.height - crop_height)
    box = (left, top, left + crop_width, top + crop_height)
    array = np.asarray(image.resize(recipe.size, Image.Resampling.LANCZOS, box=box), float)
    if recipe.tint:
        array = tinted(array, recipe.tint, 0.7)
    return blurred(array, recipe.blur) if recipe.blur else array


def lay_ground(scene: np.ndarray, recipe: Recipe, library: Library) -> np.ndarray:
    """The scene with a ground in perspective below its horizon, sharp near the feet, soft far off."""
    ground = GROUNDS[recipe.ground]
    height, width = scene.shape[:2]
    image = library.image(ground.file)
    box = tuple(part * side for part, side in zip(ground.part, image.size * 2, strict=True))
    texture = np.asarray(image.resize((512, 512), Image.Resampling.LANCZOS, box=box), float)
    # Uneven lighting of the file would repeat with the tiles.
    flat = blurred(texture, 90)
    texture = texture / flat * flat.mean(axis=(0, 1))
    if ground.colour:
        texture = tinted(texture, ground.colour, ground.contrast)
    mean = texture.mean(axis=(0, 1))

    fine = 3  # samples a pixel and axis: far tiles would flicker otherwise
    horizon = recipe.horizon * height
    rows = (np.arange(height * fine) + 0.5) / fine
    rows = rows[rows > horizon + 1]
    columns = (np.arange(width * fine) + 0.5) / fine - width / 2
    depth = (height - horizon * 0.75) / (rows - horizon * 0.75)  # 1 at the lower edge, growing upwards
    step = 512 * ground.repeat / width
    u = columns[None, :] * depth[:, None] * step
    v = np.broadcast_to((depth * height * 0.9 * step)[:, None], u.shape)
    samples = [ndimage.map_coordinates(texture[..., c], [v, u], order=1, mode="mirror") for c in range(3)]
    sampled = np.stack(samples, axis=2)
    used = len(rows) // fine * fine
    sampled = sampled[len(rows) - used :].reshape(used // fine, fine, width, fine, 3).mean(axis=(1, 3))

    top = height - used // fine
    distance = (np.arange(top, height) - top) / (height - top)  # 0 at the horizon, 1 at the lower edge
    far = np.clip(1 - distance / 0.75, 0, 1)[:, None, None] ** 2
    plane = sampled * (1 - 0.5 * far) + mean * 0.5 * far
    soft = blurred(plane, 2.0)
    plane = plane * (1 - far) + soft * far
    # Large, weak patches of light keep the plane from looking computed.
    plane *= patches(recipe, plane.shape[:2])[..., None]
    # The light of the backdrop colours the far ground, as haze does.
    haze = scene[max(0, top - 20) : top + 1].mean(axis=(0, 1))
    plane = plane * (1 - 0.25 * far) + haze * 0.25 * far

    # Where the ground ends is no ruled line, and as far out of focus as the backdrop behind it.
    rng = np.random.default_rng(zlib.crc32(f"{recipe.name} edge".encode()))
    wave = ndimage.gaussian_filter1d(rng.integers(-1000, 1001, width) / 1000, width / 25, mode="nearest")
    wave = np.clip(wave / np.abs(wave).max(), -1, 1) * ground.uneven * height
    ramp = 3 + 2 * recipe.blur
    below = np.arange(height - top)[:, None] - (wave - wave.min())[None, :]
    edge = np.clip((below + 0.5) / ramp, 0, 1)[..., None]
    edge = edge * edge * (3 - 2 * edge)
    # Less light falls to the foot of what stands behind.
    near = np.clip(1 - (top - np.arange(height)) / (0.15 * height), 0, 1)[:, None, None] ** 2
    result = scene * (1 - 0.18 * near)
    result[top:] = result[top:] * (1 - edge) + plane * edge
    return result


def patches(recipe: Recipe, shape: tuple[int, int]) -> np.ndarray:
    """Smooth light and dark patches around 1, seeded with the picture's name."""
    rng = np.random.default_rng(zlib.crc32(f"{recipe.name} patches".encode()))
    noise = blurred(rng.integers(-1000, 1001, shape) / 1000, (12, 45))
    return 1 + 0.06 * np.clip(noise / noise.std(), -2, 2)


# --- the object ------------------------------------------------------------------------------------


def load_cutout(thing: Thing, library: Library) -> tuple[np.ndarray, np.ndarray]:
    """Colours and alpha (0 to 1) of a cut-out: cleaned edge, trimmed and scaled."""
    image = library.image(thing.file, "RGBA")
    pad = 4
    rgba = np.pad(np.asarray(image, float), ((pad, pad), (pad, pad), (0, 0)))
    colour, alpha = rgba[..., :3], rgba[..., 3] / 255

    # Stray specks beside the object are leftovers of the cutting out.
    parts, count = ndimage.label(alpha > 0.3)
    areas = ndimage.sum_labels(alpha > 0.3, parts, range(1, count + 1))
    kept = np.isin(parts, 1 + np.flatnonzero(areas >= 0.004 * areas.max()))
    alpha = alpha * ndimage.binary_dilation(kept, iterations=2)

    # The rim still holds colour of the old background: take colours from a pixel further in, and let the
    # object end about half a pixel earlier.
    core = ndimage.binary_erosion(alpha > 0.95, iterations=2)
    core |= ndimage.binary_erosion(alpha > 0.95) & ~ndimage.binary_dilation(core, iterations=3)
    core |= (alpha > 0.6) & ~ndimage.binary_dilation(core, iterations=5)
    nearest = ndimage.distance_transform_edt(~core, return_distances=False, return_indices=True)
    colour = colour[nearest[0], nearest[1]]
    alpha = np.clip((blurred(alpha, 0.8) - 0.4) / 0.5, 0, 1)

    rows, columns = np.flatnonzero(alpha.max(axis=1) > 0.3), np.flatnonzero(alpha.max(axis=0) > 0.3)
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    whole = np.dstack([colour[box], alpha[box] * 255])
    picture = Image.fromarray(np.rint(whole).astype(np.uint8)).convert("RGBa")
    size = (max(1, round(picture.width * thing.scale)), max(1, round(picture.height * thing.scale)))
    picture = picture.resize(size, Image.Resampling.LANCZOS).convert("RGBA")
    array = np.asarray(picture, float)
    return array[..., :3], array[..., 3] / 255


def placed(thing: Thing, recipe: Recipe, library: Library) -> tuple[np.ndarray, np.ndarray]:
    """Colours and alpha of the cut-out on a canvas with the size of the picture."""
    colour, alpha = load_cutout(thing, library)
    width, height = recipe.size
    left = round(thing.x * width - alpha.shape[1] / 2)
    top = round(thing.y * height) - alpha.shape[0]
    canvas, mask = np.zeros((height, width, 3)), np.zeros((height, width))
    y0, y1 = max(top, 0), min(top + alpha.shape[0], height)
    x0, x1 = max(left, 0), min(left + alpha.shape[1], width)
    canvas[y0:y1, x0:x1] = colour[y0 - top : y1 - top, x0 - left : x1 - left]
    mask[y0:y1, x0:x1] = alpha[y0 - top : y1 - top, x0 - left : x1 - left]
    return canvas, mask


def relit(colour: np.ndarray, alpha: np.ndarray, scene: np.ndarray, gain: float) -> np.ndarray:
    """The colours of the object moved toward the light of the scene."""
    inside = alpha > 0.5
    light = np.array([0.299, 0.587, 0.114])
    scene_grey, object_grey = scene @ light, colour @ light
    mean, spread = object_grey[inside].mean(), object_grey[inside].std() + 1
    # A fifth of the way in contrast and brightness: more would flatten white swans and black bulls.
    slope = 1 + 0.2 * np.clip(scene_grey.std() / spread - 1, -0.6, 0.6)
    shift = 0.12 * (scene_grey.mean() - mean)
    result = (colour - mean) * slope + mean + shift
    # Light thrown back by the surroundings, only a hint of their colour.
    cast = scene.mean(axis=(0, 1)) / scene_grey.mean()
    return np.clip(result * (1 + 0.12 * (cast - 1)) * gain, 0, 255)


def hide_feet(alpha: np.ndarray, scene: np.ndarray, sink: int, foot: int) -> np.ndarray:
    """The alpha with its lowest `sink` rows overgrown by the blades of the scene."""
    grey = scene.mean(axis=2)
    blades = blurred(grey - blurred(grey, 8), (sink / 4, 0.6))
    blades = blades / (blades.std() + 1e-6)
    # Each foot has its own lowest row; a belly or a raised leg, well above the lowest foot, stays whole.
    solid = alpha > 0.5
    lowest = np.where(solid.any(axis=0), len(alpha) - np.argmax(solid[::-1], axis=0), 0)
    feet = ndimage.maximum_filter1d(lowest, 15)
    feet = np.where(feet < foot - 0.15 * solid.any(axis=1).sum(), foot, feet)
    above = (ndimage.gaussian_filter1d(feet.astype(float), 3) - np.arange(len(alpha))[:, None]) / sink
    return alpha * np.clip((above - 0.5 - 0.35 * blades) * 4 + 0.5, 0, 1)


def shadow_of(alpha: np.ndarray, kind: str, foot: int) -> np.ndarray:
    """How much of the light the object takes from its ground (0 to 1), itself left out later."""
    if kind == "none":
        return np.zeros_like(alpha)
    if kind == "lie":
        return 0.5 * blurred(ndimage.shift(alpha, (5, 4), order=1), 5) + 0.25 * blurred(alpha, 2.5)
    # Standing: a squashed silhouette on the ground, and a dark line where it touches.
    height = alpha.shape[0]
    rows = np.arange(height)
    source = foot - (foot - rows + 4) / 0.16
    cast = np.zeros_like(alpha)
    inside = (source >= 0) & (source < height)
    cast[inside] = alpha[source[inside].astype(int)]
    below = np.clip(rows - foot, 0, None)[:, None]
    cast = np.maximum(cast, alpha[max(0, min(foot, height) - 3)][None, :] * (below < 5) * (below > 0))
    size = np.sqrt((alpha > 0.5).sum())
    band = alpha * (rows[:, None] > foot - 0.06 * size)
    touch = blurred(ndimage.shift(band, (2, 0), order=1), (0.012 * size + 0.8, 0.025 * size + 1))
    return 0.42 * blurred(cast, (0.018 * size + 1.5, 0.05 * size + 2)) + 0.55 * touch


def compose(recipe: Recipe, library: Library) -> tuple[Image.Image, Image.Image, Image.Image]:
    """The picture of a recipe, its mask, and its alpha."""
    scene = make_backdrop(recipe, library)
    if recipe.ground:
        scene = lay_ground(scene, recipe, library)
    light = scene.copy()
    covered, behind = np.zeros(scene.shape[:2]), np.ones(scene.shape[:2])
    for thing in recipe.things:
        colour, alpha = placed(thing, recipe, library)
        foot = round(thing.y * recipe.size[1])
        colour = relit(colour, alpha, light, recipe.gain)
        dark = np.clip(shadow_of(alpha, recipe.shadow, foot), 0, 0.8)[..., None]
        scene = scene * (1 - dark * np.array([0.9, 0.88, 0.84]))
        if recipe.sink:
            alpha = hide_feet(alpha, light, recipe.sink, foot)
        if recipe.shadow == "stand":
            # Less light reaches what is close to the ground.
            above = (foot - np.arange(len(alpha)))[:, None, None] / (0.5 * np.sqrt(alpha.sum()) + 1)
            colour = colour * (0.82 + 0.18 * np.clip(above, 0, 1))
        # Bright surroundings spill over the rim of the object.
        rim = 0.35 * np.clip(1 - blurred(alpha, 2.0), 0, 1)[..., None]
        colour = colour * (1 - rim) + blurred(light, 6) * rim
        scene = scene * (1 - alpha[..., None]) + colour * alpha[..., None]
        covered = np.maximum(covered, alpha)
        behind = behind * (1 - alpha)
    mask = Image.fromarray(np.where(covered >= 0.5, 255, 0).astype(np.uint8))
    # The lens softens αF and (1 − α)B alike, so the photograph's alpha is the softened one
    seen = blurred(1 - behind, LENS)
    return photographed(scene, recipe.name), mask, Image.fromarray(np.rint(255 * seen).astype(np.uint8))


LENS = 0.45
"""Softness of the lens: σ of its blur in pixels."""


def photographed(scene: np.ndarray, name: str) -> Image.Image:
    """One lens and one sensor for object and scene: the same softness, vignette and noise."""
    height, width = scene.shape[:2]
    scene = blurred(scene, LENS)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    scene = scene * (1 - 0.05 * (x * x + y * y))[..., None]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    # The sum of four even numbers is close enough to a normal one and the same on every processor.
    grain = rng.integers(-500, 501, (4, height, width, 4)).sum(axis=0) / 578
    grain = blurred(grain, 0.45) * 1.6
    noisy = scene + 1.8 * grain[..., :1] + 1.0 * grain[..., 1:]
    return Image.fromarray(np.rint(np.clip(noisy, 0, 255)).astype(np.uint8))


# --- the files -------------------------------------------------------------------------------------


def jpeg(image: Image.Image, quality: int) -> bytes:
    """The image as the bytes of a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def png(image: Image.Image) -> bytes:
    """A mask or alpha as the bytes of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def picture_files(recipe: Recipe, library: Library) -> dict[str, bytes]:
    """The files of a composed picture, by their path in this folder."""
    image, mask, alpha = compose(recipe, library)
    return {
        f"images/{recipe.name}.jpg": jpeg(image, 88),
        f"masks/{recipe.name}.png": png(mask),
        f"alpha/{recipe.name}.png": png(alpha),
    }


def photo_file(name: str, library: Library) -> dict[str, bytes]:
    """The file of a whole photograph, at most 512 pixels long."""
    image = library.image(PHOTOS[name][1]).copy()
    image.thumbnail((512, 512), Image.Resampling.LANCZOS)
    return {f"images/{name}.jpg": jpeg(image, 90)}


def source_row(recipe: Recipe) -> list[str]:
    """The row of a composed picture in SOURCES.csv."""
    stamps = f"tuxpaint-stamps-default {DEBIAN_PACKAGES['tuxpaint-stamps-default']}: "
    stamps += " and ".join(f"stamps/{thing.file}" for thing in recipe.things)
    origins, authors = [f"cut-out {stamps}"], [f"cut-out: {recipe.author}"]
    files = [recipe.backdrop] + ([GROUNDS[recipe.ground].file] if recipe.ground else [])
    for role, name in zip(("backdrop", "ground"), files, strict=False):
        if name in BACKDROP_AUTHORS:
            package, path = "mate-backgrounds", f"nature/{name}"
            number, author = DEBIAN_PACKAGES[package], BACKDROP_AUTHORS[name]
        else:
            package, path = "scikit-image", f"skimage/data/{name}"
            number, author = FILES_TAKEN_FROM[package], TEXTURE_AUTHORS[name] + ", CC0-1.0"
        origins.append(f"{role} {package} {number}: {path}")
        authors.append(f"{role}: {author}")
    # The narrowest of the licences combined: GPL-2.0-only for the cut-out, GPL-2.0-or-later or CC0-1.0
    # for what lies behind it.
    return [
        f"images/{recipe.name}.jpg",
        recipe.category,
        "; ".join(origins),
        "; ".join(authors),
        "GPL-2.0-only",
        recipe.note,
    ]


def sources_csv(recipes: list[Recipe]) -> bytes:
    """The whole of SOURCES.csv."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["file", "category", "origin", "author", "licence", "note"])
    rows = [source_row(recipe) for recipe in recipes]
    for name, (package, file, author, licence) in PHOTOS.items():
        folder = "skimage/data" if package == "scikit-image" else "sklearn/datasets/images"
        origin = f"{package} {FILES_TAKEN_FROM[package]}: {folder}/{file}"
        rows.append([f"images/{name}.jpg", "photo", origin, author, licence, "no mask"])
    writer.writerows(sorted(rows))
    return buffer.getvalue().encode()


def build(out: Path, library: Library) -> list[str]:
    """Write the files to `out` and return their names."""
    recipes = read_recipes()
    written = []
    for folder in FOLDERS:
        (out / folder).mkdir(parents=True, exist_ok=True)
    contents = [picture_files(recipe, library) for recipe in recipes]
    contents += [photo_file(name, library) for name in PHOTOS]
    for path, content in (pair for files in contents for pair in files.items()):
        (out / path).write_bytes(content)
        written.append(path)
    (out / "SOURCES.csv").write_bytes(sources_csv(recipes))
    return sorted([*written, "SOURCES.csv"])


def differences(names: list[str], built: Path, committed: Path) -> list[str]:
    """What is not the same in both folders, one line each."""
    here = {str(p.relative_to(committed)) for d in FOLDERS for p in (committed / d).glob("*")}
    lines = [f"not in recipes.csv: {name}" for name in sorted(here - set(names))]
    for name in names:
        if not (committed / name).exists():
            lines.append(f"missing: {name}")
        elif not filecmp.cmp(built / name, committed / name, shallow=False):
            lines.append(f"differs: {name}")
    return lines


# --- the packages ----------------------------------------------------------------------------------


def other_versions(stated: dict[str, str]) -> list[str]:
    """The installed packages whose version is not the stated one."""
    found = []
    for package, wanted in stated.items():
        try:
            installed = version(package)
        except PackageNotFoundError:
            installed = "none"
        if installed != wanted:
            found.append(f"{package} {installed} (wanted {wanted})")
    return found


def deb_files(folder: Path) -> list[Path]:
    """The .deb files of the two packages in that folder, in the versions stated, if all are there."""
    names = [f"{package}_{number}_all.deb" for package, number in DEBIAN_PACKAGES.items()]
    return [folder / name for name in names] if all((folder / name).exists() for name in names) else []


def run(*command: str, cwd: Path | None = None) -> None:
    """Run a Debian tool, ending with one line if that fails."""
    try:
        subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL)
    except FileNotFoundError:
        fail(f"{command[0]} is missing: run this on Debian or Ubuntu, or unpack the packages yourself")
    except subprocess.CalledProcessError as error:
        fail(f"{command[0]} ended with code {error.returncode}: {' '.join(command)}")


@contextmanager
def source_tree(packages: Path | None) -> Iterator[Path]:
    """A folder with usr/share of both packages, unpacked for the time of the build if need be."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        if packages is None:
            wanted = [f"{package}={number}" for package, number in DEBIAN_PACKAGES.items()]
            run("apt-get", "download", *wanted, cwd=scratch)
            packages = scratch
        if all((packages / part).is_dir() for part in (STAMPS, BACKDROPS)):
            yield packages
            return
        found = deb_files(packages)
        if not found:
            wanted = " and ".join(f"{p} {number}" for p, number in DEBIAN_PACKAGES.items())
            fail(f"no .deb files of {wanted} in {packages}: get them with apt-get download")
        for deb in found:
            run("dpkg-deb", "-x", str(deb), str(scratch / "tree"))
        yield scratch / "tree"


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Build the picture set from its packages.")
    parser.add_argument("--packages", type=Path, help="folder with the two .deb files or their tree")
    parser.add_argument("--out", type=Path, default=HERE, help="where to write (default: this folder)")
    parser.add_argument("--check", action="store_true", help="compare with --out instead of writing there")
    options = parser.parse_args(arguments)

    others = other_versions(BYTES_MADE_WITH | FILES_TAKEN_FROM)
    if others:
        print(f"build.py: warning: bytes may differ under {', '.join(others)}", file=sys.stderr)
    with source_tree(options.packages) as tree, tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) if options.check else options.out
        names = build(out, Library(tree))
        if not options.check:
            print(f"{len(names)} files written to {out}")
            return 0
        lines = differences(names, out, options.out)
    print("\n".join(lines) if lines else f"{len(names)} files are the same byte for byte")
    return 1 if lines else 0


if __name__ == "__main__":
    raise SystemExit(main())
