"""Load the images of a run and fit the recipe to them, before the network is made."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.random import Generator

from uformer.config import TRAINING_ONLY, UformerConfig, differences
from uformer.data import pairs, pictures
from uformer.data.augment import draw_gradient
from uformer.data.datasets import Patches
from uformer.data.pairs import Source
from uformer.data.pictures import Degrader, PictureSet
from uformer.data.store import Store
from uformer.data.targets import TARGETS
from uformer.degradations import compose
from uformer.degradations.counts import CountNoise
from uformer.errors import OptionError
from uformer.image.image import Pixels
from uformer.train.recipe import Recipe, changed_network_fields

_PAIRS = "DIR with degraded/ and clean/ in it, or --degraded DIR --clean DIR"
_NEEDS = {
    "pairs": f"pairs: give --data {_PAIRS}",
    "clean": "images: give --data DIR",
    "noisy": "noisy images: give --data DIR",
    "noisy pairs": f"two noisy takes of each image: give --data {_PAIRS}",
}
"""What to say about the images that `needs` names."""

_GRAY, _RGB = 1, 3  # channels
_DRAWINGS = 8
_SENT_TO_WORKERS = 2**26  # bytes of images that each worker may copy; larger sets are shared through a file


@dataclass(frozen=True, kw_only=True)
class Folders:
    """Where the images are: one folder, or two folders of pairs; and the folder to score with, if separate.

    Raises OptionError if only one of `degraded` and `clean` is given, or both `data` and them.
    """

    data: Path | None = None
    degraded: Path | None = None
    clean: Path | None = None
    validation: Path | None = None

    def __post_init__(self) -> None:
        if (self.degraded is None) != (self.clean is None):
            missing = "--clean" if self.clean is None else "--degraded"
            raise OptionError(f"--degraded and --clean go together; {missing} is missing")
        if self.data is not None and self.clean is not None:
            raise OptionError("give either --data, or --degraded and --clean, not both")

    @property
    def given(self) -> bool:
        """Whether a folder of images to learn from is given."""
        return self.data is not None or self.clean is not None

    def sources(self, recipe: Recipe) -> tuple[Source, ...]:
        """Return the images to learn from; none if no folder is given. Errors are those of `pairs.find`."""
        if self.data is not None:
            return _find(self.data, recipe)
        if self.degraded is not None and self.clean is not None:
            return pairs.find_pairs(self.degraded, self.clean)
        return ()

    def to_values(self) -> dict[str, str]:
        """Return absolute paths by name, as config.yaml holds them."""
        return {
            name: str(path.absolute()) for name, path in dataclasses.asdict(self).items() if path is not None
        }

    @classmethod
    def from_values(cls, values: object) -> Self:
        """Build from the result of `to_values`. Raises OptionError for anything else."""
        known = {field.name for field in dataclasses.fields(cls)}
        if (
            not isinstance(values, dict)
            or not set(values) <= known
            or not all(isinstance(path, str) for path in values.values())
        ):
            raise OptionError(
                f"config.yaml: data {values!r}: expected paths by the names data, degraded, clean, validation"
            )
        return cls(**{name: Path(path) for name, path in values.items()})


@dataclass(frozen=True)
class Named:
    """A built-in degradation, stored by name, so that only its name is sent to a worker process."""

    name: str

    @property
    def margin(self) -> int:
        """The margin of the degradation, in pixels."""
        return compose.DEGRADATIONS[self.name].margin

    def apply(self, clean: Pixels, rng: Generator, /) -> tuple[Pixels, Pixels]:
        """Apply the degradation. Returns (degraded, clean)."""
        return compose.DEGRADATIONS[self.name].apply(clean, rng)


@dataclass(frozen=True)
class HeldOut:
    """Images to score with. The centre crop of each is degraded in the same way every time."""

    pictures: PictureSet
    degradation: Degrader | None
    recipe: Recipe
    truth: bool = True
    """Whether the second image of each pair is clean. Otherwise the recipe's own loss is the score."""

    def __len__(self) -> int:
        return len(self.pictures)

    def pairs(self, indices: Sequence[int]) -> Iterator[tuple[Pixels, Pixels]]:
        """Yield (degraded, clean) for some of the images, each (h, w, C) float32 in [0, 1]."""
        for index in indices:
            side, seed = self.recipe.validation_side, self.recipe.seed
            yield self.pictures.centre(index, side, degradation=self.degradation, seed=seed)

    def targets(self, indices: Sequence[int]) -> Iterator[tuple[Pixels, Pixels]]:
        """Yield input and target, as in training, for some of the images if there is no truth."""
        make = TARGETS[self.recipe.supervision]
        for index, (first, second) in zip(indices, self.pairs(indices), strict=True):
            yield make(first, second, np.random.default_rng([self.recipe.seed, index]))


