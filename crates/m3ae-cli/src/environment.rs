//! The environment of a run: versions, devices, system and command line.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Result;
use burn::prelude::Device;

/// Writes the facts as JSON.
pub fn write(path: &Path, devices: &[Device]) -> Result<()> {
    m3ae_files::write(path, &serde_json::to_vec_pretty(&facts(devices))?)?;
    Ok(())
}

/// Program version and commit, device, system and command line.
pub fn facts(devices: &[Device]) -> BTreeMap<&'static str, String> {
    let mut facts = BTreeMap::from([
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("commit", env!("M3AE_COMMIT").to_owned()),
        ("burn", "0.22.1".to_owned()),
        ("devices", devices.iter().map(|device| format!("{device:?}")).collect::<Vec<_>>().join(", ")),
        ("system", format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
        ("processors", std::thread::available_parallelism().map_or(0, usize::from).to_string()),
        ("command", std::env::args().collect::<Vec<_>>().join(" ")),
    ]);
    if let Some(name) = processor() {
        facts.insert("processor", name);
    }
    facts
}

/// The facts of one device, for the record of an evaluation.
pub fn record(device: &Device) -> BTreeMap<String, String> {
    let facts = facts(std::slice::from_ref(device)).into_iter();
    facts.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The processor's name, where the system tells (Linux).
fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
