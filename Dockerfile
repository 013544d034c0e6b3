# One image for every program: `vnode` is the entrypoint, its first argument says which.
ARG BASE=node:24-bookworm-slim

FROM ${BASE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
# No install scripts: the base has Node, and the bundler's binary comes as a package.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY scripts scripts
COPY src src
RUN node scripts/build.ts

FROM ${BASE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="vnode-profile" \
      org.opencontainers.image.description="Sends Pods of a self-managed Kubernetes cluster to Alibaba Cloud ECI through VNodes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
# By itself Node lets its heap grow to 256 MiB in the smallest of containers. Half of the container's memory leaves room for what is not heap.
ENV NODE_ENV=production \
    NODE_OPTIONS=--max-old-space-size-percentage=50
COPY --from=build /src/dist /app
COPY LICENSE /app/LICENSE
# A base whose Node does not know these options (older than 22.21 or 24.6) fails here, and not in a cluster.
RUN ln -s /app/vnode.js /usr/local/bin/vnode && vnode --version
# By number, so that a cluster can tell that it is not root. Nothing is written: a read-only root file system will do.
USER 1000:1000
ENTRYPOINT ["vnode"]
CMD ["--help"]
