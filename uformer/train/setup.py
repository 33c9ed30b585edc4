"""The images of a run and the recipe, fitted to each other: what is known before there is a network."""

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
from uformer.degradations import compose
from uformer.errors import OptionError
from uformer.image.image import Pixels
from uformer.train.recipe import Recipe, changed_network_fields

_DRAWINGS = 8
_SENT_TO_WORKERS = 2**26  # bytes of pictures that each worker may hold for itself


@dataclass(frozen=True, kw_only=True)
class Folders:
    """Where the pictures are: a folder, or two of pairs; and what to score with, where that lies apart."""

    data: Path | None = None
    degraded: Path | None = None
    clean: Path | None = None
    validation: Path | None = None

    def __post_init__(self) -> None:
        if (self.degraded is None) != (self.clean is None):
            raise OptionError("--degraded and --clean go together")
        if self.data is not None and self.clean is not None:
            raise OptionError("give --data, or --degraded and --clean")

    @property
    def given(self) -> bool:
        """Whether there is any folder of pictures to learn from."""
        return self.data is not None or self.clean is not None

    def sources(self) -> tuple[Source, ...]:
        """The pictures to learn from; none where no folder is given. Raises OptionError as `pairs.find` does."""
        if self.data is not None:
            return pairs.find(self.data)
        if self.degraded is not None and self.clean is not None:
            return pairs.find_pairs(self.degraded, self.clean)
        return ()

    def to_values(self) -> dict[str, str]:
        """Absolute paths by name, as config.yaml has them."""
        return {
            name: str(path.absolute()) for name, path in dataclasses.asdict(self).items() if path is not None
        }

    @classmethod
    def from_values(cls, values: object) -> Self:
        """Build from what `to_values` gave. Raises OptionError for anything else."""
        known = {field.name for field in dataclasses.fields(cls)}
        if (
            not isinstance(values, dict)
            or not set(values) <= known
            or not all(isinstance(path, str) for path in values.values())
        ):
            raise OptionError(
                f"config.yaml: data: {values!r}: expected paths of data, degraded, clean, validation"
            )
        return cls(**{name: Path(path) for name, path in values.items()})


@dataclass(frozen=True)
class Named:
    """A degradation of the table by its name, which is all that is sent to a worker process."""

    name: str

    @property
    def margin(self) -> int:
        """As of the degradation."""
        return compose.DEGRADATIONS[self.name].margin

    def apply(self, clean: Pixels, rng: Generator, /) -> tuple[Pixels, Pixels]:
        """As of the degradation."""
        return compose.DEGRADATIONS[self.name].apply(clean, rng)


@dataclass(frozen=True)
class HeldOut:
    """Images to score with: the middle of each, degraded the same way each time."""

    pictures: PictureSet
    degradation: Degrader | None
    recipe: Recipe

    def __len__(self) -> int:
        return len(self.pictures)

    def pairs(self, indices: Sequence[int]) -> Iterator[tuple[Pixels, Pixels]]:
        """(degraded, clean) of some of the pictures, (h, w, C) float32 in [0, 1]."""
        for index in indices:
            side, seed = self.recipe.validation_side, self.recipe.seed
            yield self.pictures.centre(index, side, degradation=self.degradation, seed=seed)


@dataclass(frozen=True)
class Prepared:
    """What a run learns from and is scored with, and the recipe that fits."""

    recipe: Recipe
    patches: Patches
    held_out: HeldOut
    """Images to score with."""
    shown: HeldOut
    """Images to draw samples of: those held out, or a few of the others where there are none."""
    notes: tuple[str, ...]
    """What has to be said to the user, a line each."""

    def fingerprints(self) -> tuple[str, str]:
        """What tells the images to learn from, and those to score with, from any others."""
        return self.patches.pictures.fingerprint(), self.held_out.pictures.fingerprint()

    def identity(self) -> dict[str, Any]:
        """What a saved state says about the recipe and the images; a run goes on only with the same."""
        pictures, held_out = self.fingerprints()
        return {"recipe": self.recipe.to_values(), "pictures": pictures, "held_out": held_out}