@dataclass(frozen=True)
class Prepared:
    """What a run learns from and is scored with, and the recipe fitted to it."""

    recipe: Recipe
    patches: Patches
    held_out: HeldOut
    """Images to score with."""
    shown: HeldOut
    """Images that samples are drawn of: the held-out images, or a few of the others if none are held out."""
    notes: tuple[str, ...]
    """Notes for the user, one line each."""
    start: str | None = None
    """Weights that a new run starts from."""

    def fingerprints(self) -> tuple[str, str]:
        """Return fingerprints of the images to learn from and of the images to score with."""
        return self.patches.pictures.fingerprint(), self.held_out.pictures.fingerprint()

    def identity(self) -> dict[str, Any]:
        """Return what a saved state holds about recipe and images. A run resumes only with the same."""
        pictures, held_out = self.fingerprints()
        return {"recipe": self.recipe.to_values(), "pictures": pictures, "held_out": held_out}


def check_sources(recipe: Recipe, sources: Sequence[Source]) -> Recipe:
    """Return the recipe for these images. Pairs are used as they are, so they turn the degradation off.

    Raises OptionError if the recipe needs pairs but gets only clean images, or needs images but gets none.
    """
    if not sources:
        if recipe.drawn < 1:
            raise OptionError(f"{recipe.name} needs {_NEEDS[needs(recipe)]}")
        return recipe
    paired = sources[0].degraded is not None
    if recipe.supervision != "clean":
        if needs(recipe) == "noisy pairs" and not paired:
            raise OptionError(
                f"{recipe.name} needs {_NEEDS['noisy pairs']}; for single takes, use noise2void"
            )
        return recipe
    if paired:
        return dataclasses.replace(
            recipe, degradation="none", noise="", drawn=0.0, structured=0.0, dry=0.0, gray=0.0
        )
    if recipe.degradation == "none":
        raise OptionError(
            f"{recipe.name} needs pairs; for clean images alone, use the recipe denoise, derain or deblur"
        )
    return recipe


def needs(recipe: Recipe) -> str:
    """Return the kind of images that a recipe learns from: none, clean, pairs, noisy, or noisy pairs."""
    if recipe.supervision != "clean":
        return "noisy pairs" if recipe.supervision == "noise2noise" else "noisy"
    return "none" if recipe.drawn == 1 else "pairs" if recipe.degradation == "none" else "clean"


def prepare(
    recipe: Recipe,
    folders: Folders,
    settings: Sequence[str] = (),
    *,
    started: UformerConfig | None = None,
    memory: int,
    cache: Path,
    shared: bool = False,
    decoded: bool = False,
) -> Prepared:
    """Load the images and fit the recipe to them (`fit_network`).

    - `settings`: the user's settings. If they set the network's channels, the images do not override them.
    - `started`: the configuration of the weights to start from.
    - `memory`: bytes that decoded images may take. Larger sets, and sets of more than 64 MiB that several
      processes share (`shared`), go to a file in the folder `cache`.
    - `decoded`: whether another process has just written this file.

    Raises OptionError or PictureError if the images do not suit the recipe.
    """
    sources = folders.sources(recipe)
    recipe = check_sources(recipe, sources)
    apart = None if folders.validation is None else _validation_sources(folders.validation, sources, recipe)
    degradation = _degradation(recipe)
    memory = min(memory, _SENT_TO_WORKERS) if shared else memory
    noisy = recipe.supervision != "clean"
    side = 2 * recipe.patch if recipe.supervision == "neighbor2neighbor" else recipe.patch
    if sources:
        found, notes = pictures.load(
            sources,
            smallest=side,
            memory=memory,
            cache=cache,
            decoded=decoded,
            noisy=noisy,
            asked=recipe.range,
        )
        found = _of_one_kind(found) if noisy else found
    else:
        found, notes = drawings(recipe), []
    if folders.validation is not None and apart is not None:
        held, others = _validation(
            folders.validation, apart, found, memory=memory, noisy=noisy, asked=recipe.range
        )
        notes += others
        truth = not noisy or apart[0].degraded is not None
    else:
        found, held = found.split(recipe.held_out, seed=recipe.seed)
        truth = not noisy or (needs(recipe) == "noisy" and sources[0].degraded is not None)
    recipe = fit_network(recipe, found, changed_network_fields(settings), started)
    channels = recipe.network.in_channels, recipe.network.out_channels
    found, held = (dataclasses.replace(part, channels=channels) for part in (found, held))
    patches = Patches(
        pictures=found,
        side=side,
        seed=recipe.seed,
        degradation=degradation,
        make=TARGETS.get(recipe.supervision),
        augment=recipe.augment,
        drawn=recipe.drawn,
        structured=recipe.structured,
        dry=recipe.dry,
        gray=recipe.gray,
        mirrored=recipe.mirrored,
    )
    held_out, few = (
        HeldOut(held, degradation, recipe, truth),
        HeldOut(found.take(range(min(2, len(found)))), degradation, recipe, truth),
    )
    return Prepared(recipe, patches, held_out, held_out if len(held) else few, tuple(notes))


def _degradation(recipe: Recipe) -> Degrader | None:
    if recipe.noise:
        return CountNoise.parse(recipe.noise)
    return None if recipe.degradation == "none" else Named(recipe.degradation)


