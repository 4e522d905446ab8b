//! The `krt` command: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    krt_host::cli::main()
}
