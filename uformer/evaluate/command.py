"""`uformer eval`."""

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from uformer.bars import Bars
from uformer.console import console_for
from uformer.errors import OptionError
from uformer.evaluate import results, submit
from uformer.evaluate.cases import Case, find_cases
from uformer.evaluate.evaluation import Advance, Failure, Keep, evaluate
from uformer.evaluate.protocols import Protocol, find
from uformer.evaluate.results import Setting
from uformer.files import require_folder, sha256_of
from uformer.image.image import Image
from uformer.image.samples import Samples
from uformer.image.tiff_stack_writer import write_tiff
from uformer.image.write import write
from uformer.notices import to_stderr
from uformer.output import check_output, check_output_folder
from uformer.restore.options import RestoreOptions
from uformer.restore.restorer import Restorer
from uformer.restore.tile_size import MARGIN
from uformer.values import option
from uformer.weights import registry
from uformer.weights.create import weights_file

_SECONDS_BETWEEN_LINES = 30


def eval_command(
    protocol: str | None = None,
    folder: Path | None = None,
    clean: Path | None = None,
    *,
    options: Annotated[RestoreOptions, Parameter(name="*")] = RestoreOptions(),
    data_range: str = "auto",
    json: Path | None = None,
    save: Path | None = None,
    limit: int | None = None,
    list_protocols: Annotated[bool, Parameter(name="--list", negative=())] = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Measure PSNR and SSIM on a dataset, computed as in published results. --list shows the protocols.

    Parameters
    ----------
    protocol
        The dataset and how its scores are computed: pairs, gaussian, sidd, gopro, rain100l, ...
    folder
        Folder of the dataset, as published. If files are missing, the error says what is expected.
    clean
        For paired protocols: folder of the clean images, if FOLDER holds only the degraded ones. For pairs,
        FOLDER and CLEAN may also be two images or stacks.
    data_range
        For pairs: the peak of PSNR, in the units of the files (255, 4095, 65535, 1). auto is the width
        of --range LOW:HIGH, or else of the range that the clean image uses: 255 for 8 bits.
    json
        Also write the scores of every image and their settings to this file.
    save
        Save the restored images in this folder as PNG; pairs keep their depth, and TIFF stays TIFF. For
        sidd-benchmark and dnd, save the files to submit.
    limit
        Use only the first N images, for a quick look.
    list_protocols
        Show the protocols.
    overwrite
        Replace files that exist.
    quiet
        Print only scores and errors.
    """
    if list_protocols:
        results.show_protocols(console_for())
        return 0
    if protocol is None or folder is None:
        raise OptionError("expected PROTOCOL FOLDER; `uformer eval --list` shows the protocols")
    chosen = find(protocol)
    if limit is not None and (limit < 1 or not chosen.scored):
        raise OptionError(
            f"--limit {limit}: a submission must be complete; leave --limit out"
            if limit > 0
            else f"--limit {limit}: must be at least 1"
        )
    peak = _peak(data_range, options, chosen)
    if json is not None:
        if not chosen.scored:
            raise OptionError(
                f"--json: {chosen.name} has no scores to write, because only the benchmark's server knows "
                "the ground truth"
            )
        check_output(json, overwrite=overwrite)
    if save is not None:
        check_output_folder(save)
    if not chosen.scored:
        return _submit(
            chosen, folder, clean, _with_weights(options, chosen), save, overwrite=overwrite, quiet=quiet
        )

    samples = find_cases(chosen, folder, clean)
    found = len(samples) // max(len(chosen.sigmas), 1)
    taken = [
        sample
        for subset in dict.fromkeys(each.subset for each in samples)
        for sample in _first(samples, subset, limit)
    ]
    options = _with_weights(options, chosen)
    notify = to_stderr(quiet=quiet)
    restorer = Restorer.from_options(options, notify=notify)
    _check_channels(restorer, chosen, save)
    keep = None if save is None else _keeper(save, taken, overwrite=overwrite)
    if other_count := results.count_warning(chosen, found):
        _warn(other_count, quiet=quiet)
    setting = _setting(restorer, options, found, limit)
    with _progress(chosen.name, len(taken), quiet=quiet) as advance:
        evaluation = evaluate(
            restorer, taken, chosen.scoring, data_range=peak, keep=keep, advance=advance, notify=notify
        )
    if evaluation.measured:
        results.show(console_for(), chosen, evaluation, setting)
    code = _name_failures(evaluation.failures)
    if json is not None:
        results.write_json(results.as_json(chosen, evaluation, setting), json)
    return code


def _peak(data_range: str, options: RestoreOptions, protocol: Protocol) -> float | None:
    """Return the peak of PSNR that was asked for; None for auto. Raises OptionError for any other text."""
    given = {"--data-range": data_range, "--range": options.range}
    for name, value in given.items():
        if value not in (None, "auto") and not protocol.scoring.own_depth:
            raise OptionError(f"{name} {value}: only for pairs; {protocol.name} scores images of 8 bits")
    if data_range == "auto":
        return None
    value = option("--data-range", data_range, float, text=True)
    if value <= 0:
        raise OptionError(f"--data-range {data_range}: must be auto or more than 0, such as 4095")
    return float(value)


def _first(samples: list[Case], subset: str, limit: int | None) -> list[Case]:
    return [sample for sample in samples if sample.subset == subset][:limit]


def _submit(
    protocol: Protocol,
    folder: Path,
    clean: Path | None,
    options: RestoreOptions,
    save: Path | None,
    *,
    overwrite: bool,
    quiet: bool,
) -> int:
    if save is None or clean is not None:
        raise OptionError(
            f"{protocol.name} takes one folder, and --save FOLDER for the files to submit; "
            f"{protocol.how_to_get()}"
        )
    require_folder(folder, protocol.how_to_get())
    submission = submit.plan_submission(protocol, folder)
    notify = to_stderr(quiet=quiet)
    restorer = Restorer.from_options(options, notify=notify)
    _check_channels(restorer, protocol, None)
    _check_save(
        save,
        [save / name for name in submission.files],
        [folder, folder / "images_srgb"],
        overwrite=overwrite,
    )
    changed = ", ".join(results.given(options))
    for warning in (
        submission.lacks,
        changed and f"the submission is made with {changed}; mention this when you publish the result",
    ):
        if warning:
            _warn(warning, quiet=quiet)
    method = (
        Path(str(options.weights)).stem
        if str(options.weights).endswith(".safetensors")
        else str(options.weights)
    )
    with _progress(protocol.name, submission.crops, quiet=quiet) as advance:
        failures = submit.submit(
            restorer, protocol, folder, save, method=method, advance=advance, notify=notify
        )
    console = console_for()
    results.show_published(console, protocol)
    if not failures:
        made = f"{save}: {len(submission.files)} files" + (f", made with {changed}" if changed else "")
        then = submission.lacks or f"next: submit {submission.upload} at {protocol.submit_at or protocol.url}"
        console.print(f"{made}; {then}")
    return _name_failures(tuple(failures))


def _with_weights(options: RestoreOptions, protocol: Protocol) -> RestoreOptions:
    """Return the options with weights; by default, those that ship for the protocol's task.

    Tones are free by default, because published results are those of the network alone.
    """
    if options.tones == "auto":
        options = dataclasses.replace(options, tones="free")
    if options.weights is not None:
        return options
    task = protocol.task or options.task
    if options.task not in (task, RestoreOptions.task):
        raise OptionError(
            f"--task {options.task}: {protocol.name} uses weights for {task}; select others with --weights"
        )
    if task not in registry.TASKS:
        raise OptionError(
            f"no weights ship for the task {task!r} (known: {', '.join(registry.TASKS)}); "
            "select some with --weights"
        )
    return dataclasses.replace(options, weights=registry.for_task(task).name)


def _setting(restorer: Restorer, options: RestoreOptions, found: int, limit: int | None) -> Setting:
    return Setting(
        weights=str(options.weights),
        sha256=sha256_of(weights_file(str(options.weights))),
        backend=restorer.backend,
        precision=restorer.precision,
        margin=MARGIN,
        multiple=restorer.grain,
        options=options,
        channels=restorer.config.in_channels,
        found=found,
        limit=limit,
    )


def _check_channels(restorer: Restorer, protocol: Protocol, save: Path | None) -> None:
    """Raise OptionError if the run is impossible because the network is neither gray nor RGB."""
    channels = restorer.config.in_channels
    if channels in (1, 3):
        return
    if not protocol.any_channels:
        raise OptionError(
            f"weights with {channels} channels: {protocol.name} uses RGB images; use the protocol pairs"
        )
    if save is not None:
        raise OptionError(f"--save: images with {channels} channels cannot be written as PNG; omit --save")


def _warn(text: str, *, quiet: bool) -> None:
    """Print a warning on standard error before anything is computed; the results repeat it."""
    if not quiet:
        print(f"uformer: warning: {text}", file=sys.stderr)


def _check_save(save: Path, files: list[Path], sources: list[Path], *, overwrite: bool) -> None:
    """Create the folders of saved files.

    Raises OptionError if a file exists and `overwrite` is false, or if a folder holds inputs.
    """
    inputs = {Path(os.path.realpath(source)) for source in sources}
    if any(Path(os.path.realpath(path.parent)) in inputs for path in files):
        raise OptionError(
            f"--save {save}: the folder holds the images that are measured; choose another folder"
        )
    folders = [save, *dict.fromkeys(path.parent for path in files)]
    for folder in folders:
        check_output_folder(folder)
    there = [path for path in files if path.exists()]
    if there and not overwrite:
        raise OptionError(
            f"{there[0]} exists; add --overwrite to replace it, or choose another folder with --save"
        )
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)


def _keeper(save: Path, samples: list[Case], *, overwrite: bool) -> Keep:
    """Return a function that writes a restored image to SAVE/SUBSET/NAME.png (or .tif)."""
    paths = {sample: save / sample.subset / f"{sample.name}{sample.suffix}" for sample in samples}
    if len(set(paths.values())) < len(paths):
        raise OptionError(
            "--save: two images have the same name except for the suffix, and would be saved to the same file"
        )
    _check_save(
        save,
        list(paths.values()),
        [folder for sample in samples for folder in sample.folders],
        overwrite=overwrite,
    )

    def keep(sample: Case, restored: Image | Samples) -> None:
        if isinstance(restored, Image):
            write(restored, paths[sample])
        else:
            write_tiff(restored, paths[sample])

    return keep


@contextlib.contextmanager
def _progress(name: str, total: int, *, quiet: bool) -> Iterator[Advance]:
    """Show progress: a bar on a terminal, elsewhere a line every 30 seconds."""
    done = 0
    with Bars(total, shown=not quiet and sys.stderr.isatty(), title=name, tiles=False) as bars:

        def advance() -> None:
            nonlocal done
            done += 1
            bars.file_done()
            if not quiet:
                bars.remark(f"uformer: {name}: {done} of {total}", every=_SECONDS_BETWEEN_LINES)

        yield advance


def _name_failures(failures: tuple[Failure, ...]) -> int:
    for failure in failures:
        print(results.failure_line(failure), file=sys.stderr)
    return 1 if failures else 0
