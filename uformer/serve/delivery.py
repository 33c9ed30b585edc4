"""The routes of finished jobs: their results, if necessary with other controls, a mask or a crop."""

import asyncio
import dataclasses
import re
import time
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from uformer.image.write import MetadataPolicy
from uformer.restore.restoration import Crop, Restoration, crop_window
from uformer.serve.accept import Answer, check_accepted, choose_suffix
from uformer.serve.described import MASK_BODY, PICTURE
from uformer.serve.jobs import Ending, Job, too_slow
from uformer.serve.problems import GUARDED, Cancelled, Problem, refused_as, responses
from uformer.serve.query import Asked, asked_options, blend_names, only
from uformer.serve.service import Service
from uformer.serve.upload import MASK, MEDIA_TYPES, Rules, check_mask, uploaded

_POLL = 0.1  # seconds between checks whether a job was interrupted
_RESULT_ERRORS = (400, 404, 406, 409, 410, 422, 429, 503, 504)
_CROP = r"^[0-9]+,[0-9]+,[0-9]+,[0-9]+$"
_UPLOAD_ERRORS = (408, 413, 415)

OtherFormat = Annotated[
    Answer | None, Query(alias="format", description="Format of the response; `same` is that of the upload.")
]
AskedCrop = Annotated[
    str | None,
    Query(
        description="Left, top, width and height of a part in pixels, as in 16,8,320,200; the result is that "
        "part of the whole result.",
        max_length=40,
        json_schema_extra={"pattern": _CROP},
    ),
]


@dataclass(frozen=True)
class Wanted:
    """What a request asks of a result; None: as it was for the job."""

    options: Asked
    metadata: MetadataPolicy | None
    answer: Answer | None
    crop: Crop | None


def wanted(
    options: Annotated[Asked, Depends(asked_options(blend_names()))],
    metadata: MetadataPolicy | None = None,
    answer: OtherFormat = None,
    crop: AskedCrop = None,
) -> Wanted:
    """Return what the query of a request asks for. Raises Problem for a crop that is not four numbers."""
    if crop is None:
        return Wanted(options, metadata, answer, None)
    if not re.fullmatch(_CROP, crop):
        raise Problem(422, "options", f"crop: {crop!r} must be LEFT,TOP,WIDTH,HEIGHT, as in 16,8,320,200")
    left, top, width, height = map(int, crop.split(","))
    return Wanted(options, metadata, answer, (left, top, width, height))


AskedResult = Annotated[Wanted, Depends(wanted)]


def results(service: Service) -> APIRouter:
    """Return the routes of the results of jobs."""
    routes = APIRouter()
    about: dict[str, Any] = {
        "tags": ["jobs"],
        "dependencies": [Depends(only(*blend_names(), "metadata", "format", "crop"))],
        "response_class": Response,
        "responses": {200: PICTURE, **responses(*_RESULT_ERRORS, *GUARDED, 500)},
    }
    about_mask = {
        **about,
        "responses": {**about["responses"], **responses(*_UPLOAD_ERRORS)},
        "openapi_extra": MASK_BODY,
    }
    engine, store, blender = service.engine, service.store, service.blender

    @routes.get("/v1/jobs/{job_id}/result", summary="Get a job's restored image", **about)
    async def result(request: Request, job_id: str, asked: AskedResult) -> Response:
        """Returns the image until the job is deleted or expires. A failed job returns its error.

        A parameter that is not given has the job's value. Other values, and a crop, need an answer that is
        held (see `hold`); the network does not run again.
        """
        job = finished(job_id)
        blend = blend_of(request, job, asked)
        if blend.crop is None and job.is_as(blend.options, blend.suffix, blend.metadata):
            job.fetched = True
            return image_response(job, job.restored)
        return await blended(request, job, blend)

    @routes.post("/v1/jobs/{job_id}/result", summary="Get a job's restored image with a mask", **about_mask)
    async def masked_result(request: Request, job_id: str, asked: AskedResult) -> Response:
        """Returns the image with the mask in the body, which replaces the mask of the job.

        The parameters are those of GET. The job's answer must be held (see `hold`); the network does not run
        again.
        """
        job = finished(job_id)
        held_answer(job)
        settings, slot = service.settings, engine.slot()
        try:
            mask = (await uploaded(request, Rules.of(settings, slot.add_bytes), needed=MASK))[MASK]
            await asyncio.to_thread(check_mask, mask, job.header, max_pixels=settings.max_pixels)
            blend = blend_of(request, job, asked, mask)
            del mask
            return await blended(request, job, blend)
        finally:
            slot.release()

    def finished(job_id: str) -> Job:
        """Return a job that is done. Raises Problem for any other."""
        job = store.get(job_id)
        if job.problem is not None:
            raise job.problem
        if job.state == "cancelled":
            raise Problem(410, "cancelled", "the job was cancelled")
        if job.state != "done":
            raise Problem(409, "not-finished", "the job has not finished yet", retry_after=1)
        return job

    def blend_of(request: Request, job: Job, asked: Wanted, mask: bytes | None = None) -> Job:
        """Return the job of blending what a request asks for. Raises Problem if that is not possible."""
        suffix = job.suffix if asked.answer is None else choose_suffix(asked.answer, None, job.header)
        check_accepted(suffix, request.headers.get("accept"))
        with refused_as(422, "options"):
            options = dataclasses.replace(job.options, **asked.options)
            if asked.crop is not None:
                crop_window(asked.crop, job.header.height, job.header.width)
        return Job(
            b"",
            job.header,
            options,
            suffix=suffix,
            metadata=asked.metadata or job.metadata,
            seconds=service.settings.timeout,
            mask=mask,
            crop=asked.crop,
        )

    async def blended(request: Request, job: Job, blend: Job) -> Response:
        """Blend the held answer of a job."""
        blender.submit(blend, held_answer(job))
        data = await result_of(request, blend, service.settings.timeout)
        job.fetched = True
        return image_response(blend, data, "blend")

    def held_answer(job: Job) -> Restoration:
        """Return the held answer of a job. Raises Problem if there is none or the server is stopping."""
        engine.check_ready()
        found = service.held.get(job)
        if found is None:
            reason = job.not_held or "the job was started without hold=true"
            raise Problem(409, "not-held", f"{reason}; send the image again to change the controls")
        return found

    return routes


async def result_of(request: Request, job: Job, seconds: float) -> bytes:
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


def image_response(job: Job, data: bytes, work: str = "restore") -> Response:
    """Return the response with the image of a job."""
    return Response(data, media_type=MEDIA_TYPES[job.suffix], headers={"Server-Timing": _timing(job, work)})


def _timing(job: Job, work: str) -> str:
    """Return the Server-Timing header: milliseconds in the queue and of processing."""
    queued, working = job.started - job.created, job.finished - job.started
    return f"queue;dur={1000 * queued:.0f}, {work};dur={1000 * working:.0f}"
