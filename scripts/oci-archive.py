#!/usr/bin/env python3
"""oci-archive.py OUT.tar ROOT NAME USER ENTRYPOINT...: an image of one layer, of the files in ROOT, as an OCI archive. Standard
library only. The same files give the same bytes. Prints how large it is."""
import gzip, hashlib, io, json, platform, sys, tarfile

out, root, name, user, *entrypoint = sys.argv[1:]

def plain(info):
    # Of nobody in particular and of no time: the same files are the same layer.
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = 0
    return info

def sha(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()

layer = io.BytesIO()
with tarfile.open(fileobj=layer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
    tar.add(root, arcname=".", filter=plain)
layer = layer.getvalue()
packed = gzip.compress(layer, 6, mtime=0)
arch = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
config = json.dumps({
    "architecture": arch, "os": "linux",
    "config": {
        "Entrypoint": entrypoint, "User": user, "Env": ["PATH=/"], "WorkingDir": "/",
        "Labels": {"org.opencontainers.image.title": "krt", "org.opencontainers.image.licenses": "Apache-2.0"},
    },
    "rootfs": {"type": "layers", "diff_ids": [sha(layer)]},
}).encode()
of = lambda kind, data: {"mediaType": "application/vnd.oci.image." + kind, "digest": sha(data), "size": len(data)}
manifest = json.dumps({
    "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": of("config.v1+json", config), "layers": [of("layer.v1.tar+gzip", packed)],
}).encode()
entry = of("manifest.v1+json", manifest)
entry["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
index = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index}
files |= {"blobs/sha256/" + sha(data)[7:]: data for data in (packed, config, manifest)}
with tarfile.open(out, "w", format=tarfile.USTAR_FORMAT) as tar:
    for path, data in files.items():
        info = tarfile.TarInfo(path)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
print(f"{name} in {out}: {len(packed) / 1e6:.1f} MB packed, {len(layer) / 1e6:.1f} MB unpacked, {sha(manifest)}")
