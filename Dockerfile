# uformer serve on a CPU, without PyTorch, as an unprivileged user. The root file system may be read-only:
# docker run --read-only --tmpfs /tmp -v uformer-cache:/var/cache/uformer
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY uformer uformer
RUN python -m venv /opt/uformer && /opt/uformer/bin/pip install --no-cache-dir ".[serve]"

FROM python:3.13-slim
COPY --from=build /opt/uformer /opt/uformer
# Compiled networks are kept in a volume, so that a new container starts with them.
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin uformer \
    && install --directory --owner 10001 /var/cache/uformer
VOLUME /var/cache/uformer
USER 10001
ENV PATH=/opt/uformer/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 UFORMER_CACHE=/var/cache/uformer
EXPOSE 8000
# Finds the server by itself, so it follows --port.
HEALTHCHECK --start-period=30s --timeout=10s CMD ["python", "-m", "uformer.serve.healthy"]
# The server listens beyond the container, so it needs a token: -e UFORMER_TOKEN=...
# Use --insecure only behind a proxy that authenticates clients.
ENTRYPOINT ["uformer", "serve", "--host", "0.0.0.0", "--no-browser"]
