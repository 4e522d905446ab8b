//! What a single name, variable, method, path or image may be.

use crate::files::{PathFault, resolve};
use crate::manifest::At;
use crate::problem::{Report, quote};

/// The original's `lt=20`.
pub(super) const LONGEST_NAME: usize = 19;

/// A stream is `<runtime>_<version>_<method>` and NATS refuses stream names over 255 bytes.
pub(super) const LONGEST_METHOD: usize = 128;

/// `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// `^[A-Z0-9]([_A-Z0-9]*[A-Z0-9])?$`.
pub(super) fn is_variable(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && !text.starts_with('_')
        && !text.ends_with('_')
}

/// A protobuf identifier.
pub(super) fn is_method(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !text.is_empty()
        && !text.as_bytes()[0].is_ascii_digit()
}

/// Judges a name of at most 19 characters. What is missing was reported before.
pub(super) fn name(report: &mut Report<'_>, what: &str, name: &At<String>) {
    if name.is_empty() {
        return;
    }
    if !is_name(name) {
        let message = format!("{} is not a name for {what}", quote(name));
        report.error("bad-name", name.at.clone(), message, name_help(name));
    } else if name.len() > LONGEST_NAME {
        let message = format!("the name of {what} has {} characters", name.len());
        report.error("name-too-long", name.at.clone(), message, format!("at most {LONGEST_NAME} are allowed"));
    }
}

/// Judges the path of a file within the package.
pub(super) fn path(report: &mut Report<'_>, what: &str, path: &At<String>) {
    if path.is_empty() {
        return;
    }
    match fault(path) {
        Some(fault) => outside(report, what, path, fault),
        None if normal(path).is_empty() || path.ends_with('/') => {
            outside(report, what, path, "names a folder, not a file")
        }
        None => {}
    }
}

/// Judges the path of a folder within the package, which may be the package itself.
pub(super) fn folder(report: &mut Report<'_>, what: &str, path: &At<String>) {
    if let Some(fault) = fault(path) {
        outside(report, what, path, fault);
    }
}

/// Whether a path may be looked up at all.
pub(super) fn stays_inside(path: &str) -> bool {
    fault(path).is_none()
}

/// A path without `.` and empty parts.
pub(super) fn normal(path: &str) -> String {
    path.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/")
}

/// A folder's path without `.` and empty parts; the package itself is `.`.
pub(super) fn normal_folder(path: &str) -> String {
    let path = normal(path);
    if path.is_empty() { ".".to_owned() } else { path }
}

/// Judges a container image as far as its spelling tells.
pub(super) fn image(report: &mut Report<'_>, image: &At<String>) {
    if image.is_empty() || image.chars().any(|c| c.is_whitespace() || c.is_control()) || !image.is_ascii() {
        let message = format!("{} is not a container image", quote(image));
        report.error("bad-image", image.at.clone(), message, "write it as in `konstellation/kre-py:latest`");
    }
}

/// Judges a method's name.
pub(super) fn method(report: &mut Report<'_>, method: &At<String>) {
    if method.is_empty() {
        return;
    }
    if !is_method(method) {
        let message = format!("{} is not a name for a gRPC method", quote(method));
        let help = match method.rsplit(['/', '.']).next() {
            Some(last) if last != method.value && is_method(last) => format!("write only the method: `{last}`"),
            _ => "a method has letters, digits and `_`, and does not begin with a digit".to_owned(),
        };
        report.error("bad-method", method.at.clone(), message, help);
    } else if method.len() > LONGEST_METHOD {
        let message = format!("the name of the method has {} characters", method.len());
        let help = format!("at most {LONGEST_METHOD} are allowed, for it becomes part of a stream's name");
        report.error("name-too-long", method.at.clone(), message, help);
    }
}

fn outside(report: &mut Report<'_>, what: &str, path: &At<String>, fault: &str) {
    let message = format!("{what} {fault}: {}", quote(path));
    report.error(
        "bad-path",
        path.at.clone(),
        message,
        "give a path relative to krt.yml, with `/`, that stays beside it",
    );
}

fn fault(path: &str) -> Option<&'static str> {
    if path.starts_with('/') {
        Some("is absolute")
    } else if path.split('/').any(|part| part == "..") {
        Some("leads out of the package")
    } else if path.contains('\\') {
        Some("is written with backslashes")
    } else if path.chars().any(char::is_control) {
        Some("holds control characters")
    } else {
        match resolve("", path) {
            Err(PathFault::TooLong) => Some("is too long"),
            Err(PathFault::TooDeep) => Some("is nested too deeply"),
            // The package itself is a folder of it.
            Ok(_) | Err(_) => None,
        }
    }
}

fn name_help(name: &str) -> String {
    let rule = "lower-case letters, digits and `-` between them";
    let mut repaired = String::new();
    for character in name.trim().chars().take(LONGEST_NAME) {
        match character.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => repaired.push(c),
            _ if repaired.ends_with('-') => {}
            _ => repaired.push('-'),
        }
    }
    let repaired = repaired.trim_matches('-');
    if is_name(repaired) {
        format!("a name has {rule}, for example `{repaired}`")
    } else {
        format!("a name has {rule}")
    }
}
