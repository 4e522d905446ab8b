//! Amounts of memory, durations and hosts as people write them. Pure; says only whether a text is one.

use std::time::Duration;

/// `64Mi`, `256MiB`, `1.5G`, `64MB`, `65536`: a number and a unit; the binary units have an `i`.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit: u64 = match unit.trim_start() {
        "" | "B" => 1,
        "k" | "K" | "kB" | "KB" => 1000,
        "M" | "MB" => 1_000_000,
        "G" | "GB" => 1_000_000_000,
        "Ki" | "KiB" => 1 << 10,
        "Mi" | "MiB" => 1 << 20,
        "Gi" | "GiB" => 1 << 30,
        _ => return None,
    };
    decimal(number, unit)
}

/// `30s`, `500ms`, `2m`, `1h`, `1m30s`, `1.5s`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    const NANOSECONDS: [(&str, u64); 4] =
        [("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000)];
    let mut rest = text.trim();
    let mut total = 0u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let (unit, scale) = NANOSECONDS.into_iter().find(|(unit, _)| after.starts_with(unit))?;
        total = total.checked_add(decimal(number, scale)?)?;
        rest = &after[unit.len()..];
    }
    Some(Duration::from_nanos(total))
}

/// A host that outbound HTTP may reach: `name`, `name:port`, `*.suffix`. An error is the help.
pub(super) fn http_host(text: &str) -> Result<(), &'static str> {
    const HELP: &str = "write `api.example.org`, `api.example.org:8443` or `*.example.org`";
    if text.contains("://") {
        return Err("write only the host, without `https://`");
    }
    if text.contains('/') {
        return Err("write only the host, without a path");
    }
    let (host, port) = split_port(text).ok_or(HELP)?;
    if port.is_some_and(|port| !is_port(port)) {
        return Err("a port is a number from 1 to 65535");
    }
    let host = host.strip_prefix("*.").unwrap_or(host);
    if is_host(host) { Ok(()) } else { Err(HELP) }
}

/// A host that sockets may connect to: `name:port`. An error is the help.
pub(super) fn tcp_host(text: &str) -> Result<(), &'static str> {
    const HELP: &str = "write the host and its port: `db.example.org:5432`";
    let (host, port) = split_port(text).ok_or(HELP)?;
    match port {
        Some(port) if is_host(host) && is_port(port) => Ok(()),
        Some(port) if !is_port(port) => Err("a port is a number from 1 to 65535"),
        _ => Err(HELP),
    }
}

/// `number` times `unit`, rounded down; at most nine digits after the point.
fn decimal(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = u128::from(fraction.parse::<u64>().ok()?) * u128::from(unit) / scale;
    whole.checked_add(u64::try_from(part).ok()?)
}

/// A host and a port, if one is written. IPv6 addresses stand in brackets.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (_, after) = rest.split_once(']')?;
        let host = &text[..text.len() - after.len()];
        return match after.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None if after.is_empty() => Some((host, None)),
            None => None,
        };
    }
    match text.split_once(':') {
        Some((host, port)) => Some((host, Some(port))),
        None => Some((text, None)),
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_host(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_binary_and_decimal_units() {
        for (text, amount) in [
            ("64Mi", 64 << 20),
            ("256MiB", 256 << 20),
            ("1.5Gi", 3 << 29),
            ("64M", 64_000_000),
            ("64 MB", 64_000_000),
            ("2097152", 2 << 20),
            ("512k", 512_000),
        ] {
            assert_eq!(bytes(text), Some(amount), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_of_memory_is_none() {
        for text in [
            "",
            "Mi",
            "64mi",
            "64Mb",
            "-1",
            "1e9",
            "1..5Gi",
            "1.Gi",
            ".5Gi",
            "99999999999999999999",
            "99999999999Gi",
            "٣",
        ] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, milliseconds) in
            [("30s", 30_000), ("500ms", 500), ("2m", 120_000), ("1m30s", 90_000), ("1.5s", 1500), ("24h", 86_400_000)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_none() {
        for text in ["", "30", "s", "30 s", "-1s", "1d", "1s2", "99999999999h", "1.s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn http_hosts_may_have_a_port_or_a_leading_wildcard() {
        for host in [
            "api.example.org",
            "api.example.org:8443",
            "*.example.org",
            "localhost",
            "10.0.0.1:80",
            "[::1]:80",
            "[::1]",
        ] {
            assert_eq!(http_host(host), Ok(()), "{host}");
        }
        for host in [
            "",
            "*",
            "a.*.org",
            "https://a.org",
            "a.org/x",
            "a.org:0",
            "a.org:99999",
            "a b",
            "a..b",
            "[::g]",
            "-a.org",
            "a.org:",
        ] {
            assert!(http_host(host).is_err(), "{host}");
        }
    }

    #[test]
    fn a_socket_needs_a_port() {
        assert_eq!(tcp_host("db.example.org:5432"), Ok(()));
        assert_eq!(tcp_host("[::1]:5432"), Ok(()));
        for host in ["db.example.org", "db:port", "*.a.org:80", ":80", "db:", "db:0", "db:+1", "db:70000"] {
            assert!(tcp_host(host).is_err(), "{host}");
        }
    }
}
