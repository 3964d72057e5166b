//! What a step measures, and its means over batches in double precision.

use burn::prelude::*;
use burn::tensor::TensorReadError;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use exact::Exact;

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
    /// Adds a batch. Reads from the device once. Returns the first loss that is not finite, if there is one.
    ///
    /// # Errors
    /// The device cannot be read.
    pub fn add(&mut self, measured: &Measured) -> Result<Option<NonFinite>, TensorReadError> {
        self.samples += measured.samples as f64;
        if measured.terms.is_empty() {
            return Ok(None);
        }
        let values = measured.terms.iter().map(|term| term.value.clone()).collect();
        let values: Vec<f64> = Tensor::cat(values, 0).try_into_vec_as()?;
        let mut problem = None;
        for (term, value) in measured.terms.iter().zip(values) {
            if term.mean && !value.is_finite() && problem.is_none() {
                problem = Some(NonFinite { name: term.name, value });
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
            map.serialize_entry(name, &Exact(*value))?;
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
                while let Some((name, Exact(value))) = map.next_entry()? {
                    entries.push((name, value));
                }
                Ok(Metrics(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Numbers in JSON that come back bit for bit: finite ones as JSON numbers, the others as strings, `"NaN"`, `"inf"` and
/// `"-inf"`.
pub(crate) mod exact {
    use std::fmt;

    use serde::de::{Deserializer, Error, Visitor};
    use serde::ser::Serializer;
    use serde::{Deserialize, Serialize};

    /// A number that is written this way wherever no field attribute can say so.
    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    pub(crate) struct Exact(#[serde(with = "super::exact")] pub f64);

    pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        match value.is_finite() {
            true => serializer.serialize_f64(*value),
            false => serializer.serialize_str(&value.to_string()),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = f64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, \"NaN\", \"inf\" or \"-inf\"")
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<f64, E> {
                Ok(value)
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<f64, E> {
                Ok(value as f64)
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<f64, E> {
                Ok(value as f64)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
                match text {
                    "NaN" => Ok(f64::NAN),
                    "inf" => Ok(f64::INFINITY),
                    "-inf" => Ok(f64::NEG_INFINITY),
                    // Earlier versions wrote the hexadecimal digits of the number's bits.
                    _ if text.len() == 16 => u64::from_str_radix(text, 16).map(f64::from_bits).map_err(E::custom),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }

            /// `null`, which earlier versions wrote for numbers that are not finite.
            fn visit_unit<E: Error>(self) -> Result<f64, E> {
                Ok(f64::NAN)
            }
        }
        deserializer.deserialize_any(Number)
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
        sums.add(&measured(&device, 1.0, 3.0, 4)).unwrap();
        assert_eq!(sums.add(&measured(&device, 2.0, 0.0, 2)).unwrap(), None);
        assert_eq!(sums.add(&measured(&device, 3.0, 0.0, 0)).unwrap(), None);
        assert_eq!((sums.means().get("loss"), sums.means().get("accuracy")), (Some(2.0), Some(0.5)));
        assert_eq!((sums.samples(), sums.means().get("other")), (6.0, None));
    }

    #[test]
    fn a_loss_that_is_no_number_is_named() {
        let device = Device::default();
        let problem = Sums::default().add(&measured(&device, f32::NAN, 0.0, 1)).unwrap().unwrap();
        assert!(problem.name == "loss" && problem.value.is_nan());
    }

    #[test]
    fn sums_come_back_from_json_bit_for_bit() {
        let device = Device::default();
        let mut sums = Sums::default();
        assert_eq!(sums.add(&measured(&device, 0.1, 1.0 / 3.0, 7)).unwrap(), None);
        let json = serde_json::to_string(&sums).unwrap();
        assert_eq!(serde_json::from_str::<Sums>(&json).unwrap(), sums);
        let metrics = serde_json::to_string(&sums.means()).unwrap();
        assert!(metrics.starts_with(r#"{"loss":0.1"#), "{metrics}");
        assert!(serde_json::from_str::<Metrics>(&metrics).unwrap().get("accuracy").is_some());
    }

    #[test]
    fn numbers_that_are_not_finite_come_back_from_json() {
        let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE / 3.0, 0.1 + 0.2];
        let metrics = Metrics(values.iter().map(|&value| (value.to_string(), value)).collect());
        let json = serde_json::to_string(&metrics).unwrap();
        let read: Metrics = serde_json::from_str(&json).unwrap();
        let bits = |metrics: &Metrics| metrics.iter().map(|(_, value)| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&read), bits(&metrics), "{json}");
        // As earlier versions wrote them: null, and the bits in hexadecimal.
        let read: Metrics = serde_json::from_str(r#"{"a":null,"b":"3fb999999999999a"}"#).unwrap();
        assert!(read.get("a").unwrap().is_nan() && read.get("b") == Some(0.1));
    }
}
