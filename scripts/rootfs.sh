#!/usr/bin/env bash
# rootfs.sh BINARY DIR: everything that krt needs of a system, in DIR: the program, its shared libraries, certificate
# authorities, a user. No shell. CC names the compiler whose libraries those are, for a binary of another architecture.
set -euo pipefail
binary=$1 root=$2 cc=${CC:-cc} strip=${STRIP:-strip}
mkdir -p "$root/etc/ssl/certs" "$root/tmp" "$root/lib"
# Not only root enters.
chmod 755 "$root"
chmod 1777 "$root/tmp"
install -m 755 "$binary" "$root/krt"
# Where a panic was is told by symbols; lines of it cost three times the program.
"$strip" --strip-debug "$root/krt"
copy() { # a library by its name, and what it needs itself
  local name=$1 from
  [ -e "$root/lib/$name" ] && return
  from=$("$cc" -print-file-name="$name")
  [ "$from" != "$name" ] || { echo "there is no $name" >&2; exit 1; }
  install -m 755 "$(realpath "$from")" "$root/lib/$name"
  needed "$root/lib/$name"
}
needed() { # what a program or library needs
  local name
  for name in $(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do copy "$name"; done
}
needed "$root/krt"
# The loader stands where the program says, and looks for libraries in /lib.
loader=$(readelf -l "$root/krt" | sed -n 's/.*program interpreter: \(.*\)]/\1/p')
copy "$(basename "$loader")"
[ "$loader" = "/lib/$(basename "$loader")" ] || install -D -m 755 "$root/lib/$(basename "$loader")" "$root$loader"
install -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
echo 'krt:x:65532:65532:krt:/tmp:/nowhere' >"$root/etc/passwd"
echo 'krt:x:65532:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
