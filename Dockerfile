# pgslate in a container: slim, without a shell's worth of extras, as a user without rights, on a read-only root.
#
#   docker build -t pgslate .
#   docker run --rm --read-only --tmpfs /tmp -e PGHOST=... -e PGPASSWORD=... pgslate apply --contract gateway
#
# With migrations of your own:
#
#   FROM pgslate
#   COPY pgslate.toml pgslate.lock /catalog/
#   COPY migrations /catalog/migrations

FROM python:3.13-slim AS build
WORKDIR /build
RUN python -m venv /pgslate
COPY pyproject.toml README.md LICENSE requirements.lock ./
COPY src src
# the versions of the lock file, but not the tools of those who develop pgslate
RUN sed -E 's/ *\\$//; /^ +--hash/d' requirements.lock > constraints.txt \
    && /pgslate/bin/pip install --no-cache-dir --disable-pip-version-check \
        --constraint constraints.txt ".[kubernetes,datastorage]"

FROM python:3.13-slim
LABEL org.opencontainers.image.title="pgslate" \
      org.opencontainers.image.description="Exactly the PostgreSQL schema a service needs, proved" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /pgslate /pgslate
# /tmp is the only place it writes to: mount something there
ENV PATH=/pgslate/bin:$PATH HOME=/tmp XDG_CACHE_HOME=/tmp/cache \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# the Data Storage service's catalog, until another takes its place
COPY src/datastorage/pgslate.toml src/datastorage/pgslate.lock /catalog/
COPY src/datastorage/migrations /catalog/migrations
WORKDIR /catalog
USER 65532:65532
ENTRYPOINT ["pgslate"]
CMD ["--help"]
