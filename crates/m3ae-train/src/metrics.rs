//! What a step measures, and its means over batches in double precision.

use burn::prelude::*;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::error::TrainError;

/// A number of a batch, still on the device.
#[derive(Debug, Clone)]
pub struct Term {
    name: &'static str,
    value: Tensor<1>,
    /// What the value stands for: samples, questions, tokens.
    count: f64,
    /// Whether the value is a mean over these, else their sum.
    mean: bool,
}

impl Term {
    /// A mean over `count` things: a loss. It must be finite, or the run stops.
    #[must_use]
    pub fn mean(name: &'static str, value: &Tensor<1>, count: usize) -> Self {
        Self { name, value: value.clone().detach(), count: count as f64, mean: true }
    }

    /// A sum over `count` things: hits.
    #[must_use]
    pub fn sum(name: &'static str, value: Tensor<1>, count: usize) -> Self {
        Self { name, value: value.detach(), count: count as f64, mean: false }
    }
}

/// A batch's loss and what is to be known about it.
#[derive(Debug, Clone)]
pub struct Measured {
    /// To be minimised, `[1]`.
    pub loss: Tensor<1>,
    /// What is logged.
    pub terms: Vec<Term>,
    /// Samples of the batch.
    pub samples: usize,
}

/// A loss that is NaN or infinite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NonFinite {
    /// Which.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
}

/// Sums of terms over batches.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    terms: Vec<Sum>,
    samples: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sum {
    name: String,
    #[serde(with = "exact")]
    sum: f64,
    count: f64,
}

impl Sums {
    /// Adds a batch. Reads from the device once.
    ///
    /// # Errors
    /// The device cannot be read. The inner error is the first loss that is not finite.
    pub fn add(&mut self, measured: &Measured) -> Result<Result<(), NonFinite>, TrainError> {
        self.samples += measured.samples as f64;
        if measured.terms.is_empty() {
            return Ok(Ok(()));
        }
        let values = measured.terms.iter().map(|term| term.value.clone()).collect();
        let values: Vec<f64> = Tensor::cat(values, 0).try_into_vec_as()?;
        let mut problem = Ok(());
        for (term, value) in measured.terms.iter().zip(values) {
            if term.mean && !value.is_finite() && problem.is_ok() {
                problem = Err(NonFinite { name: term.name, value });
            }
            if term.count == 0.0 {
                continue; // The mean over nothing says nothing.
            }
            let sum = if term.mean { value * term.count } else { value };
            self.join_term(Sum { name: term.name.to_owned(), sum, count: term.count });
        }
        Ok(problem)
    }

    /// Adds the sums of other batches.
    pub(crate) fn join(&mut self, other: Self) {
        self.samples += other.samples;
        other.terms.into_iter().for_each(|term| self.join_term(term));
    }

    fn join_term(&mut self, term: Sum) {
        match self.terms.iter_mut().find(|sum| sum.name == term.name) {
            Some(sum) => {
                sum.sum += term.sum;
                sum.count += term.count;
            }
            None => self.terms.push(term),
        }
    }

    /// Samples so far.
    #[must_use]
    pub fn samples(&self) -> f64 {
        self.samples
    }

    /// The means so far, of what was counted.
    #[must_use]
    pub fn means(&self) -> Metrics {
        Metrics(self.terms.iter().map(|sum| (sum.name.clone(), sum.sum / sum.count)).collect())
    }
}

/// Named means, in the task's order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics(Vec<(String, f64)>);

impl Metrics {
    /// The value of that name, if it was measured.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(known, _)| known == name).map(|&(_, value)| value)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> serde::de::Visitor<'de> for Entries {
            type Value = Metrics;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of names to numbers")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Metrics, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Metrics(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Numbers in JSON that come back bit for bit: as the hexadecimal digits of their bits.
pub(crate) mod exact {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{:016x}", value.to_bits()))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        let digits = String::deserialize(deserializer)?;
        u64::from_str_radix(&digits, 16).map(f64::from_bits).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(device: &Device, loss: f32, hits: f32, tokens: usize) -> Measured {
        let value = |value: f32| Tensor::<1>::from_data([value], device);
        let terms = vec![Term::mean("loss", &value(loss), 2), Term::sum("accuracy", value(hits), tokens)];
        Measured { loss: value(loss), terms, samples: 2 }
    }

    #[test]
    fn means_weigh_batches_by_what_they_stand_for() {
        let device = Device::default();
        let mut sums = Sums::default();
        sums.add(&measured(&device, 1.0, 3.0, 4)).unwrap().unwrap();
        sums.add(&measured(&device, 2.0, 0.0, 2)).unwrap().unwrap();
        sums.add(&measured(&device, 3.0, 0.0, 0)).unwrap().unwrap();
        assert_eq!((sums.means().get("loss"), sums.means().get("accuracy")), (Some(2.0), Some(0.5)));
        assert_eq!((sums.samples(), sums.means().get("other")), (6.0, None));
    }

    #[test]
    fn a_loss_that_is_no_number_is_named() {
        let device = Device::default();
        let problem = Sums::default().add(&measured(&device, f32::NAN, 0.0, 1)).unwrap().unwrap_err();
        assert!(problem.name == "loss" && problem.value.is_nan());
    }

    #[test]
    fn sums_come_back_from_json_bit_for_bit() {
        let device = Device::default();
        let mut sums = Sums::default();
        sums.add(&measured(&device, 0.1, 1.0 / 3.0, 7)).unwrap().unwrap();
        let json = serde_json::to_string(&sums).unwrap();
        assert_eq!(serde_json::from_str::<Sums>(&json).unwrap(), sums);
        let metrics = serde_json::to_string(&sums.means()).unwrap();
        assert!(metrics.starts_with(r#"{"loss":0.1"#), "{metrics}");
        assert!(serde_json::from_str::<Metrics>(&metrics).unwrap().get("accuracy").is_some());
    }
}
