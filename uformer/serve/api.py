"""The routes that restore images, in one request or as jobs."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, Response

from uformer.image.write import MetadataPolicy
from uformer.serve.accept import Answer, choose_suffix
from uformer.serve.delivery import image_response, result_of
from uformer.serve.described import BODY, JOB, PICTURE
from uformer.serve.jobs import Job
from uformer.serve.problems import GUARDED, refused_as, responses
from uformer.serve.query import Asked, asked_options, only, option_names
from uformer.serve.service import Service
from uformer.serve.stack_jobs import check_stack, check_wishes
from uformer.serve.upload import FIELD, MASK, Rules, check_header, check_mask, uploaded

_UPLOAD_ERRORS = (400, 406, 408, 413, 415, 422, 429, 503)

Metadata = Annotated[
    MetadataPolicy,
    Query(
        description="What happens to EXIF, XMP and IPTC. The default removes them, because they can reveal "
        "where and by whom the photo was taken. The colour profile always stays, and so do the tags of a "
        "stack, whose default is keep."
    ),
]
Format = Annotated[
    Answer, Query(alias="format", description="Format of the response; `same` is that of the upload.")
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
        stacks: bool = False,
    ) -> Job:
        """Admit, read, check and queue an image. Raises Problem or Cancelled."""
        with refused_as(422, "options"):
            options = service.catalogue.options(asked)
        slot = engine.admit()
        try:
            rules = Rules.of(settings, slot.add_bytes)
            files = await uploaded(request, rules, allowed=(MASK,))
            data, mask = files.pop(FIELD), files.pop(MASK, None)
            header = await asyncio.to_thread(
                check_header, data, max_pixels=settings.max_pixels, stacks=stacks
            )
            if header.stack:
                given = "metadata" in request.query_params
                with refused_as(422, "options"):
                    check_wishes(header, answer, metadata if given else None)
                metadata = "keep"
                await asyncio.to_thread(check_stack, data, settings)
            if mask is not None:
                await asyncio.to_thread(check_mask, mask, header, max_pixels=settings.max_pixels)
            suffix = choose_suffix(answer, accept, header)
            job = Job(
                data,
                header,
                options,
                suffix=suffix,
                metadata=metadata,
                seconds=seconds,
                hold=hold,
                mask=mask,
            )
            del data, mask
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
        responses={200: PICTURE, **responses(*_UPLOAD_ERRORS, *GUARDED, 500, 504)},
        openapi_extra=BODY,
    )
    async def restore(
        request: Request, asked: Asked = chosen, metadata: Metadata = "strip", answer: Format = "same"
    ) -> Response:
        """Returns the restored image, in the format of the upload unless `format` or Accept selects another.

        If the client disconnects, the work stops at the next tile.
        """
        job = await take(request, asked, metadata, answer, request.headers.get("accept"), settings.timeout)
        data = await result_of(request, job, settings.timeout)
        return image_response(job, data)

    @routes.post(
        "/v1/jobs",
        summary="Start a job",
        tags=["jobs"],
        status_code=202,
        dependencies=[Depends(only(*known, "hold"))],
        response_class=JSONResponse,
        responses={202: JOB, **responses(*_UPLOAD_ERRORS, *GUARDED, 500)},
        openapi_extra=BODY,
    )
    async def begin(
        request: Request,
        asked: Asked = chosen,
        metadata: Metadata = "strip",
        answer: Format = "same",
        hold: Hold = False,
    ) -> Response:
        """Starts a job and returns it; poll it until it is done. Use jobs for large images or progress.

        A TIFF of several pages, of channels that are not RGB, or of samples such as int16 is restored page by
        page and returned as TIFF with its tags.
        """
        service.store.check_room()
        seconds = settings.job_timeout
        job = await take(request, asked, metadata, answer, None, seconds, hold, stacks=True)
        service.store.add(job)
        shown = job.to_json(ahead=engine.ahead(job), root=settings.root_path)
        return JSONResponse(shown, 202, {"Location": f"{settings.root_path}/v1/jobs/{job.id}"})

    return routes


def jobs(service: Service) -> APIRouter:
    """Return the routes of existing jobs, apart from their results: progress and deletion."""
    routes = APIRouter()
    engine, store = service.engine, service.store

    @routes.get(
        "/v1/jobs/{job_id}",
        summary="Get a job's progress",
        tags=["jobs"],
        response_class=JSONResponse,
        responses={200: JOB, **responses(404, 422, *GUARDED, 500)},
    )
    async def look(job_id: str) -> Response:
        job = store.get(job_id)
        return JSONResponse(job.to_json(ahead=engine.ahead(job), root=service.settings.root_path))

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
