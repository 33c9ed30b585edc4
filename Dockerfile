# uformer serve on a CPU, without PyTorch, as an unprivileged user. The root file system may be read-only:
# docker run --read-only --tmpfs /tmp
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY uformer uformer
RUN python -m venv /opt/uformer && /opt/uformer/bin/pip install --no-cache-dir ".[serve]"

FROM python:3.13-slim
COPY --from=build /opt/uformer /opt/uformer
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin uformer
USER 10001
ENV PATH=/opt/uformer/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 UFORMER_CACHE=/tmp/uformer
EXPOSE 8000
HEALTHCHECK --start-period=30s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=3)"]
# The server listens beyond the container, so it needs a token: -e UFORMER_TOKEN=...
# Use --insecure only behind a proxy that authenticates clients.
ENTRYPOINT ["uformer", "serve", "--host", "0.0.0.0", "--no-browser"]
