"""`uformer batch`."""

from typing import Annotated, Literal

from cyclopts import Parameter

from uformer.errors import OptionError
from uformer.files import Times, require
from uformer.image.write import MetadataPolicy
from uformer.notices import to_stderr
from uformer.restore.masks import mask_values
from uformer.restore.options import RestoreOptions

Where = Literal["local", "ray"]


def batch(
    source: str,
    out: str,
    /,
    *,
    options: Annotated[RestoreOptions, Parameter(name="*")] = RestoreOptions(),
    mask: str | None = None,
    metadata: MetadataPolicy = "keep",
    times: Times = "now",
    engine: Where = "local",
    address: str | None = None,
    workers: int | None = None,
    num_cpus: int | None = None,
    num_gpus: float | None = None,
    manifest: str | None = None,
    failures: str | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Restore millions of images, here or on a Ray cluster; an interrupted job resumes.

    Parameters
    ----------
    source
        IN: a folder, a pattern, a Parquet file with a column "input" (and optionally "output"), or a .txt
        file with one input per line; a path or a URL (s3://, gs://, hf://).
    out
        OUT: the folder of the outputs. Images whose outputs exist are skipped.
    mask
        Gray image file for all images: its white parts are restored, its black parts stay as they are. It
        needs the width and height of each image, or the same ratio of them.
    metadata
        Keep or strip EXIF, XMP and IPTC; safe removes location, serial numbers, names and thumbnails. The
        colour profile always stays.
    times
        keep gives each output the modification time of its input. It works from disk to disk, not with URLs.
    engine
        local: work in this process. ray: use the workers of a Ray cluster, each with the network loaded.
    address
        Head of a running Ray cluster: HOST:PORT, or auto. Default: start a cluster on this machine, for this
        job only.
    workers
        Number of workers. Default: as many as the cluster has room for.
    num_cpus
        CPU cores per worker, which is also its number of inference threads. Default: 4, or fewer if the
        machine or --workers leaves fewer.
    num_gpus
        GPUs per worker; 0.5 is half a GPU. Default: none.
    manifest
        Location of the manifest, a Parquet file with the outcome of each image. Default:
        OUT/manifest.parquet.
    failures
        Location of the list of failed images, one line of JSON each. Default: OUT/failures.jsonl.
    overwrite
        Restore every image again; other weights or options are then allowed.
    quiet
        Print errors only.
    """
    ray_only = {"address": address, "workers": workers, "num-cpus": num_cpus, "num-gpus": num_gpus}
    if engine == "local" and (
        given := [f"--{name}" for name, value in ray_only.items() if value is not None]
    ):
        raise OptionError(f"{', '.join(given)}: needs --engine ray")
    for module in ("fsspec", "pyarrow"):
        require(module, "batch")
    from uformer.batch import run, work  # noqa: PLC0415 - needs the packages checked above

    notify = to_stderr(quiet=quiet)
    shares = None if mask is None else mask_values(mask, notify=notify)
    task = work.Task(options=options, mask=shares, metadata=metadata, times=times)
    job = run.BatchJob(
        source=source,
        out=out,
        task=task,
        manifest=manifest,
        failures=failures,
        overwrite=overwrite,
        quiet=quiet,
    )
    if engine == "local":
        return run.run(job, run.here(task, notify))
    from uformer.batch import ray  # noqa: PLC0415

    cluster = ray.Cluster(address=address, workers=workers, num_cpus=num_cpus, num_gpus=num_gpus or 0.0)
    with ray.only_ours():
        return run.run(job, ray.engine(task, cluster, notify))
