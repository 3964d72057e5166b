//! Turns of work in processes of their own: ours, and the same in PyTorch.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::work::{Kind, Size};

/// What one process measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// Seconds of each step after the first.
    pub seconds: Vec<f64>,
    /// Peak memory in bytes.
    pub peak: Option<u64>,
    /// In millions.
    pub parameters: f64,
}

fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start {name}"))?;
    ensure!(output.status.success(), "{name} ended with {}", output.status);
    String::from_utf8(output.stdout).with_context(|| format!("{name} printed what is not UTF-8"))
}

/// This program again, alone with its memory.
pub fn ours(mut command: Command) -> Result<Turn> {
    let text = output(&mut command)?;
    serde_json::from_str(text.trim()).with_context(|| format!("a turn printed {text:?}"))
}

/// The peer: `python script --mode …`.
pub fn theirs(python: &Path, script: &Path, kind: Kind, size: Size, steps: usize, threads: usize) -> Result<Turn> {
    ensure!(script.is_file(), "{}: there is no peer script; --peer-script names it", script.display());
    let mut command = Command::new(python);
    command.arg(script).args(["--mode", kind.of_peer(), "--threads", &threads.to_string()]);
    for (name, value) in [("--batch", size.batch), ("--image", size.image), ("--text", size.text), ("--steps", steps)] {
        command.args([name, &value.to_string()]);
    }
    command.args(size.small.then_some("--small")).args(size.bf16.then_some("--bf16"));
    parse(&output(&mut command)?)
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
