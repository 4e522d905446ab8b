//! The memory that instances really have to themselves: pages of their linear memories that they wrote to, as the kernel
//! counts them. Pages that instances share with the compiled component's file do not count. Reads; changes nothing.

use std::fs;
use std::io;

use super::{Engine, Identity};

/// The warm instances of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Which node.
    pub identity: Identity,
    /// How many there are.
    pub instances: usize,
    /// Bytes of linear memory that one has, on average: what counts against its limit.
    pub linear: u64,
    /// Bytes that one has to itself, on average. Nodes made of one component share their average.
    pub private: u64,
}

/// A linear memory, as mappings that follow on each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Memory {
    /// The file that its first contents are mapped from.
    image: Option<String>,
    end: u64,
    linear: u64,
    private: u64,
}

/// A component's part in what is measured.
struct Share {
    instances: usize,
    linear: u64,
    private: u64,
}

impl Engine {
    /// Measures the instances of all nodes that this engine runs. Takes some ms.
    ///
    /// A component is known by its file in the cache: of nodes without one there is nothing here.
    ///
    /// # Errors
    /// When the kernel does not tell (`/proc/self/smaps`).
    pub fn usage(&self) -> io::Result<Vec<Usage>> {
        let memories = memories(&fs::read_to_string("/proc/self/smaps")?);
        let nodes: Vec<_> = self.0.nodes().iter().filter_map(std::sync::Weak::upgrade).collect();
        let mut usage = Vec::new();
        for node in &nodes {
            let component = node.component();
            let Some(file) = &component.0.file else { continue };
            // Nodes made of one component have places in the pool that are told apart by nothing.
            let made_of_it = nodes.iter().filter(|other| other.component().0.file.as_ref() == Some(file));
            let instances: usize = made_of_it.map(|other| other.instances()).sum();
            let share = share(&memories, file, instances, component.0.memories);
            let each = |bytes: u64| bytes / (share.instances.max(1) as u64);
            usage.push(Usage {
                identity: node.identity().clone(),
                instances: node.instances(),
                linear: each(share.linear),
                private: each(share.private),
            });
        }
        Ok(usage)
    }
}

/// What `instances` of the component in `file` have, each of so many `memories`.
fn share(all: &[Memory], file: &str, instances: usize, memories: usize) -> Share {
    let mut own: Vec<&Memory> =
        all.iter().filter(|it| it.image.as_deref().is_some_and(|it| it.ends_with(file))).collect();
    // Places that instances left keep a part of what they wrote, those in use have more.
    own.sort_by_key(|memory| std::cmp::Reverse(memory.private));
    own.truncate(instances.saturating_mul(memories.max(1)));
    let sum = |of: fn(&Memory) -> u64| own.iter().map(|memory| of(memory)).sum();
    Share { instances, linear: sum(|memory| memory.linear), private: sum(|memory| memory.private) }
}

/// The writable mappings of a process, those that touch each other taken together.
fn memories(smaps: &str) -> Vec<Memory> {
    let mut all: Vec<Memory> = Vec::new();
    let mut writable = false;
    for line in smaps.lines() {
        if let Some((start, end, rights, path)) = mapping(line) {
            writable = rights.starts_with("rw");
            if !writable {
                continue;
            }
            if all.last().is_none_or(|last| last.end != start) {
                all.push(Memory::default());
            }
            if let Some(memory) = all.last_mut() {
                memory.end = end;
                memory.linear += end - start;
                if path.ends_with(".cwasm") {
                    memory.image = Some(path.to_owned());
                }
            }
        } else if let (true, Some(memory)) = (writable, all.last_mut())
            && let Some(kib) = line.strip_prefix("Private_Dirty:").and_then(|rest| rest.split_whitespace().next())
        {
            memory.private += kib.parse::<u64>().unwrap_or(0) << 10;
        }
    }
    all.retain(|memory| memory.image.is_some());
    all
}

/// The head of a mapping: where it begins and ends, its rights, its file.
fn mapping(line: &str) -> Option<(u64, u64, &str, &str)> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let address = |text| u64::from_str_radix(text, 16).ok();
    let (start, end) = (address(start)?, address(end)?);
    let rights = words.next()?;
    Some((start, end, rights, words.nth(3).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
70000000-70100000 rw-p 00000000 00:00 0
Size:               1024 kB
Private_Dirty:         8 kB
70100000-70102000 rw-p 0002a000 fe:00 103   /cache/aa-1.cwasm
Private_Dirty:         4 kB
70102000-70110000 rw-p 00000000 00:00 0
Private_Dirty:        12 kB
70110000-90000000 ---p 00000000 00:00 0
Private_Dirty:         0 kB
90000000-90002000 rw-p 0002a000 fe:00 103   /cache/aa-1.cwasm
Private_Dirty:         0 kB
a0000000-a0002000 rw-p 0002a000 fe:00 104   /cache/bb-1.cwasm
Private_Dirty:         4 kB
b0000000-b0001000 r--p 00000000 fe:00 103   /cache/aa-1.cwasm
Private_Dirty:        99 kB
c0000000-c0001000 rw-p 00000000 00:00 0     [heap]
Private_Dirty:       500 kB
";

    #[test]
    fn a_memory_is_what_lies_around_its_image() {
        let all = memories(SMAPS);
        assert_eq!(
            all.iter().map(|it| (it.linear, it.private)).collect::<Vec<_>>(),
            [(0x11_0000, 24 << 10), (0x2000, 0), (0x2000, 4 << 10)]
        );
    }

    #[test]
    fn places_that_nobody_is_in_any_more_do_not_count() {
        let share = share(&memories(SMAPS), "aa-1.cwasm", 1, 1);
        assert_eq!((share.linear, share.private), (0x11_0000, 24 << 10));
    }
}
