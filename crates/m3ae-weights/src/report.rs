//! What loading did with each tensor of the file and each parameter of the model.

use std::fmt;

/// The result of loading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// The reference's names of the parameters whose values now come from the file.
    pub loaded: Vec<String>,
    /// Tensors of the file that were left out, with the reason for each.
    pub ignored: Vec<(String, &'static str)>,
    /// Position tables that were resized to the model's image size.
    pub resized: Vec<Resized>,
    /// Parameters that kept their values, with the reason for each.
    pub kept: Vec<(String, &'static str)>,
}

/// A position table that was made for another image size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resized {
    /// The tensor's name in the file.
    pub name: String,
    /// Patches per side in the file.
    pub from: usize,
    /// Patches per side in the model.
    pub to: usize,
}

impl fmt::Display for LoadReport {
    /// A summary: counts, then a line for each reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} parameters loaded", self.loaded.len())?;
        for Resized { name, from, to } in &self.resized {
            writeln!(f, "resized: {name}, from {from}x{from} to {to}x{to} patches")?;
        }
        for (what, list) in [("ignored", &self.ignored), ("kept", &self.kept)] {
            let mut reasons: Vec<(&str, usize, &str)> = Vec::new();
            for (name, reason) in list {
                match reasons.iter_mut().find(|(known, ..)| known == reason) {
                    Some((_, count, _)) => *count += 1,
                    None => reasons.push((reason, 1, name)),
                }
            }
            for (reason, count, name) in reasons {
                let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
                writeln!(f, "{what}: {name}{more}: {reason}")?;
            }
        }
        Ok(())
    }
}
