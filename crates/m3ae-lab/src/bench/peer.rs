//! The same work in PyTorch, in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail, ensure};

use super::turns::{Turn, output};
use super::work::{Kind, Size};

/// Who to take turns with.
#[derive(Debug, Clone, clap::Args)]
pub struct PeerArgs {
    /// A Python that has torch, to take turns with
    #[arg(long, value_name = "PYTHON")]
    pub peer: Option<PathBuf>,
    /// The peer's program
    #[arg(long, value_name = "FILE", default_value = "tools/torch_peer.py")]
    pub peer_script: PathBuf,
}

impl PeerArgs {
    /// A turn of `python`: its program with `--mode …`.
    pub fn turn(&self, python: &Path, kind: Kind, size: Size, steps: usize) -> Result<Turn> {
        let script = &self.peer_script;
        ensure!(script.is_file(), "{}: there is no peer script; --peer-script names it", script.display());
        let threads = std::thread::available_parallelism()?.get();
        let mut command = Command::new(python);
        command.arg(script).args(["--mode", kind.of_peer(), "--threads", &threads.to_string()]);
        command.args(size.options(steps));
        parse(&output(&mut command)?)
    }
}

/// Reads `step 1: 26.910 s, 0.149 samples/s, peak 13.61 GB, loss 12.4`; step 0 warms up.
fn parse(text: &str) -> Result<Turn> {
    let mut turn = Turn { seconds: Vec::new(), peak: None, parameters: f64::NAN };
    for line in text.lines() {
        if let Some((millions, _)) = line.split_once(" M parameters") {
            turn.parameters = millions.trim().parse().unwrap_or(f64::NAN);
        }
        let Some((step, rest)) = line.strip_prefix("step ").and_then(|line| line.split_once(": ")) else { continue };
        let seconds = rest.split_once(" s,").and_then(|(seconds, _)| seconds.parse::<f64>().ok());
        let peak =
            rest.split_once("peak ").and_then(|(_, peak)| peak.split_once(" GB")).map(|(peak, _)| peak.parse::<f64>());
        let (Some(seconds), Some(Ok(peak))) = (seconds, peak) else { bail!("the peer printed {line:?}") };
        turn.peak = turn.peak.max(Some((peak * 1e9) as u64));
        if step != "0" {
            turn.seconds.push(seconds);
        }
    }
    ensure!(!turn.seconds.is_empty(), "the peer printed no steps: {text:?}");
    Ok(turn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peers_lines_are_read_and_its_first_step_is_left_out() {
        let text = "368 M parameters, torch 2\nstep 0: 30.3 s, 0.1 samples/s, peak 9.75 GB, loss 12.9\n\
                    step 1: 26.9 s, 0.1 samples/s, peak 13.61 GB, loss 12.4\n";
        let turn = parse(text).unwrap();
        assert_eq!(turn, Turn { seconds: vec![26.9], peak: Some(13_610_000_000), parameters: 368.0 });
        assert!(parse("step 1: soon").is_err());
        assert!(parse("").is_err());
    }
}
