#!/usr/bin/env bash
# Prints the folder with what a node of Kubernetes is made of besides Kubernetes: containerd, runc, CNI plugins, nft, iptables,
# ipset, busybox, from the distribution's packages, unpacked the first time into the user's cache. Nothing is installed on the
# machine. Needs no root.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=${KRT_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/krt}/tools
state=$(sha256sum <"$0" | cut -c1-16)
folder=$tools/node-$state
if [ ! -e "$folder/usr/bin/containerd" ]; then
  mkdir -p "$tools"
  # Several tests may want it at once: one fetches it.
  exec 9>"$tools/.node.lock"
  flock 9
  if [ ! -e "$folder/usr/bin/containerd" ]; then
    new=$(mktemp -d "$tools/node-new.XXXX")
    trap 'rm -rf "$new"' EXIT
    # With the libraries of those that link any.
    packages() {
      echo containerd runc containernetworking-plugins busybox-static
      apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
        nftables iptables ipset libseccomp2 |
        grep -E '^(nftables|iptables|ipset|lib(nftables|nftnl|mnl|jansson|edit|bsd|md|tinfo|gmp|seccomp|xtables|ip4tc|ip6tc|ipset|netfilter-conntrack|nfnetlink)[0-9.a-z-]*)$'
    }
    fetch() { (cd "$new" && apt-get download -qq $(packages) >&2); }
    echo "== fetching containerd, runc, CNI plugins, nft, iptables, ipset and busybox (once)" >&2
    fetch 2>/dev/null || { apt-get update -qq >&2; fetch; }
    for package in "$new"/*.deb; do dpkg -x "$package" "$new"; done
    rm "$new"/*.deb
    # What the packages leave to the distribution's choice: iptables on nftables.
    for name in iptables iptables-save iptables-restore; do ln -s xtables-nft-multi "$new/usr/sbin/$name"; done
    chmod 755 "$new"
    mv "$new" "$folder"
  fi
fi
echo "$folder"
