"""`uformer convert`: the original authors' weights to a checkpoint, and back."""

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

from uformer.config import VARIANTS, UformerConfig, differences
from uformer.errors import CheckpointError, OptionError
from uformer.layout import parameter_count
from uformer.output import check_output
from uformer.weights import checkpoint, official, pth, registry
from uformer.words import counted

_UNNAMED = {
    "shift",
    "bottleneck_shift",
    "interleaved_keys",
}  # fields that the names of published networks leave open


def convert(
    source: str, output: Path, *, train_size: int | None = None, shift: bool = True, overwrite: bool = False
) -> None:
    """Convert the original authors' weights (.pth) to a checkpoint (.safetensors), or back.

    No code from the file is run. Every hyperparameter is recovered from the tensors, except the two that the
    options give.

    Parameters
    ----------
    source
        The authors' file (of 2021 or 2022; .pth, or .safetensors with the same keys), a uformer checkpoint,
        or weights by name.
    output
        OUT.safetensors for the authors' file, OUT.pth for a checkpoint.
    train_size
        Side in pixels of the images that the authors' network was built for: 128 for denoising, 256 for
        deblurring. It decides whether the bottleneck shifts its windows.
    shift
        Use --no-shift if the authors' network was built with shift_flag=False.
    overwrite
        Replace the output if it exists.
    """
    path = registry.find(source).verify() if source in registry.WEIGHTS else Path(source)
    ours = pth.is_safetensors(path) and checkpoint.is_checkpoint(path)
    _check_output(path, output, (".pth", ".pt") if ours else (".safetensors",), overwrite=overwrite)
    if ours:
        if train_size is not None or not shift:
            raise OptionError(
                f"{source}: is a checkpoint, which records how its windows shift; "
                "leave out --train-size and --no-shift"
            )
        config, state = checkpoint.read(path)
        with _naming(path):
            original = official.to_original(config, state)
        pth.write(output, original)
        print(f"{output}: {_summary(config)}")
        print(f"in the original code: {official.original_call(config)}")
    else:
        original = pth.read(path)
        with _naming(path):
            config, state = official.from_original(original, train_size=train_size, shift=shift)
        checkpoint.write(output, config, state)
        print(f"{output}: {_summary(config)}")
        if config.in_channels == config.out_channels == 3:
            print(f"next: uformer restore PHOTO --weights {shlex.quote(str(output))}")
    if config.in_channels == config.out_channels != 3:
        print(
            f"note: this network adds its input of {counted(config.in_channels, 'channel')} to the output, "
            "as the authors' 2021 code does; their 2022 code does so for 3 channels only"
        )


def _check_output(source: Path, output: Path, suffixes: tuple[str, ...], *, overwrite: bool) -> None:
    if output.suffix.lower() not in suffixes:
        kind = "a uformer checkpoint" if ".pth" in suffixes else "not a uformer checkpoint"
        raise OptionError(f"{output}: {source} is {kind}, so the output must end in {suffixes[0]}")
    check_output(output, overwrite=overwrite, source=source)


@contextlib.contextmanager
def _naming(source: Path) -> Iterator[None]:
    """Add the file's name to errors about its content."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from None


def _summary(config: UformerConfig) -> str:
    """The network in one line: its name if it is a published one, its size, and its hyperparameters."""
    published = (
        name
        for name, other in VARIANTS.items()
        if {text.partition(":")[0] for text in differences(config, other)} <= _UNNAMED
    )
    shifts = "shifted windows" if config.shift else "no shift"
    if config.shift and config.depths[config.levels] > 1 and not config.bottleneck_shift:
        shifts += " except in the bottleneck"
    parts = [
        f"embed_dim {config.embed_dim}",
        f"depths {' '.join(map(str, config.depths))}",
        f"heads {' '.join(map(str, config.num_heads))}",
        f"window {config.window_size}",
        f"{config.feed_forward} x {config.mlp_ratio:g}",
        f"skip {config.skip}",
        *(["modulators"] if config.modulator else []),
        *(["cross-modulators"] if config.cross_modulator else []),
        *([] if config.qkv_bias else ["no qkv bias"]),
        shifts,
        f"{counted(config.in_channels, 'channel')} in, {config.out_channels} out",
    ]
    size = f"{parameter_count(config) / 1e6:.2f} M parameters"
    return f"{next(published, 'a Uformer')}, {size} ({', '.join(parts)})"