def fit_network(recipe: Recipe, found: PictureSet, asked: set[str], started: UformerConfig | None) -> Recipe:
    """Return the recipe with the network of the weights it starts from, or with the channels of the images.

    `asked` names the network fields that the user set ("all" for a whole variant). Raises OptionError if one
    of them contradicts the weights, or if the channels do not fit the images.
    """
    network = recipe.network
    if started is not None:
        changed = [
            text
            for text in differences(started, network)
            if text.partition(":")[0] in asked or "all" in asked
        ]
        if changed:
            raise OptionError(
                f"the settings do not fit the weights to start from; leave them out: {'; '.join(changed)}"
            )
        network = dataclasses.replace(started, **{name: getattr(network, name) for name in TRAINING_ONLY})
    wanted: dict[str, Any] = dict(zip(("in_channels", "out_channels"), found.channels, strict=True))
    if started is None:
        network = dataclasses.replace(
            network, **{name: count for name, count in wanted.items() if name not in asked}
        )
    for name, count in wanted.items():
        have = getattr(network, name)
        if count not in (have, 1):
            raise OptionError(
                f"network.{name} {have}: the images have {count} channels; try --set network.{name}={count}"
            )
    return dataclasses.replace(recipe, network=network)


def starts_by_default(prepared: Prepared, settings: Sequence[str]) -> bool:
    """Whether a new run without `--start` starts from the weights that its recipe names.

    It does if the images are RGB and the settings leave the network alone.
    """
    rgb = prepared.patches.pictures.channels == (_RGB, _RGB)
    asked = changed_network_fields(settings) - set(TRAINING_ONLY)
    return bool(prepared.recipe.start) and rgb and not asked


def starting_from(
    prepared: Prepared, start: str, network: UformerConfig, settings: Sequence[str]
) -> Prepared:
    """Return what `prepare` returned, for a run that starts from weights with this configuration."""
    asked = changed_network_fields(settings)
    recipe = fit_network(prepared.recipe, prepared.patches.pictures, asked, network)
    note = f"starting from {start}, because the images are RGB; --start none begins with random weights"
    return dataclasses.replace(prepared, recipe=recipe, start=start, notes=(*prepared.notes, note))


def drawings(recipe: Recipe) -> PictureSet:
    """Return smooth drawings in place of photographs, for a recipe that draws all of its patches."""
    rng = np.random.default_rng(recipe.seed)
    side = max(recipe.patch, min(recipe.validation_side, 256))
    drawn = [np.rint(draw_gradient(rng, side) * 255).astype(np.uint8) for _ in range(_DRAWINGS)]
    places = tuple(range(_DRAWINGS))
    return PictureSet(
        Store({}, pictures=drawn), tuple(f"drawing {place}" for place in places), places, None, (3, 3)
    )


def _find(folder: Path, recipe: Recipe) -> tuple[Source, ...]:
    return pairs.find(folder) if recipe.supervision == "clean" else pairs.find_noisy(folder)


def _of_one_kind(found: PictureSet) -> PictureSet:
    """Return noisy images with the channels of the noisy ones on both sides.

    Raises OptionError if the other images of the pairs have other channels. Gray ones are repeated.
    """
    noisy, other = found.channels
    if other not in (noisy, _GRAY):
        raise OptionError(
            f"the noisy images have {noisy} channels and their partners {other}; "
            "without clean images, both need the same number"
        )
    return dataclasses.replace(found, channels=(noisy, noisy))


def _validation_sources(folder: Path, sources: Sequence[Source], recipe: Recipe) -> tuple[Source, ...]:
    """Return the images of `--validation`. Raises OptionError unless they and `sources` are of one kind.

    A recipe that learns without clean images is scored with pairs of noisy and clean images. One that learns
    from single noisy images may also be scored with such images.
    """
    apart = _find(folder, recipe)
    if needs(recipe) == "noisy" or (needs(recipe) == "noisy pairs" and apart[0].degraded is not None):
        return apart
    paired = bool(sources) and sources[0].degraded is not None
    alone = "clean images" if recipe.supervision == "clean" else "single images"
    if (apart[0].degraded is not None) != paired:
        wanted, got = ("pairs", f"only {alone}") if paired else ("clean images", "pairs")
        raise OptionError(
            f"--validation {folder}: has {got}; the images to learn from are {wanted}, so give {wanted}"
        )
    return apart


def _validation(
    folder: Path, sources: Sequence[Source], found: PictureSet, *, memory: int, noisy: bool, asked: str
) -> tuple[PictureSet, list[str]]:
    held, notes = pictures.load(sources, smallest=1, memory=memory, noisy=noisy, asked=asked)
    if any(count not in (1, wanted) for count, wanted in zip(held.channels, found.channels, strict=True)):
        raise OptionError(
            f"--validation {folder}: the images have {held.channels} channels (degraded, clean); "
            f"those to learn from have {found.channels}"
        )
    return held, [f"{folder}: {note}" for note in notes]
