//! A plan says where each parameter of a model comes from. All of it is checked, shapes and types included, before the
//! first byte is read and before the model changes. Then it is carried out in batches of bounded size.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use burn::module::Module;
use burn::store::ModuleSnapshot;
use burn::store::burn_pack::{Error as PackError, Tensor as PackTensor};
use burn::tensor::{Bytes, DType};

use crate::error::WeightsError;
use crate::names::to_reference;
use crate::positions;
use crate::report::{LoadReport, Resized};
use crate::stored::StoredTensor;
use crate::targets::{Target, targets};

/// Bytes of parameters in host memory at a time, before they go to the device.
const BATCH: usize = 128 << 20;
/// More threads would only wait for memory and disk.
const MAX_THREADS: usize = 8;

/// What a parameter is made from.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A tensor as it is.
    Whole(StoredTensor),
    /// Tensors one below the other: separate query, key and value projections.
    Stacked(Vec<StoredTensor>),
    /// One row of a tensor, as a tensor with one row.
    Row(StoredTensor, usize),
    /// A position table (class row and patches), resized between square grids of these sides.
    Positions(StoredTensor, usize, usize),
    /// A table without class row, as Swin's relative biases, resized between square grids of these sides.
    Biases(StoredTensor, usize, usize),
}

impl Value {
    fn parts(&self) -> &[StoredTensor] {
        match self {
            Self::Stacked(parts) => parts,
            Self::Whole(part) | Self::Row(part, _) | Self::Positions(part, ..) | Self::Biases(part, ..) => {
                std::slice::from_ref(part)
            }
        }
    }

    /// The shape it has when read; `None` if its parts do not go together.
    fn shape(&self) -> Option<Vec<usize>> {
        let first = self.parts().first()?;
        let (rows, rest) = first.shape.split_first().map_or((1, &[][..]), |(&rows, rest)| (rows, rest));
        let with_rows = |rows: usize| Some([&[rows], rest].concat());
        match self {
            Self::Whole(part) => Some(part.shape.clone()),
            Self::Stacked(parts) if parts.iter().all(|part| part.shape == first.shape) => {
                with_rows(rows.checked_mul(parts.len())?)
            }
            Self::Stacked(_) => None,
            Self::Row(_, row) => (*row < rows).then_some(1).and_then(with_rows),
            Self::Positions(_, from, to) => (rows == 1 + from * from).then_some(1 + to * to).and_then(with_rows),
            Self::Biases(_, from, to) => (rows == from * from).then_some(to * to).and_then(with_rows),
        }
    }

    fn read(&self, transposed: bool) -> io::Result<Vec<f32>> {
        match self {
            Self::Whole(tensor) if transposed => tensor.read_transposed(),
            Self::Whole(tensor) => tensor.read_f32(),
            _ => {
                let values = self.assemble()?;
                Ok(if transposed { transpose(&values, self.width()) } else { values })
            }
        }
    }

    /// Length of the last axis.
    fn width(&self) -> usize {
        self.parts().first().and_then(|part| part.shape.last().copied()).unwrap_or(1)
    }

    fn assemble(&self) -> io::Result<Vec<f32>> {
        let mut values = Vec::new();
        for part in self.parts() {
            values.extend(part.read_f32()?);
        }
        Ok(match self {
            Self::Whole(_) | Self::Stacked(_) => values,
            Self::Row(tensor, row) => {
                let width = values.len() / tensor.shape.first().copied().unwrap_or(1).max(1);
                values.split_off(row * width).into_iter().take(width).collect()
            }
            Self::Positions(_, from, to) => positions::resize(&values, self.width(), *from, *to),
            Self::Biases(_, from, to) => positions::resize_grid(&values, self.width(), *from, *to),
        })
    }
}

fn transpose(values: &[f32], columns: usize) -> Vec<f32> {
    let rows = values.len() / columns.max(1);
    (0..columns).flat_map(|c| (0..rows).map(move |r| values[r * columns + c])).collect()
}

/// One parameter and what it is made from.
struct Assignment {
    name: String,
    target: Target,
    value: Value,
}

/// A plan that is being made.
pub(crate) struct Plan<'a> {
    path: &'a Path,
    /// Parameters that have no source yet.
    open: BTreeMap<String, Target>,
    assignments: Vec<Assignment>,
    problems: Vec<String>,
    pub report: LoadReport,
}

impl<'a> Plan<'a> {
    pub(crate) fn new<M: Module>(module: &M, path: &'a Path) -> Self {
        let report = LoadReport::default();
        Self { path, open: targets(module), assignments: Vec::new(), problems: Vec::new(), report }
    }

    /// The shape that a parameter without a source so far needs.
    pub(crate) fn needs(&self, parameter: &str) -> Option<&[usize]> {
        self.open.get(parameter).map(|target| target.shape.as_slice())
    }

    /// Whether any parameter without a source so far starts with `prefix`.
    pub(crate) fn has(&self, prefix: &str) -> bool {
        self.open.keys().any(|name| name.starts_with(prefix))
    }

    pub(crate) fn ignore(&mut self, name: &str, reason: &'static str) {
        self.report.ignored.push((name.to_owned(), reason));
    }

    pub(crate) fn problem(&mut self, problem: String) {
        self.problems.push(format!("  {problem}"));
    }

    /// Leaves parameters that start with `prefix` as they are.
    pub(crate) fn keep(&mut self, prefix: &str, reason: &'static str) {
        let kept: Vec<String> = self.open.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
        for name in kept {
            self.open.remove(&name);
            self.report.kept.push((name, reason));
        }
    }

