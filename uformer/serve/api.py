"""The routes that restore images, in one request or as jobs."""

import asyncio
import dataclasses
import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, Response

from uformer.image.write import MetadataPolicy
from uformer.restore.restoration import Restoration
from uformer.serve.accept import Answer, check_accepted, choose_suffix
from uformer.serve.jobs import FINISHED, Ending, Job, too_slow
from uformer.serve.problems import GUARDED, Cancelled, Problem, refused_as, responses
from uformer.serve.query import Asked, asked_options, blend_names, only, option_names
from uformer.serve.service import Service
from uformer.serve.upload import FIELD, MEDIA_TYPES, Rules, check_header, picture_bytes

_POLL = 0.1  # seconds between checks whether a job was interrupted

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object",
        "required": [FIELD],
        "properties": {FIELD: {"type": "string", "format": "binary"}},
    }
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {**dict.fromkeys(MEDIA_TYPES.values(), _BINARY), "multipart/form-data": _FORM},
    }
}
_PICTURE: dict[str, Any] = {
    "description": "The restored image.",
    "content": dict.fromkeys(MEDIA_TYPES.values(), _BINARY),
}
_JOB_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["id", "state", "tiles_done", "tiles", "result"],
    "properties": {
        "id": {"type": "string"},
        "state": {"enum": ["queued", "running", *FINISHED]},
        "ahead": {"type": "integer", "description": "Number of images ahead of this one in the queue."},
        "width": {"type": "integer"},
        "height": {"type": "integer"},
        "format": {"type": "string", "description": "Format of the upload."},
        "depth": {"type": "integer", "description": "Bits per sample of the upload."},
        "notes": {
            "type": "array",
            "items": {"type": "string"},
            "description": "What happens to the image besides restoring.",
        },
        "range": {
            "type": ["array", "null"],
            "items": {"type": "number"},
            "description": "Lowest and highest value that the network sees as black and white, in the units "
            "of the upload; null for all that its bit depth can hold.",
        },
        "tiles_done": {"type": "integer"},
        "tiles": {
            "type": ["integer", "null"],
            "description": "Total number of tiles; null until the first one is done.",
        },
        "seconds": {"type": "number", "description": "Processing time so far, in seconds."},
        "eta_seconds": {"type": ["number", "null"]},
        "problem": {"type": ["object", "null"], "description": "Why the job failed."},
        "held": {
            "type": "boolean",
            "description": "Whether the result can have other controls without a new run.",
        },
        "not_held": {
            "type": ["string", "null"],
            "description": "Why it cannot, although `hold` asked for it.",
        },
        "result": {"type": "string", "description": "Path of the restored image, once the job is done."},
    },
}
_JOB: dict[str, Any] = {"description": "The job.", "content": {"application/json": {"schema": _JOB_SCHEMA}}}
_UPLOAD_ERRORS = (400, 406, 408, 413, 415, 422, 429, 503)

Metadata = Annotated[
    MetadataPolicy,
    Query(
        description="What happens to EXIF, XMP and IPTC. The default removes them, because they can reveal "
        "where and by whom the photo was taken. The colour profile always stays."
    ),
]
Format = Annotated[
    Answer, Query(alias="format", description="Format of the response; `same` is that of the upload.")
]
OtherFormat = Annotated[
    Answer | None, Query(alias="format", description="Format of the response; `same` is that of the upload.")
]
Hold = Annotated[
    bool,
    Query(
        description="Hold the network's answer, so that `GET /v1/jobs/{job_id}/result` can apply other "
        "controls without a new run. The job's `held` says whether it is held."
    ),
]


def posts(service: Service) -> APIRouter:
    """Return the routes that accept images."""
    routes = APIRouter()
    known = (*option_names(), "metadata", "format")
    chosen = Depends(asked_options(option_names(), service.catalogue.names))
    settings, engine = service.settings, service.engine

    async def take(
        request: Request,
        asked: Asked,
        metadata: MetadataPolicy,
        answer: Answer,
        accept: str | None,
        seconds: float,
        hold: bool = False,
    ) -> Job:
        """Admit, read, check and queue an image. Raises Problem or Cancelled."""
        with refused_as(422, "options"):
            options = service.catalogue.options(asked)
        slot = engine.admit()
        try:
            rules = Rules(
                max_bytes=settings.max_bytes,
                seconds=settings.timeout,
                min_rate=settings.min_rate,
                took=slot.add_bytes,
            )
            data = await picture_bytes(request, rules)
            header = await asyncio.to_thread(check_header, data, max_pixels=settings.max_pixels)
            suffix = choose_suffix(answer, accept, header)
            job = Job(data, header, options, suffix=suffix, metadata=metadata, seconds=seconds, hold=hold)
            del data
            engine.submit(job, slot)
        except BaseException:
            slot.release()
            raise
        return job

    @routes.post(
        "/v1/restore",
        summary="Restore an image",
        tags=["restore"],
        dependencies=[Depends(only(*known))],
        response_class=Response,
        responses={200: _PICTURE, **responses(*_UPLOAD_ERRORS, *GUARDED, 500, 504)},
        openapi_extra=_BODY,
    )
    async def restore(
        request: Request, asked: Asked = chosen, metadata: Metadata = "strip", answer: Format = "same"
    ) -> Response:
        """Returns the restored image, in the format of the upload unless `format` or Accept selects another.

        If the client disconnects, the work stops at the next tile.
        """
        job = await take(request, asked, metadata, answer, request.headers.get("accept"), settings.timeout)
        data = await _finished(request, job, settings.timeout)
        return Response(data, media_type=MEDIA_TYPES[job.suffix], headers={"Server-Timing": _timing(job)})

    @routes.post(
        "/v1/jobs",
        summary="Start a job",
        tags=["jobs"],
        status_code=202,
        dependencies=[Depends(only(*known, "hold"))],
        response_class=JSONResponse,
        responses={202: _JOB, **responses(*_UPLOAD_ERRORS, *GUARDED, 500)},
        openapi_extra=_BODY,
    )
    async def begin(
        request: Request,
        asked: Asked = chosen,
        metadata: Metadata = "strip",
        answer: Format = "same",
        hold: Hold = False,
    ) -> Response:
        """Starts a job and returns it; poll it until it is done. Use jobs for large images or progress."""
        service.store.check_room()
        job = await take(request, asked, metadata, answer, None, settings.job_timeout, hold)
        service.store.add(job)
        shown = job.to_json(ahead=engine.ahead(job), root=settings.root_path)
        return JSONResponse(shown, 202, {"Location": f"{settings.root_path}/v1/jobs/{job.id}"})

    return routes


