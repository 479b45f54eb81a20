# Two images: slim, without a shell's worth of extras, as a user without rights, on a read-only root.
#
#   docker build -t pgslate --target pgslate .       pgslate alone, with an empty /catalog
#   docker build -t datastorage .                    the Data Storage service, its catalog, and pgslate
#   docker run --rm --read-only --tmpfs /tmp -e PGHOST=... -e PGPASSWORD=... datastorage pgslate apply --contract gateway
#
# With migrations of your own:
#
#   FROM pgslate
#   COPY pgslate.toml pgslate.lock /catalog/
#   COPY migrations /catalog/migrations

FROM python:3.13-slim AS build
WORKDIR /build
RUN python -m venv /pgslate
COPY requirements.lock ./
# the versions of the lock file, but not the tools of those who develop pgslate
RUN sed -E 's/ *\\$//; /^ +--hash/d' requirements.lock > constraints.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /pgslate/bin/pip install --no-cache-dir --disable-pip-version-check \
        --constraint constraints.txt ".[kubernetes]"

FROM build AS build-datastorage
COPY datastorage datastorage
RUN /pgslate/bin/pip install --no-cache-dir --disable-pip-version-check \
        --constraint constraints.txt ./datastorage

FROM python:3.13-slim AS base
# /tmp is the only place that the programs write to: mount something there
ENV PATH=/pgslate/bin:$PATH HOME=/tmp XDG_CACHE_HOME=/tmp/cache \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
LABEL org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /catalog
USER 65532:65532

FROM base AS pgslate
LABEL org.opencontainers.image.title="pgslate" \
      org.opencontainers.image.description="Exactly the PostgreSQL schema a service needs, proved"
COPY --from=build /pgslate /pgslate
ENTRYPOINT ["pgslate"]
CMD ["--help"]

FROM base AS datastorage
LABEL org.opencontainers.image.title="datastorage" \
      org.opencontainers.image.description="The Data Storage service: audit events of seven services"
COPY --from=build-datastorage /pgslate /pgslate
COPY datastorage/src/datastorage/pgslate.toml datastorage/src/datastorage/pgslate.lock /catalog/
COPY datastorage/src/datastorage/migrations /catalog/migrations
CMD ["datastorage", "--help"]
