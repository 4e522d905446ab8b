#!/usr/bin/env bash
# cluster.sh TOOL: prints the path of a part of a test cluster (kube-apiserver, kube-controller-manager, kube-scheduler,
# etcd, kubectl, kubelet, kube-proxy, coredns: one binary) or of a client (helm, oras, grpcurl, kubeconform), built the first
# time from tests/cluster: the cluster takes some 500 CPU-seconds. Kept in the user's cache by content. Needs no root.
set -euo pipefail
cd "$(dirname "$0")/.."
tool=${1:?which tool}
sources=tests/cluster
cache=${KRT_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/krt}/tools
case $tool in
  kube-apiserver | kube-controller-manager | kube-scheduler | etcd | kubectl | kubelet | kube-proxy | coredns)
    unit=cluster; package=./cluster; files=("$sources"/go.mod "$sources"/go.sum "$sources"/cluster/main.go) ;;
  helm) unit=helm; package=helm.sh/helm/v4/cmd/helm ;;
  oras) unit=oras; package=oras.land/oras/cmd/oras ;;
  grpcurl) unit=grpcurl; package=github.com/fullstorydev/grpcurl/cmd/grpcurl ;;
  kubeconform) unit=kubeconform; package=github.com/yannh/kubeconform/cmd/kubeconform ;;
  *) echo "cluster.sh: no tool $tool" >&2; exit 2 ;;
esac
state=$(cat "${files[@]:-$sources/go.mod}" "$0" | sha256sum | cut -c1-16)
folder=$cache/$unit-$state
binary=$folder/$tool
if [ ! -x "$binary" ]; then
  command -v go >/dev/null || { echo "cluster.sh: $tool is built with Go 1.26, which is not installed" >&2; exit 1; }
  mkdir -p "$folder"
  # Several tests may want it at once: one builds it.
  exec 9>"$folder/.lock"
  flock 9
  if [ ! -x "$binary" ]; then
    # Kubernetes tells its version by what the linker is told; the schemas it serves depend on it.
    version=$(go -C "$sources" list -m -f '{{.Version}}' k8s.io/kubernetes)
    minor=${version#v1.}
    named=k8s.io/component-base/version
    flags="-s -w -X $named.gitVersion=$version -X $named.gitMajor=1 -X $named.gitMinor=${minor%%.*}"
    took="once; about a minute"
    [ $unit = cluster ] && took="once; 5 to 10 minutes on two cores"
    CGO_ENABLED=0 scripts/step.sh "building $unit ($took)" nice -n 5 \
      go -C "$sources" build -trimpath -buildvcs=false -ldflags "$flags" -o "$folder/.$unit.new" "$package" >&2
    mv "$folder/.$unit.new" "$folder/.$unit"
    if [ $unit = cluster ]; then
      # The name that it is called by says which part it is.
      for part in kube-apiserver kube-controller-manager kube-scheduler etcd kubectl kubelet kube-proxy coredns; do
        ln -sf .cluster "$folder/$part"
      done
    else
      ln -sf ".$unit" "$binary"
    fi
  fi
fi
echo "$binary"
