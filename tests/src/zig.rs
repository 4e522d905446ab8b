//! The C compiler that krt brings, for tests that compile C by themselves. Asserts nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

/// `zig cc` for components, in `folder`; krt installs it if it has not yet.
///
/// # Panics
/// When it cannot be installed.
pub fn cc(folder: &Path) -> Command {
    let cache = cache();
    let zig = zig(&cache).unwrap_or_else(|| {
        // Whatever node in C: building one brings the compiler.
        drop(crate::built("tests/guests/long/c"));
        zig(&cache).expect("the compiler, after a build")
    });
    let mut command = Command::new(zig);
    let own = cache.join("build/zig");
    command.env("ZIG_GLOBAL_CACHE_DIR", &own).env("ZIG_LOCAL_CACHE_DIR", &own).current_dir(folder);
    // As krt has it: zig makes a libc for each such set, which takes its time.
    command.args(["cc", "-target", "wasm32-wasi", "-mexec-model=reactor", "-Os", "-g"]);
    command
}

fn zig(cache: &Path) -> Option<PathBuf> {
    let installed = cache.join("toolchains").read_dir().ok()?.flatten();
    let mut c = installed.filter(|entry| entry.file_name().to_string_lossy().starts_with("c-"));
    c.find_map(|entry| Some(entry.path().join("ziglang/zig")).filter(|zig| zig.is_file()))
}

/// As the krt command finds it.
fn cache() -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("KRT_CACHE_DIR")
        .or_else(|| Some(absolute("XDG_CACHE_HOME")?.join("krt")))
        .or_else(|| Some(absolute("HOME")?.join(".cache/krt")))
        .expect("a cache")
}