def check_sources(recipe: Recipe, sources: Sequence[Source]) -> Recipe:
    """The recipe that goes with the pictures: pairs are taken as they are, whatever the recipe would do to clean ones.

    Raises OptionError where it needs pairs and gets clean pictures alone, or needs pictures and gets none.
    """
    if not sources:
        if recipe.drawn < 1:
            wanted = "--degraded DIR --clean DIR, or --data DIR with degraded/ and clean/ in it"
            raise OptionError(
                f"{recipe.name} needs pictures: {wanted if recipe.degradation == 'none' else '--data DIR'}"
            )
        return recipe
    if sources[0].degraded is not None:
        return dataclasses.replace(recipe, degradation="none", drawn=0.0, structured=0.0, dry=0.0, gray=0.0)
    if recipe.degradation == "none":
        raise OptionError(
            f"{recipe.name} needs pairs; for clean pictures alone there are the recipes denoise, derain and deblur"
        )
    return recipe


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
    """Load the pictures and fit the recipe to them: channels, unless `settings` say them, and the network of weights to start from.

    `memory`: bytes that decoded pictures may take; more, or where they are `shared` by several processes, goes to a file in
    `cache`; `decoded`: another process has just written it. Raises OptionError and
    PictureError where pictures and recipe do not go together.
    """
    sources = folders.sources()
    recipe = check_sources(recipe, sources)
    apart = None if folders.validation is None else _validation_sources(folders.validation, sources)
    degradation = None if recipe.degradation == "none" else Named(recipe.degradation)
    memory = min(memory, _SENT_TO_WORKERS) if shared else memory
    if sources:
        found, notes = pictures.load(
            sources, smallest=recipe.patch, memory=memory, cache=cache, decoded=decoded
        )
    else:
        found, notes = drawings(recipe), []
    if folders.validation is not None and apart is not None:
        held, others = _validation(folders.validation, apart, found, memory=memory)
        notes += others
    else:
        found, held = found.split(recipe.held_out, seed=recipe.seed)
    recipe = fit_network(recipe, found, changed_network_fields(settings), started)
    channels = recipe.network.in_channels, recipe.network.out_channels
    found, held = (dataclasses.replace(part, channels=channels) for part in (found, held))
    patches = Patches(
        pictures=found,
        side=recipe.patch,
        seed=recipe.seed,
        degradation=degradation,
        augment=recipe.augment,
        drawn=recipe.drawn,
        structured=recipe.structured,
        dry=recipe.dry,
        gray=recipe.gray,
        mirrored=recipe.mirrored,
    )
    held_out, few = (
        HeldOut(held, degradation, recipe),
        HeldOut(found.take(range(min(2, len(found)))), degradation, recipe),
    )
    return Prepared(recipe, patches, held_out, held_out if len(held) else few, tuple(notes))


def fit_network(recipe: Recipe, found: PictureSet, asked: set[str], started: UformerConfig | None) -> Recipe:
    """The recipe with the network of the weights it starts from, or with the pictures' channels.

    `asked`: fields that the user set. Raises OptionError where weights or such a field contradict, or channels do not fit.
    """
    network = recipe.network
    if started is not None:
        changed = [
            text
            for text in differences(started, network)
            if text.partition(":")[0] in asked or "all" in asked
        ]
        if changed:
            raise OptionError(f"the weights to start from are of another network: {'; '.join(changed)}")
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
                f"network.{name} is {have}, and the pictures have {count} channels; --set network.{name}={count}"
            )
    return dataclasses.replace(recipe, network=network)


def drawings(recipe: Recipe) -> PictureSet:
    """Smooth pictures in place of photographs, for a recipe that draws all of its patches."""
    rng = np.random.default_rng(recipe.seed)
    side = max(recipe.patch, min(recipe.validation_side, 256))
    drawn = [np.rint(draw_gradient(rng, side) * 255).astype(np.uint8) for _ in range(_DRAWINGS)]
    places = tuple(range(_DRAWINGS))
    return PictureSet(
        Store({}, pictures=drawn), tuple(f"drawing {place}" for place in places), places, None, (3, 3)
    )


def _validation_sources(folder: Path, sources: Sequence[Source]) -> tuple[Source, ...]:
    """The pictures to score with. Raises OptionError where they are pairs and those to learn from are not, or the reverse."""
    apart = pairs.find(folder)
    paired = bool(sources) and sources[0].degraded is not None
    if (apart[0].degraded is not None) != paired:
        kinds = ("pairs", "clean pictures alone") if paired else ("clean pictures", "pairs")
        raise OptionError(f"{folder}: {kinds[1]}, and the pictures to learn from are {kinds[0]}")
    return apart


def _validation(
    folder: Path, sources: Sequence[Source], found: PictureSet, *, memory: int
) -> tuple[PictureSet, list[str]]:
    held, notes = pictures.load(sources, smallest=1, memory=memory)
    if any(count not in (1, wanted) for count, wanted in zip(held.channels, found.channels, strict=True)):
        raise OptionError(
            f"{folder}: pictures of {held.channels} channels; those to learn from have {found.channels}"
        )
    return held, [f"{folder}: {note}" for note in notes]
