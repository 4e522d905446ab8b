# krt's image: the program, the libraries it needs and nothing else, for a user that is not root.
#
#   docker buildx build --platform linux/amd64,linux/arm64 -t krt .
#
# Compiled on the machine that builds, for the architecture that is wanted: nothing is emulated.
# `scripts/image.sh` makes the same from a binary without a daemon.
FROM --platform=$BUILDPLATFORM rust:1.95-bookworm AS build
ARG TARGETARCH
WORKDIR /src
RUN set -eu; \
    case "$TARGETARCH" in \
      amd64) triple=x86_64-linux-gnu ;; \
      arm64) triple=aarch64-linux-gnu ;; \
      *) echo "krt has no image for $TARGETARCH" >&2; exit 1 ;; \
    esac; \
    rust="${triple%%-*}-unknown-linux-gnu"; \
    rustup target add "$rust"; \
    if [ "$TARGETARCH" != "$(dpkg --print-architecture)" ]; then \
      apt-get update -qq; \
      apt-get install -qq -y --no-install-recommends \
        "gcc-$(echo $triple | tr _ -)" "libc6-dev-$TARGETARCH-cross"; \
    fi; \
    echo "export TRIPLE=$triple RUST_TARGET=$rust" >/target.sh
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target,id=krt-$TARGETARCH \
    set -eu; . /target.sh; \
    export "CARGO_TARGET_$(echo $RUST_TARGET | tr a-z- A-Z_)_LINKER=$TRIPLE-gcc" \
           "CC_$(echo $RUST_TARGET | tr - _)=$TRIPLE-gcc"; \
    cargo build --release --locked --package krt-host --bin krt --target "$RUST_TARGET"; \
    CC="$TRIPLE-gcc" STRIP="$TRIPLE-strip" scripts/rootfs.sh "target/$RUST_TARGET/release/krt" /rootfs

FROM scratch
COPY --from=build /rootfs/ /
USER 65532:65532
ENV PATH=/
ENTRYPOINT ["/krt"]
