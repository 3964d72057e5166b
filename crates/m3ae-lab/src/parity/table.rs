//! Comparing tensors with the reference's, and saying how it went.

use std::fmt::{self, Display};

use anyhow::Result;
use burn::prelude::*;
use burn::tensor::kind::Basic;

use super::fixture::{Fixture, Stored};

/// How close a tensor has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// Every value equal.
    Exact,
    /// Largest absolute error over largest absolute value.
    Relative(f64),
}

/// One line of the table.
#[derive(Debug)]
struct Row {
    name: String,
    shape: Vec<usize>,
    verdict: Verdict,
}

#[derive(Debug)]
enum Verdict {
    Compared { absolute: f64, relative: f64, passed: bool },
    Missing,
    WrongShape(Vec<usize>),
}

/// All comparisons so far.
#[derive(Debug, Default)]
pub struct Table(Vec<Row>);

impl Table {
    /// Compares `ours` with the fixture's tensor `name`.
    pub fn compare<const D: usize, K: Basic>(
        &mut self,
        fixture: &mut Fixture,
        name: &str,
        ours: Tensor<D, K>,
        tolerance: Tolerance,
    ) -> Result<()> {
        let shape = ours.dims().to_vec();
        let verdict = match fixture.get(name)? {
            None => Verdict::Missing,
            Some(theirs) if theirs.shape != shape => Verdict::WrongShape(theirs.shape),
            Some(Stored { values, .. }) => judge(&ours.try_into_vec_as::<f64>()?, &values, tolerance),
        };
        self.0.push(Row { name: name.to_owned(), shape, verdict });
        Ok(())
    }

    /// Compares values of one shape, of which differences up to `rounding` count as none.
    pub fn compare_slices(&mut self, name: String, ours: &[f64], theirs: &[f64], tolerance: Tolerance, rounding: f64) {
        let near = |(&a, &b): (&f64, &f64)| if (a - b).abs() <= rounding { b } else { a };
        let verdict = match ours.len() == theirs.len() {
            true => judge(&ours.iter().zip(theirs).map(near).collect::<Vec<_>>(), theirs, tolerance),
            false => Verdict::WrongShape(vec![theirs.len()]),
        };
        let shape = if ours.len() == 1 { Vec::new() } else { vec![ours.len()] };
        self.0.push(Row { name, shape, verdict });
    }

    /// Compares single numbers.
    pub fn compare_value(&mut self, name: String, ours: f64, theirs: Option<f64>, tolerance: Tolerance) {
        let verdict = theirs.map_or(Verdict::Missing, |theirs| judge(&[ours], &[theirs], tolerance));
        self.0.push(Row { name, shape: Vec::new(), verdict });
    }

    /// How many comparisons there are, and how many failed.
    pub fn counts(&self) -> (usize, usize) {
        let passed = |row: &&Row| matches!(row.verdict, Verdict::Compared { passed: true, .. });
        (self.0.len(), self.0.len() - self.0.iter().filter(passed).count())
    }
}

fn judge(ours: &[f64], theirs: &[f64], tolerance: Tolerance) -> Verdict {
    let pairs = ours.iter().zip(theirs);
    // `f64::max` ignores NaN: a NaN of ours has to count as infinitely wrong.
    let error = |(a, b): (&f64, &f64)| if a.is_finite() && b.is_finite() { (a - b).abs() } else { f64::INFINITY };
    let absolute = pairs.map(error).fold(0.0, f64::max);
    let largest = theirs.iter().map(|value| value.abs()).fold(0.0, f64::max);
    let relative = if absolute == 0.0 { 0.0 } else { absolute / largest };
    let passed = match tolerance {
        Tolerance::Exact => absolute == 0.0,
        Tolerance::Relative(limit) => relative <= limit,
    };
    Verdict::Compared { absolute, relative, passed }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|row| row.name.len()).max().unwrap_or(0).max(6);
        writeln!(f, "{:<width$}  {:<18} {:>12} {:>12}  verdict", "tensor", "shape", "max abs err", "relative")?;
        for Row { name, shape, verdict } in &self.0 {
            let shape = if shape.is_empty() { "scalar".to_owned() } else { format!("{shape:?}") };
            write!(f, "{name:<width$}  {shape:<18} ")?;
            match verdict {
                Verdict::Compared { absolute, relative, passed } => {
                    let verdict = if *passed { "ok" } else { "FAILED" };
                    writeln!(f, "{absolute:>12.3e} {relative:>12.3e}  {verdict}")?;
                }
                Verdict::Missing => writeln!(f, "{:>12} {:>12}  FAILED: the fixture lacks it", "-", "-")?,
                Verdict::WrongShape(theirs) => {
                    writeln!(f, "{:>12} {:>12}  FAILED: the fixture has shape {theirs:?}", "-", "-")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(ours: &[f64], theirs: &[f64], tolerance: Tolerance) -> bool {
        matches!(judge(ours, theirs, tolerance), Verdict::Compared { passed: true, .. })
    }

    #[test]
    fn a_relative_error_is_measured_against_the_largest_value() {
        assert!(passed(&[10.0005, 0.0], &[10.0, 0.0], Tolerance::Relative(1e-4)));
        assert!(!passed(&[10.0, 0.002], &[10.0, 0.0], Tolerance::Relative(1e-4)));
    }

    #[test]
    fn nan_and_infinity_never_pass() {
        assert!(!passed(&[f64::NAN], &[1.0], Tolerance::Relative(1e9)));
        assert!(!passed(&[f64::INFINITY], &[1.0], Tolerance::Relative(1e9)));
        assert!(!passed(&[0.1], &[0.0], Tolerance::Relative(1e9)));
    }

    #[test]
    fn exact_means_exact() {
        assert!(passed(&[1.0, 0.0], &[1.0, 0.0], Tolerance::Exact));
        assert!(!passed(&[1.0, 1e-12], &[1.0, 0.0], Tolerance::Exact));
    }
}