    /// Plans `value` for `parameter`, named `name` in the file. A position table of another grid is resized.
    pub(crate) fn assign(&mut self, parameter: &str, name: &str, mut value: Value) {
        let Some(target) = self.open.remove(parameter) else {
            let twice = self.assignments.iter().any(|assignment| assignment.target_name() == parameter);
            return self.problem(match twice {
                true => format!("{name}: a second tensor for {parameter}"),
                false => format!("unexpected: {name}"),
            });
        };
        if let Some(part) = value.parts().iter().find(|part| !part.is_float()) {
            return self.problem(format!("{name}: the file has type {:?}, the model needs a float type", part.dtype));
        }
        let found = value.shape();
        if found.as_ref() != Some(&target.shape) {
            match resized(parameter, &value, &target) {
                Some((from, to, table)) => {
                    self.report.resized.push(Resized { name: name.to_owned(), from, to });
                    value = table;
                }
                None => {
                    let found = found.unwrap_or_else(|| value.parts().first().map_or(vec![], |p| p.shape.clone()));
                    let needed = &target.shape;
                    return self.problem(format!("{name}: the file has shape {found:?}, the model needs {needed:?}"));
                }
            }
        }
        self.assignments.push(Assignment { name: name.to_owned(), target, value });
    }

    /// Carries the plan out.
    ///
    /// # Errors
    /// Any parameter without a source and any problem so far (the model is unchanged), or a tensor that cannot be read
    /// (the model is partly loaded then).
    pub(crate) fn apply<M: Module>(mut self, module: &mut M) -> Result<LoadReport, WeightsError> {
        self.problems.extend(self.open.keys().map(|name| format!("  missing: {name}")));
        if !self.problems.is_empty() {
            return Err(WeightsError::Mismatch { path: self.path.to_owned(), problems: self.problems });
        }
        let mut left = self.assignments.as_slice();
        while !left.is_empty() {
            let mut bytes = 0;
            let within = |assignment: &&Assignment| {
                bytes += assignment.byte_len();
                bytes <= BATCH
            };
            let (batch, rest) = left.split_at(left.iter().take_while(within).count().max(1));
            left = rest;
            let result = module.apply(read(batch, self.path)?, None, None, true);
            // Everything was checked before, so this is a failure of the device.
            if let Some(error) = result.errors.first() {
                return Err(WeightsError::Mismatch {
                    path: self.path.to_owned(),
                    problems: vec![format!("  {error}")],
                });
            }
            self.report.loaded.extend(result.applied.iter().map(|path| to_reference(path)));
        }
        Ok(self.report)
    }
}

/// Reads tensors, on all processors: most of the time goes into transposing, and into memory that is touched first.
fn read(batch: &[Assignment], path: &Path) -> Result<Vec<PackTensor>, WeightsError> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS).min(batch.len());
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(batch.len())));
    let work = || {
        while let Some(assignment) = batch.get(next.fetch_add(1, Ordering::Relaxed)) {
            let tensor = assignment.read(path);
            let failed = tensor.is_err();
            done.lock().unwrap_or_else(PoisonError::into_inner).push(tensor);
            if failed {
                next.store(batch.len(), Ordering::Relaxed); // the others stop reading
            }
        }
    };
    thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect()
}

impl Assignment {
    fn byte_len(&self) -> usize {
        self.target.shape.iter().product::<usize>() * size_of::<f32>()
    }

    fn read(&self, path: &Path) -> Result<PackTensor, WeightsError> {
        let Target { path: parameter, shape, transposed } = &self.target;
        let mut shape = shape.clone();
        if *transposed {
            shape.reverse();
        }
        let problem =
            |problem: String| WeightsError::Tensor { path: path.to_owned(), name: self.name.clone(), problem };
        let values = self.value.read(*transposed).map_err(|error| problem(error.to_string()))?;
        if values.len() * size_of::<f32>() != self.byte_len() {
            return Err(problem(format!("{} values are there, shape {shape:?} needs another number", values.len())));
        }
        // The bytes are moved, not copied: cloning a tensor that owns its bytes would copy them.
        let bytes = Mutex::new(Some(Bytes::from_elems(values)));
        Ok(PackTensor::deferred(parameter.clone(), DType::F32, shape, None, self.byte_len(), move || {
            let bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner).take();
            bytes.ok_or_else(|| PackError::ValidationError("a parameter is read twice".into()))
        }))
    }

    fn target_name(&self) -> String {
        to_reference(&self.target.path)
    }
}

/// A position table for the target's grid, if that is what the parameter is and nothing but the grid differs.
fn resized(parameter: &str, value: &Value, target: &Target) -> Option<(usize, usize, Value)> {
    let Value::Whole(tensor) = value else { return None };
    let (&[rows, width], &[needed, target_width]) = (tensor.shape.as_slice(), target.shape.as_slice()) else {
        return None;
    };
    if width != target_width {
        None
    } else if parameter.ends_with("visual.positional_embedding") {
        let (from, to) = (positions::grid(rows)?, positions::grid(needed)?);
        Some((from, to, Value::Positions(tensor.clone(), from, to)))
    } else if parameter.ends_with(".attn.relative_position_bias_table") {
        let (from, to) = (positions::side(rows)?, positions::side(needed)?);
        Some((from, to, Value::Biases(tensor.clone(), from, to)))
    } else {
        None
    }
}
