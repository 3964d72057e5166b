//! The memory that this process uses.

/// Peak resident memory in bytes; `None` where the system does not tell (it does on Linux).
pub fn peak() -> Option<u64> {
    status("VmHWM:")
}

/// Resident memory in bytes; `None` where the system does not tell (it does on Linux).
#[cfg(unix)]
pub fn now() -> Option<u64> {
    status("VmRSS:")
}

fn status(key: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// ", 512 MiB of memory at the peak"; empty if it is unknown.
pub fn peak_sentence() -> String {
    peak().map_or_else(String::new, |bytes| format!(", {} MiB of memory at the peak", bytes >> 20))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn the_peak_covers_what_was_touched() {
        let block = vec![1_u8; 64 << 20];
        let peak = super::peak().unwrap();
        assert!(peak > block.len() as u64, "{peak}");
        assert!(super::now().unwrap() > 0);
    }
}
