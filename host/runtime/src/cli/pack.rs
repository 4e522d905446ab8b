//! `krt pack`: makes a .krt archive.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use super::judge::{Depth, judge};
use super::{Globals, Output, print};
use crate::artifact::{Package, Packed};

/// Pack a version into a .krt archive
///
/// Checks the version first and packs nothing when there are errors. What a .krtignore beside the manifest names stays
/// out (one pattern a line, matched against the whole path; `**` crosses folders), and so does .git.
/// The same files always give the same bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  krt pack .                              writes <version>.krt here
  krt pack my/version -o build/my.krt     writes it elsewhere
  krt pack . --no-check -o broken.krt     packs a version that has errors")]
pub(super) struct Args {
    /// A folder with a krt.yml, a krt.yml, or a .krt archive to pack anew
    path: PathBuf,
    /// Where to write the archive [default: <version>.krt in this folder]
    #[arg(short, long = "out", value_name = "FILE")]
    out: Option<PathBuf>,
    /// Pack without checking first
    #[arg(long)]
    no_check: bool,
}

#[derive(serde::Serialize)]
struct Report<'p> {
    file: &'p Path,
    size: u64,
    sha256: &'p str,
    entries: usize,
    bytes: u64,
    manifest: &'p str,
}

pub(super) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    // Without a check, the manifest is looked at only for the version's name.
    let judged = judge(&args.path, if args.no_check { Depth::Manifest } else { Depth::Package });
    let refused = judged.has_errors() && !args.no_check;
    if refused || judged.package.is_none() {
        judged.print_problems(globals);
        return Ok(ExitCode::FAILURE);
    }
    if !args.no_check {
        judged.print_problems(globals);
    }
    let Some(package) = &judged.package else { return Ok(ExitCode::FAILURE) };
    let file = match (args.out, &judged.topology) {
        (Some(file), _) => file,
        (None, Some(topology)) => PathBuf::from(format!("{}.krt", topology.version)),
        (None, None) => bail!("the version has no valid name to call the archive by; name a file with -o"),
    };
    let packed = write(package, &file)?;
    report(&file, &packed, globals)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes beside the target and renames, so that nobody ever sees half an archive.
fn write(package: &Package, file: &Path) -> anyhow::Result<Packed> {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let cannot = || format!("cannot write `{}`", file.display());
    // What the user's umask leaves of this; temporary files are private otherwise.
    let mode = Permissions::from_mode(0o666);
    let half = tempfile::Builder::new().prefix(".krt-").permissions(mode).tempfile_in(folder).with_context(cannot)?;
    let packed = package.pack(half.as_file(), &[half.path(), file])?;
    half.persist(file).map_err(|error| error.error).with_context(cannot)?;
    Ok(packed)
}

fn report(file: &Path, packed: &Packed, globals: &Globals) -> anyhow::Result<()> {
    let contents = &packed.contents;
    if globals.output == Output::Json {
        return print::json(&Report {
            file,
            size: packed.size,
            sha256: &packed.digest,
            entries: contents.entries,
            bytes: contents.bytes,
            manifest: &contents.manifest,
        });
    }
    let rows = [
        ["size", &format!("{} bytes", packed.size)],
        ["sha256", &packed.digest],
        ["entries", &format!("{} ({} bytes unpacked)", contents.entries, contents.bytes)],
        ["manifest", &contents.manifest],
    ];
    let rows: Vec<_> = rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect();
    print::out(&format!("{}\n{}", file.display(), print::columns(&rows)))
}
