# Two stages: build with npm alone, then nothing but the executable and the five files of glibc it links to.
# Run it with a read-only root file system and a volume for its data:
#   docker run --read-only -v mcp-gateway-data:/data -p 8000:8000 mcp-gateway
# scripts/prove-image.ts runs the same set of files in a chroot, where no Docker engine is at hand.

FROM node:22-bookworm-slim AS build
WORKDIR /source
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build && npm run stage-image -- /image

FROM scratch
COPY --from=build /image/ /
COPY --from=build --chown=10001:10001 /image/data /data
USER 10001:10001
ENV HOME=/data MCP_GATEWAY_DATA_DIR=/data
VOLUME /data
# Agents; operators' gRPC; health and metrics. The last two listen on loopback unless configured.
EXPOSE 8000 50051 9464
STOPSIGNAL SIGTERM
# No HEALTHCHECK: there is no shell and no second program here; ask GET /health/ready from outside.
ENTRYPOINT ["/usr/local/bin/mcp-gateway"]
CMD ["serve", "--preset", "production"]
