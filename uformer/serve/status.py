"""The routes for models, limits, health and metrics."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from uformer.image import extras, formats
from uformer.serve.problems import GUARDED, responses
from uformer.serve.prometheus import CONTENT_TYPE
from uformer.serve.service import Service
from uformer.serve.upload import UPLOAD_TYPES


def status(service: Service) -> APIRouter:
    """Return the status routes of a service."""
    routes = APIRouter(tags=["server"])
    settings, engine = service.settings, service.engine
    known = (*formats.SUFFIXES, *(suffix for each in formats.READ_ONLY for suffix in each.suffixes))
    readable = [suffix for suffix in known if extras.can_read(suffix)]

    @routes.get("/v1/models", summary="List the weights and the limits", responses=responses(*GUARDED, 500))
    async def models() -> dict[str, Any]:
        limits = {
            "max_bytes": settings.max_bytes,
            "max_pixels": settings.max_pixels,
            "queue": settings.queue,
            "keep_seconds": settings.keep,
        }
        return {
            "models": service.catalogue.describe(),
            "limits": limits,
            "media_types": list(UPLOAD_TYPES),
            "suffixes": readable,
        }

    @routes.get("/healthz", summary="Check whether the server runs", responses=responses(*GUARDED))
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get(
        "/readyz", summary="Check whether the server accepts images", responses=responses(*GUARDED, 503)
    )
    async def readyz() -> dict[str, str]:
        engine.check_ready()
        return {"status": "ready"}

    @routes.get(
        "/metrics",
        summary="Get the metrics for Prometheus",
        response_class=Response,
        responses={
            200: {"description": "Text format 0.0.4.", "content": {"text/plain": {}}},
            **responses(*GUARDED),
        },
    )
    async def metrics() -> Response:
        return Response(service.metrics.render(service.gauges()), media_type=CONTENT_TYPE)

    return routes
