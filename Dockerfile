# The local stack for those who host it themselves: one process, one port, its data in the volume /data.
#
#   docker build --tag tidings .
#   docker run --publish 3000:3000 --volume tidings:/data tidings
#
# NOT BUILT HERE: nothing has checked this file but its reader; the health check's command was tried outside of it.
#
# It is no cluster: a second container on the same volume refuses to start, and sockets are of the process that they
# were opened at. docs/deploy.md says how to point it at a DynamoDB-compatible database, and what that has to support.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package local --bin tidings \
    && cp target/release/tidings /tidings \
    && strip /tidings \
    && mkdir /data

FROM node:22-bookworm-slim AS page
WORKDIR /src
COPY clients clients
COPY web web
RUN cd web && npm ci --no-audit --no-fund && npm run build

# Not distroless, for the health check: it needs a shell that opens sockets, and nothing else of all that is here.
FROM debian:bookworm-slim
# Authorities, for the keys of an issuer elsewhere and for a database behind TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /tidings /usr/local/bin/tidings
COPY --from=page /src/web/dist /usr/share/tidings/web
COPY --from=build --chown=10001:10001 /data /data
USER 10001:10001
ENV TIDINGS_HOST=0.0.0.0 TIDINGS_PORT=3000 TIDINGS_DATA_DIR=/data TIDINGS_WEB_DIR=/usr/share/tidings/web
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s --retries=3 CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/$TIDINGS_PORT && printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q ' 200 ' <&3"]
ENTRYPOINT ["tidings"]
