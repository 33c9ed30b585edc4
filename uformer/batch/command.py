"""`uformer batch`."""

from typing import Annotated, Literal

from cyclopts import Parameter

from uformer.errors import OptionError
from uformer.files import require
from uformer.image.write import MetadataPolicy
from uformer.restore.options import RestoreOptions

Where = Literal["local", "ray"]


def batch(
    source: str,
    out: str,
    /,
    *,
    options: Annotated[RestoreOptions, Parameter(name="*")] = RestoreOptions(),
    metadata: MetadataPolicy = "keep",
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
    """Restore millions of pictures: a job that resumes, here or on a Ray cluster.

    Parameters
    ----------
    source
        IN: a folder, a pattern, a Parquet file with a column "input" (and maybe "output"), or a .txt list; on disks, s3://, gs://, hf://.
    out
        OUT: the folder of the outputs; those that are there are done.
    metadata
        Keep EXIF and XMP, strip them, or keep what is safe to show: no place, thumbnail or serial number. The colour profile stays.
    engine
        Where the work is done: local, in this process; ray, by workers of a Ray cluster.
    address
        Of a Ray cluster's head, HOST:PORT, or auto; by default a cluster is started on this machine, for this job.
    workers
        Workers of the cluster, each with the network loaded; by default as many as it has room for.
    num_cpus
        Cores of a worker; by default 4, or as many as a machine has.
    num_gpus
        GPUs of a worker, such as 1 or 0.5; by default none.
    manifest
        The Parquet file that says what became of each picture; by default OUT/manifest.parquet.
    failures
        The file of those that failed, a line of JSON each; by default OUT/failures.jsonl.
    overwrite
        Restore all again; otherwise what is done stays.
    quiet
        Print nothing but errors.
    """
    ray_only = {"address": address, "workers": workers, "num-cpus": num_cpus, "num-gpus": num_gpus}
    if engine == "local" and (
        given := [f"--{name}" for name, value in ray_only.items() if value is not None]
    ):
        raise OptionError(f"{', '.join(given)}: only with --engine ray")
    for module in ("fsspec", "pyarrow"):
        require(module, "batch")
    from uformer.batch import run  # noqa: PLC0415 - needs what may be missing

    job = run.BatchJob(
        source=source,
        out=out,
        options=options,
        metadata=metadata,
        manifest=manifest,
        failures=failures,
        overwrite=overwrite,
        quiet=quiet,
    )
    if engine == "local":
        return run.run(job, run.here(options, metadata))
    from uformer.batch import ray  # noqa: PLC0415

    cluster = ray.Cluster(address=address, workers=workers, num_cpus=num_cpus, num_gpus=num_gpus or 0.0)
    with ray.only_ours():
        return run.run(job, ray.engine(options, metadata, cluster))
