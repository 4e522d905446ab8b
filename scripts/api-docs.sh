#!/usr/bin/env bash
# api-docs.sh [FOLDER]: the SDKs' API documentation, each by its ecosystem's tool, into FOLDER/{rust,python,js,go,c}
# (target/api-docs). Python and Node.js tools are installed into target/tools once; doxygen is Debian's package.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
out=$(realpath -m "${1:-$target/api-docs}")
pip=(pdoc==15.0.4 'protobuf>=7.35,<8' setuptools)
npm=(typedoc@0.28.20 typescript@5.9.3 @bufbuild/protobuf@2.17.0 @types/node@24)
tools=$target/tools/api-docs-$(echo "${pip[@]}" "${npm[@]}" | sha256sum | cut -c1-16)
if ! command -v doxygen >/dev/null; then
  echo "api-docs: there is no doxygen; on Debian: apt-get install doxygen" >&2
  exit 1
fi
if [ ! -e "$tools/ready" ]; then
  python3 -m venv --clear "$tools/venv"
  scripts/step.sh "installing pdoc (once)" "$tools/venv/bin/pip" install --quiet --disable-pip-version-check "${pip[@]}" >&2
  scripts/step.sh "installing typedoc (once)" npm install --silent --no-audit --no-fund --prefix "$tools/npm" "${npm[@]}" >&2
  touch "$tools/ready"
fi
rm -rf "$out"
mkdir -p "$out"/{rust,python,js,go,c}

RUSTDOCFLAGS="-D warnings" cargo doc --quiet --workspace --no-deps --target-dir "$target"
cp -r "$target/doc/." "$out/rust"

PYTHONPATH=guest-sdk/python/src "$tools/venv/bin/pdoc" --output-directory "$out/python" krt_node krt_node.testing

# Types of the libraries are looked for beside what is documented.
js=$(mktemp -d)
trap 'rm -rf "$js"' EXIT
cp -r guest-sdk/js/. "$js"
rm -rf "$js/node_modules"
ln -s "$tools/npm/node_modules" "$js/node_modules"
cat >"$js/tsconfig.json" <<'JSON'
{ "compilerOptions": { "module": "nodenext", "target": "es2024", "types": ["node"], "strict": true, "noEmit": true }, "include": ["*.d.ts"] }
JSON
(cd "$js" && node_modules/.bin/typedoc --treatWarningsAsErrors --logLevel Warn --name krt-node --out "$out/js" index.d.ts testing.d.ts)

(cd guest-sdk/go && go doc -all . >"$out/go/krt.txt" && go doc -all ./krttest >"$out/go/krttest.txt")

(cd guest-sdk/c && (cat Doxyfile && echo "OUTPUT_DIRECTORY = $out/c" && echo "WARN_AS_ERROR = FAIL_ON_WARNINGS") | doxygen - >/dev/null)

for page in rust/krt_node/index.html python/krt_node.html js/index.html go/krt.txt c/html/index.html; do
  test -s "$out/$page" || { echo "api-docs: $page was not written" >&2; exit 1; }
done
echo "$out"
