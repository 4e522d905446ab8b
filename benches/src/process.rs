//! What a process has used, from `/proc`.

use std::time::Duration;

use anyhow::Context as _;

/// Resident memory and processor time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Bytes.
    pub(crate) resident: u64,
    /// User and system time.
    pub(crate) cpu: Duration,
}

impl Usage {
    /// Of process `pid`.
    ///
    /// # Errors
    /// There is no such process, or this is not Linux.
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in parentheses may hold anything: count from its end.
        let fields: Vec<&str> = stat.rsplit(')').next().context("stat")?.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|f| f.parse::<u64>().ok()).context("stat");
        // proc(5): utime and stime are fields 14 and 15, rss is field 24; the first after the name is field 3.
        let (user, system, pages) = (ticks(11)?, ticks(12)?, ticks(21)?);
        let hertz = rustix::param::clock_ticks_per_second();
        let cpu = Duration::from_secs_f64((user + system) as f64 / hertz as f64);
        Ok(Self { resident: pages * rustix::param::page_size() as u64, cpu })
    }
}