def jobs(service: Service) -> APIRouter:
    """Return the routes of existing jobs: progress, result and deletion."""
    routes = APIRouter()
    chosen = Depends(asked_options(blend_names()))
    engine, store, blender = service.engine, service.store, service.blender

    @routes.get(
        "/v1/jobs/{job_id}",
        summary="Get a job's progress",
        tags=["jobs"],
        response_class=JSONResponse,
        responses={200: _JOB, **responses(404, 422, *GUARDED, 500)},
    )
    async def look(job_id: str) -> Response:
        job = store.get(job_id)
        return JSONResponse(job.to_json(ahead=engine.ahead(job), root=service.settings.root_path))

    @routes.get(
        "/v1/jobs/{job_id}/result",
        summary="Get a job's restored image, if necessary with other controls",
        tags=["jobs"],
        dependencies=[Depends(only(*blend_names(), "metadata", "format"))],
        response_class=Response,
        responses={200: _PICTURE, **responses(400, 404, 406, 409, 410, 422, 429, *GUARDED, 500, 503, 504)},
    )
    async def result(
        request: Request,
        job_id: str,
        asked: Asked = chosen,
        metadata: MetadataPolicy | None = None,
        answer: OtherFormat = None,
    ) -> Response:
        """Returns the image until the job is deleted or expires. A failed job returns its error.

        A parameter that is not given is as it was for the job. Other values than those of the job need an
        answer that is held (see `hold`); the network does not run again.
        """
        job = store.get(job_id)
        if job.problem is not None:
            raise job.problem
        if job.state == "cancelled":
            raise Problem(410, "cancelled", "the job was cancelled")
        if job.state != "done":
            raise Problem(409, "not-finished", "the job has not finished yet", retry_after=1)
        suffix = job.suffix if answer is None else choose_suffix(answer, None, job.header)
        check_accepted(suffix, request.headers.get("accept"))
        with refused_as(422, "options"):
            options = dataclasses.replace(job.options, **asked)
        policy = metadata or job.metadata
        if not job.is_as(options, suffix, policy):
            seconds = service.settings.timeout
            blend = Job(b"", job.header, options, suffix=suffix, metadata=policy, seconds=seconds)
            blender.submit(blend, held_answer(job))
            data, timing = await _finished(request, blend, seconds), _timing(blend, "blend")
        else:
            data, timing = job.restored, _timing(job)
        job.fetched = True
        return Response(data, media_type=MEDIA_TYPES[suffix], headers={"Server-Timing": timing})

    def held_answer(job: Job) -> Restoration:
        """Return the held answer of a job. Raises Problem if there is none or the server is stopping."""
        engine.check_ready()
        found = service.held.get(job)
        if found is None:
            reason = job.not_held or "the job was started without hold=true"
            raise Problem(409, "not-held", f"{reason}; send the image again to change the controls")
        return found

    @routes.delete(
        "/v1/jobs/{job_id}",
        summary="Cancel a job or delete its result",
        tags=["jobs"],
        status_code=204,
        responses=responses(404, 422, *GUARDED, 500),
    )
    async def delete(job_id: str) -> None:
        store.remove(store.get(job_id))

    return routes


async def _finished(request: Request, job: Job, seconds: float) -> bytes:
    """Wait for a job and return its result.

    Raises Problem if the job fails, is interrupted or takes too long, and Cancelled if the client
    disconnects. All of them stop the job.
    """
    until = time.monotonic() + seconds
    done: asyncio.Future[Ending] = asyncio.wrap_future(job.future)
    gone = asyncio.create_task(_left(request))
    try:
        waited: set[asyncio.Future[Any]] = {done, gone}
        while job.problem is None and time.monotonic() < until:
            if (await asyncio.wait(waited, timeout=_POLL, return_when=asyncio.FIRST_COMPLETED))[0]:
                break
        if job.problem is not None:
            raise job.problem
        if job.restored:
            return job.restored
        if gone.done() or done.done():
            raise Cancelled
        raise too_slow(seconds)
    finally:
        gone.cancel()
        done.cancel()
        job.cancel()


async def _left(request: Request) -> None:
    """Wait until the client disconnects."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _timing(job: Job, work: str = "restore") -> str:
    """Return the Server-Timing header: milliseconds in the queue and of processing."""
    queued, working = job.started - job.created, job.finished - job.started
    return f"queue;dur={1000 * queued:.0f}, {work};dur={1000 * working:.0f}"
