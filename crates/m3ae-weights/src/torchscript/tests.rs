//! Promises of the pickle machine.

use super::pickle::{Pickle, PickleError, Value};

fn read(bytes: &[u8]) -> Result<Pickle<'_>, PickleError> {
    Pickle::read(bytes)
}

#[test]
fn plain_values_are_read() {
    let pickle = read(b"\x80\x02}(X\x01\x00\x00\x00aK\x07X\x01\x00\x00\x00b\x8a\x01\xffu.").unwrap();
    let Value::Dict(entries) = pickle.get(pickle.root) else { panic!("{pickle:?}") };
    let values: Vec<_> = entries.iter().map(|&(_, value)| pickle.get(value)).collect();
    assert!(matches!(values[..], [Value::Int(7), Value::Int(-1)]), "{values:?}");
}

#[test]
fn only_tensors_storages_and_torchscript_classes_can_be_named() {
    for name in [
        "os\nsystem",
        "builtins\neval",
        "posix\nsystem",
        "torch\nload",
        "torch\nEvilStorage",
        "torch._utils\n_rebuild_parameter",
        "__torch__x\nNode",
        "torch.jit._pickle\nexec",
        "collections\ndefaultdict",
    ] {
        let bytes = [b"c", name.as_bytes(), b"\n."].concat();
        let result = read(&bytes);
        assert!(matches!(result, Err(PickleError::Forbidden { .. })), "{name}: {result:?}");
    }
}

#[test]
fn classes_are_never_called() {
    for pickle in [
        b"c__torch__\nNode\n)R.".as_slice(),
        b"ctorch\nFloatStorage\n)R.",
        b"ccollections\nOrderedDict\n)\x81.",
        b"K\x01)R.",
        b"K\x01)\x81.",
    ] {
        assert!(matches!(read(pickle), Err(PickleError::Malformed(_))), "{pickle:?}");
    }
}

#[test]
fn opcodes_outside_the_short_list_are_refused() {
    // INST, OBJ, STACK_GLOBAL, EXT1, PERSID, FRAME, BYTEARRAY8, NEXT_BUFFER, NEWOBJ_EX …
    for opcode in *b"iodP0123IFSUTVBC\x82\x83\x84\x92\x93\x94\x95\x96\x97\x98l" {
        assert_eq!(read(&[b'N', opcode, b'.']).unwrap_err(), PickleError::Opcode(opcode));
    }
}

#[test]
fn a_stack_that_runs_empty_is_an_error() {
    for pickle in [
        b".".as_slice(),
        b"t.",
        b"u.",
        b"e.",
        b"R.",
        b"b.",
        b"\x81.",
        b"q\x00.",
        b"h\x00.",
        b"Q.",
        b"\x85.",
        b"\x87.",
        b"(.",
        b"N(s.",
        b"NN(\x86.",
        b"}(Nu.",
        b"Na.",
        b"]NNs.",
        b"",
    ] {
        assert!(read(pickle).is_err(), "{pickle:?}");
    }
}

#[test]
fn lengths_beyond_the_end_are_an_error_and_no_allocation() {
    for pickle in
        [b"X\xff\xff\xff\xff".as_slice(), b"\x8a\xff", b"\x8c\xff", b"G\x00", b"M\x00", b"c__torch__", b"\x80"]
    {
        assert_eq!(read(pickle).unwrap_err(), PickleError::Truncated, "{pickle:?}");
    }
}
