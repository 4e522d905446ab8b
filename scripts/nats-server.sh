#!/usr/bin/env bash
# nats-server.sh VERSION: prints the path of a nats-server of that version, installed the first time: `debian` is the
# distribution's (2.9 in Debian 12, the oldest that krt supports), anything else a version of the Go module. Needs no root.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$1
tools=$(realpath -m "${CARGO_TARGET_DIR:-target}")/tools/nats-server-$version
binary=$tools/nats-server
if [ ! -x "$binary" ]; then
  mkdir -p "$tools"
  # Several tests may want it at once: one installs it.
  exec 9>"$tools/.lock"
  flock 9
  if [ ! -x "$binary" ]; then
    new=$(mktemp -d "$tools/new.XXXX")
    if [ "$version" = debian ]; then
      fetch() { (cd "$new" && apt-get download -qq nats-server >&2); }
      fetch 2>/dev/null || { apt-get update -qq >&2; fetch; }
      dpkg -x "$new"/nats-server_*.deb "$new"
      mv "$(find "$new" -type f -name nats-server -perm -u+x | head -1)" "$binary"
    else
      scripts/step.sh "building nats-server $version (once)" env GOBIN="$new" GOFLAGS=-trimpath \
        go install "github.com/nats-io/nats-server/v2@v$version" >&2
      mv "$new/nats-server" "$binary"
    fi
    chmod -R u+w "$new" && rm -rf "$new"
  fi
fi
echo "$binary"
