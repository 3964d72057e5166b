//! The smallest pickle machine that reads a TorchScript archive's `data.pkl`: it makes plain values, and calls nothing.
//!
//! A pickle is a program for a stack machine. Ours knows the opcodes that PyTorch's own TorchScript writer emits and
//! the names on a short list ([`Global::find`]); anything else, `os.system` included, ends the reading with an error.
//! Every value costs at least one byte of pickle, whose size is limited ([`super::MAX_PICKLE`]).

use std::collections::HashMap;

use super::pickle::{Global, Id, Pickle, PickleError, Result, Value, View};

/// Most axes of a tensor.
const MAX_RANK: usize = 8;

impl<'a> Pickle<'a> {
    /// Reads a whole pickle.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self> {
        Machine::new(bytes).run()
    }
}

struct Machine<'a> {
    /// What is still to be read.
    bytes: &'a [u8],
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Stack heights at which a MARK was set.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, values: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() }
    }

    fn run(mut self) -> Result<Pickle<'a>> {
        loop {
            match self.byte()? {
                b'.' => return Ok(Pickle { root: self.pop()?, values: self.values }),
                opcode => self.step(opcode)?,
            }
        }
    }

    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            0x80 => drop(self.byte()?), // PROTO
            b'N' | 0x88 | 0x89 => self.push(Value::Other),
            b'G' => {
                self.take(8)?;
                self.push(Value::Other);
            }
            b'K' => {
                let value = i64::from(self.byte()?);
                self.push(Value::Int(value));
            }
            b'M' => {
                let value = i64::from(u16::from_le_bytes(self.array()?));
                self.push(Value::Int(value));
            }
            b'J' => {
                let value = i64::from(i32::from_le_bytes(self.array()?));
                self.push(Value::Int(value));
            }
            0x8a => self.long()?,
            b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                self.text(length as usize)?;
            }
            0x8c => {
                let length = self.byte()?;
                self.text(usize::from(length))?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(Global::find(module, name)?));
            }
            b')' | b']' => self.push(Value::Sequence(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            b'(' => self.marks.push(self.stack.len()),
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Sequence(items));
            }
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(opcode - 0x84))?;
                self.push(Value::Sequence(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(items)?;
            }
            b's' => {
                let items = self.pop_many(2)?;
                self.set_items(&items)?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)?;
            }
            b'q' => {
                let key = u32::from(self.byte()?);
                self.memo.insert(key, self.top()?);
            }
            b'r' => {
                let key = u32::from_le_bytes(self.array()?);
                self.memo.insert(key, self.top()?);
            }
            b'h' => {
                let key = u32::from(self.byte()?);
                self.recall(key)?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.array()?);
                self.recall(key)?;
            }
            b'Q' => self.persistent()?,
            b'R' => self.reduce()?,
            0x81 => self.new_object()?,
            b'b' => self.build()?,
            other => return Err(PickleError::Opcode(other)),
        }
        Ok(())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(PickleError::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or(PickleError::Truncated)?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn line(&mut self) -> Result<&'a str> {
        let end = self.bytes.iter().position(|&byte| byte == b'\n').ok_or(PickleError::Truncated)?;
        let line = self.take(end)?;
        self.take(1)?;
        std::str::from_utf8(line).map_err(|_| PickleError::Malformed("a name is not UTF-8"))
    }

    fn text(&mut self, length: usize) -> Result<()> {
        let text =
            std::str::from_utf8(self.take(length)?).map_err(|_| PickleError::Malformed("a text is not UTF-8"))?;
        self.push(Value::Text(text));
        Ok(())
    }

    /// LONG1: a little-endian two's complement number; wider than 64 bits it is nothing we use.
    fn long(&mut self) -> Result<()> {
        let length = usize::from(self.byte()?);
        let bytes = self.take(length)?;
        let fill = if bytes.last().is_some_and(|&byte| byte >= 0x80) { 0xff } else { 0 };
        let mut wide = [fill; 8];
        let value = match wide.get_mut(..length) {
            Some(low) => {
                low.copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(wide))
            }
            None => Value::Other,
        };
        self.push(value);
        Ok(())
    }

    fn push(&mut self, value: Value<'a>) {
        self.stack.push(Id(self.values.len()));
        self.values.push(value);
    }

    fn top(&self) -> Result<Id> {
        self.stack.last().copied().ok_or(PickleError::Malformed("the stack is empty"))
    }

    fn pop(&mut self) -> Result<Id> {
        let id = self.top()?;
        self.pop_many(1)?;
        Ok(id)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= floor => Ok(self.stack.split_off(start)),
            _ => Err(PickleError::Malformed("the stack is empty")),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().ok_or(PickleError::Malformed("there is no mark"))?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn append(&mut self, items: Vec<Id>) -> Result<()> {
        let list = self.top()?;
        match self.values.get_mut(list.0) {
            Some(Value::Sequence(list)) => {
                list.extend(items);
                Ok(())
            }
            _ => Err(PickleError::Malformed("items are appended to what is no list")),
        }
    }

    fn set_items(&mut self, items: &[Id]) -> Result<()> {
        let (pairs, []) = items.as_chunks::<2>() else {
            return Err(PickleError::Malformed("a key has no value"));
        };
        let dict = self.top()?;
        match self.values.get_mut(dict.0) {
            Some(Value::Dict(dict)) => {
                dict.extend(pairs.iter().map(|&[key, value]| (key, value)));
                Ok(())
            }
            _ => Err(PickleError::Malformed("items are set in what is no dictionary")),
        }
    }

    fn recall(&mut self, key: u32) -> Result<()> {
        let id = *self.memo.get(&key).ok_or(PickleError::Malformed("a memo entry is missing"))?;
        self.stack.push(id);
        Ok(())
    }

    fn sequence(&self, id: Id) -> Result<&[Id]> {
        match &self.values[id.0] {
            Value::Sequence(items) => Ok(items),
            _ => Err(PickleError::Malformed("a tuple is expected")),
        }
    }

    fn size(&self, id: Id) -> Result<usize> {
        match self.values[id.0] {
            Value::Int(value) => usize::try_from(value).map_err(|_| PickleError::Malformed("a size is negative")),
            _ => Err(PickleError::Malformed("a number is expected")),
        }
    }

    fn sizes(&self, id: Id) -> Result<Vec<usize>> {
        let items = self.sequence(id)?;
        if items.len() > MAX_RANK {
            return Err(PickleError::Limit("a tensor has more than 8 axes"));
        }
        items.iter().map(|&item| self.size(item)).collect()
    }

    /// BINPERSID: `("storage", type, key, device, elements)`.
    fn persistent(&mut self) -> Result<()> {
        let id = self.pop()?;
        let &[kind, storage, key, _device, count] = self.sequence(id)? else {
            return Err(PickleError::Malformed("a storage needs five fields"));
        };
        let (Value::Text("storage"), Value::Global(Global::Storage(dtype)), Value::Text(key)) =
            (&self.values[kind.0], &self.values[storage.0], &self.values[key.0])
        else {
            return Err(PickleError::Malformed("a persistent id is no storage"));
        };
        let value = Value::Storage { key, dtype: *dtype, elements: self.size(count)? };
        self.push(value);
        Ok(())
    }

    fn reduce(&mut self) -> Result<()> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let Value::Global(callable) = self.values[callable.0] else {
            return Err(PickleError::Malformed("what is called is no name"));
        };
        match callable {
            Global::Tensor => {
                let view = self.view(arguments)?;
                self.push(Value::Tensor(Box::new(view)));
            }
            // Written for backward hooks only, and always empty.
            Global::OrderedDict => self.push(Value::Dict(Vec::new())),
            Global::First => {
                let first =
                    *self.sequence(arguments)?.first().ok_or(PickleError::Malformed("an argument is missing"))?;
                self.stack.push(first);
            }
            Global::Storage(_) | Global::Class => return Err(PickleError::Malformed("a class is called")),
        }
        Ok(())
    }

    fn view(&self, arguments: Id) -> Result<View<'a>> {
        let &[storage, offset, shape, stride, ..] = self.sequence(arguments)? else {
            return Err(PickleError::Malformed("a tensor needs storage, offset, shape and stride"));
        };
        let Value::Storage { key, dtype, elements: storage } = self.values[storage.0] else {
            return Err(PickleError::Malformed("a tensor without storage"));
        };
        let view = View {
            key,
            dtype,
            storage,
            offset: self.size(offset)?,
            shape: self.sizes(shape)?,
            stride: self.sizes(stride)?,
        };
        match view.extent() {
            Some(end) if end <= storage && view.shape.len() == view.stride.len() => Ok(view),
            _ => Err(PickleError::OutOfStorage { shape: view.shape, key: key.to_owned(), elements: storage }),
        }
    }

    fn new_object(&mut self) -> Result<()> {
        let (_arguments, class) = (self.pop()?, self.pop()?);
        match self.values[class.0] {
            Value::Global(Global::Class) => {
                self.push(Value::Object(None));
                Ok(())
            }
            _ => Err(PickleError::Malformed("an object of what is no TorchScript class")),
        }
    }

    fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        let object = self.top()?;
        match self.values.get_mut(object.0) {
            Some(Value::Object(attributes @ None)) => {
                *attributes = Some(state);
                Ok(())
            }
            _ => Err(PickleError::Malformed("attributes of what is no fresh TorchScript object")),
        }
    }
}
