# Compiles the program to one executable, then keeps that alone.
FROM node:22-bookworm-slim AS build
RUN npm install -g deno@2.9.6
WORKDIR /src
COPY . .
RUN deno task compile

FROM debian:bookworm-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin mesh \
  && install -d -o mesh -g mesh -m 0700 /data
COPY --from=build /src/dist/mesh /usr/local/bin/mesh
USER mesh
ENV HOST=0.0.0.0 PORT=3000 DATA_DIR=/data
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=30s --timeout=6s --start-period=10s CMD ["mesh", "healthcheck"]
ENTRYPOINT ["mesh"]
CMD ["serve"]
