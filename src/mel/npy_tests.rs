use std::io::Cursor;

use super::*;

/// A `.npy` file of the given header dictionary and data.
fn file(dictionary: &str, data: &[u8]) -> Vec<u8> {
    let mut text = dictionary.to_owned();
    while !(10 + text.len() + 1).is_multiple_of(64) {
        text.push(' ');
    }
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(data);
    bytes
}

fn header(descr: &str, fortran: bool, shape: &str) -> String {
    let fortran = if fortran { "True" } else { "False" };
    format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}")
}

fn floats(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}

fn read(bytes: &[u8], n_mels: usize) -> Result<Mel, MelError> {
    read_npy(bytes, Some(n_mels), Layout::Auto, &NpyLimits::default())
}

fn message(bytes: &[u8]) -> String {
    read(bytes, 80).unwrap_err().to_string()
}

/// Value of band `b`, frame `f` in every array below; exact in half precision.
fn value(b: usize, f: usize) -> f32 {
    b as f32 - 8.0 * f as f32
}

const BANDS: usize = 3;
const FRAMES: usize = 5;

fn assert_expected(mel: &Mel) {
    assert_eq!((mel.n_mels(), mel.frames()), (BANDS, FRAMES));
    assert!(mel.view().is_standard_layout());
    assert!(
        mel.view()
            .indexed_iter()
            .all(|((b, f), v)| *v == value(b, f)),
        "{mel:?}"
    );
}

#[test]
fn reads_every_element_type_byte_order_memory_order_and_shape() {
    type Encode = fn(f32) -> Vec<u8>;
    let encodings: [(&str, Encode); 6] = [
        ("<f2", |v| f16::from_f32(v).to_le_bytes().into()),
        (">f2", |v| f16::from_f32(v).to_be_bytes().into()),
        ("<f4", |v| v.to_le_bytes().into()),
        (">f4", |v| v.to_be_bytes().into()),
        ("<f8", |v| f64::from(v).to_le_bytes().into()),
        (">f8", |v| f64::from(v).to_be_bytes().into()),
    ];
    let band_major = || (0..BANDS).flat_map(|b| (0..FRAMES).map(move |f| value(b, f)));
    let frame_major = || (0..FRAMES).flat_map(|f| (0..BANDS).map(move |b| value(b, f)));
    for (descr, encode) in encodings {
        let by_band: Vec<u8> = band_major().flat_map(encode).collect();
        let by_frame: Vec<u8> = frame_major().flat_map(encode).collect();
        let cases = [
            ("(3, 5)", false, &by_band),
            ("(3, 5)", true, &by_frame),
            ("(5, 3)", false, &by_frame),
            ("(5, 3)", true, &by_band),
            ("(1, 3, 5)", false, &by_band),
            ("(1, 3, 5)", true, &by_frame),
            ("(1, 5, 3)", false, &by_frame),
            ("(1, 1, 5, 3)", true, &by_band),
            ("(3, 5, 1)", false, &by_band),
            ("(5, 1, 3)", false, &by_frame),
            ("(5, 1, 3)", true, &by_band),
            ("(3L, 5L)", false, &by_band),
            ("(1L, 5L, 3L)", false, &by_frame),
        ];
        for (shape, fortran, data) in cases {
            let bytes = file(&header(descr, fortran, shape), data);
            assert_expected(&read(&bytes, BANDS).unwrap());
        }
    }
}

#[test]
fn writing_and_reading_gives_the_same_mel() {
    let mel = Mel::new(Array2::from_shape_fn((BANDS, FRAMES), |(b, f)| value(b, f))).unwrap();
    let mut bytes = Vec::new();
    write_npy(&mut bytes, &mel).unwrap();
    assert_eq!(read(&bytes, BANDS).unwrap(), mel);
}

#[test]
fn reads_header_versions_two_and_three() {
    for version in [2, 3] {
        let mut bytes = file(&header("<f4", false, "(2, 1)"), &floats([0.5, 1.5]));
        bytes[6] = version;
        bytes.splice(10..10, [0, 0]);
        assert_eq!(read(&bytes, 2).unwrap().view()[(1, 0)], 1.5);
    }
}

#[test]
fn a_stream_in_small_pieces_reads_like_a_file() {
    struct Dribble(Cursor<Vec<u8>>);
    impl Read for Dribble {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let few = out.len().min(3);
            self.0.read(&mut out[..few])
        }
    }
    let data = floats((0..FRAMES).flat_map(|f| (0..BANDS).map(move |b| value(b, f))));
    let bytes = file(&header("<f4", false, "(5, 3)"), &data);
    let reader = Dribble(Cursor::new(bytes));
    assert_expected(&read_npy(reader, Some(3), Layout::Auto, &NpyLimits::default()).unwrap());
}

#[test]
fn asks_for_the_layout_only_where_the_shape_does_not_tell() {
    let square = file(
        &header("<f4", false, "(3, 3)"),
        &floats((0..9).map(|n| n as f32)),
    );
    let get = |n_mels, layout| read_npy(square.as_slice(), n_mels, layout, &NpyLimits::default());
    let error = get(Some(3), Layout::Auto).unwrap_err();
    assert!(matches!(error, MelError::AmbiguousLayout { .. }));
    assert!(error.to_string().contains("`layout` frames-first"));
    assert_eq!(
        get(Some(3), Layout::BandsFirst).unwrap().view()[(0, 1)],
        1.0
    );
    assert_eq!(
        get(Some(3), Layout::FramesFirst).unwrap().view()[(0, 1)],
        3.0
    );
    assert!(matches!(
        get(None, Layout::Auto),
        Err(MelError::AmbiguousLayout { .. })
    ));
    assert_eq!(get(None, Layout::FramesFirst).unwrap().view()[(1, 0)], 1.0);

    let wide = file(&header("<f4", false, "(80, 2)"), &floats([0.0; 160]));
    let get = |n_mels, layout| read_npy(wide.as_slice(), n_mels, layout, &NpyLimits::default());
    assert_eq!(get(None, Layout::Auto).unwrap().n_mels(), 80);
    for (n_mels, layout) in [
        (Some(80), Layout::FramesFirst),
        (Some(2), Layout::BandsFirst),
        (Some(100), Layout::Auto),
    ] {
        assert!(
            matches!(get(n_mels, layout), Err(MelError::Bands { .. })),
            "{n_mels:?} {layout:?}"
        );
    }
}

#[test]
fn other_formats_are_recognised() {
    let cases: [(&[u8], &str, &str); 8] = [
        (
            b"RIFF\x24\x00\x00\x00WAVEfmt ",
            "a WAV audio file",
            "vocode mel",
        ),
        (b"fLaC\x00\x00\x00\x22", "a FLAC audio file", "vocode mel"),
        (b"\x89PNG\r\n\x1a\n\x00", "a PNG image", "numpy.save"),
        (b"PK\x03\x04\x14\x00\x00\x00", "archive", "np.load"),
        (b"\x80\x04\x95\x10\x00\x00\x00\x00", "pickle", "torch.load"),
        (b"0.1 0.2 0.3\n", "a text file", "numpy.save"),
        (
            b"\x00\x01\x02\x03\x04\x05\x06\x07",
            "an unknown kind",
            "numpy.save",
        ),
        (b"\x1f", "an unknown kind", "numpy.save"),
    ];
    for (bytes, found, advice) in cases {
        let message = message(bytes);
        assert!(
            message.contains(found) && message.contains(advice),
            "{message}"
        );
    }
    assert!(matches!(read(b"", 80), Err(MelError::NoBytes)));
}

#[test]
fn every_cut_is_an_error() {
    let whole = file(&header("<f4", false, "(2, 3)"), &floats([0.0; 6]));
    for length in 0..whole.len() {
        let error = read(&whole[..length], 2).unwrap_err();
        let expected = match length {
            0 => matches!(error, MelError::NoBytes),
            1..128 => matches!(error, MelError::Header { .. }),
            _ => matches!(error, MelError::Truncated { expected: 24, .. }),
        };
        assert!(expected, "{length}: {error}");
    }
    let mut longer = whole;
    longer.push(0);
    assert!(matches!(
        read(&longer, 2),
        Err(MelError::TrailingData { expected: 24 })
    ));
}

#[test]
fn element_types_that_are_not_floats_are_named() {
    for descr in [
        "<i2", "|u1", "<c8", "|b1", "<U5", "|S3", "<M8[ns]", "<f16", "f3", "<é4", "",
    ] {
        let message = message(&file(&header(descr, false, "(80, 2)"), &[]));
        assert!(
            message.contains("not supported") || message.contains("not text"),
            "{descr}: {message}"
        );
    }
    for descr in ["|O", "O"] {
        let bytes = file(&header(descr, false, "(80, 2)"), b"\x80\x04N.");
        assert!(matches!(
            read(&bytes, 80),
            Err(MelError::PythonObjects { .. })
        ));
    }
    let structured =
        "{'descr': [('a', '<f4'), ('b', '|O')], 'fortran_order': False, 'shape': (80, 2), }";
    assert!(matches!(
        read(&file(structured, &[]), 80),
        Err(MelError::PythonObjects { .. })
    ));
    let structured = "{'descr': [('a', '<f4', (3,))], 'fortran_order': False, 'shape': (80, 2), }";
    assert!(matches!(
        read(&file(structured, &[]), 80),
        Err(MelError::ElementType { .. })
    ));
    let number = "{'descr': 4, 'fortran_order': False, 'shape': (80, 2), }";
    assert!(matches!(
        read(&file(number, &[]), 80),
        Err(MelError::ElementType { .. })
    ));
}

#[test]
fn malformed_headers_are_errors_that_say_so() {
    let deep = "[".repeat(5000);
    let chain = format!("{{'descr': {}'<f4'}}", "(".repeat(7));
    let cases = [
        "",
        "{",
        "[]",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'shape': (80, 2)}",
        "{'fortran_order': False, 'shape': (80, 2)}",
        "{'descr': '<f4', 'fortran_order': 1, 'shape': (80, 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 80}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (80, -2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (80, 2.0)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (80, 99999999999999999999999)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (80, 2), 'more': 1}",
        "{'descr': '\\x3cf4', 'fortran_order': False, 'shape': (80, 2)}",
        "__import__('os').system('true')",
        &deep,
        &chain,
    ];
    for dictionary in cases {
        let error = read(&file(dictionary, &[]), 80).unwrap_err();
        assert!(
            matches!(error, MelError::Header { .. }),
            "{dictionary:.60}: {error}"
        );
        let message = error.to_string();
        assert!(
            message.contains("malformed") && message.len() < 400 && !message.contains('\n'),
            "{message}"
        );
    }
    let mut version = file(&header("<f4", false, "(80, 2)"), &[]);
    version[6] = 9;
    assert!(message(&version).contains("header"));
}

#[test]
fn sizes_are_refused_before_anything_is_allocated() {
    let mut long = b"\x93NUMPY\x02\x00".to_vec();
    long.extend(u32::MAX.to_le_bytes());
    assert!(
        matches!(read(&long, 80), Err(MelError::HeaderTooLong { found, .. }) if found == u64::from(u32::MAX))
    );
    let claims = |shape: &str| read(&file(&header("<f8", false, shape), &[]), 80).unwrap_err();
    assert!(matches!(
        claims("(80, 18446744073709551615)"),
        MelError::TooManyFrames { .. }
    ));
    assert!(matches!(
        claims("(80, 4000000)"),
        MelError::TooManyBytes {
            found: 2_560_000_000,
            ..
        }
    ));
    // Below the limits, but nothing follows: as much is allocated as arrives.
    assert!(matches!(
        claims("(80, 3000000)"),
        MelError::Truncated { found: 0, .. }
    ));
    let limits = NpyLimits {
        max_frames: 4,
        ..Default::default()
    };
    let five = file(&header("<f4", false, "(5, 80)"), &floats([0.0; 400]));
    let error = read_npy(five.as_slice(), Some(80), Layout::Auto, &limits).unwrap_err();
    assert!(matches!(
        error,
        MelError::TooManyFrames { found: 5, limit: 4 }
    ));
}

#[test]
fn shapes_that_are_no_mel_are_errors() {
    let shape = |shape: &str| read(&file(&header("<f4", false, shape), &[]), 80).unwrap_err();
    assert!(shape("()").to_string().contains("single number"));
    assert!(shape("(22050,)").to_string().contains("waveform"));
    assert!(matches!(
        shape("(2, 80, 100)"),
        MelError::Batch { count: 2, .. }
    ));
    assert!(matches!(shape("(2, 2, 80, 100)"), MelError::Rank { .. }));
    assert!(matches!(
        shape("(79, 100)"),
        MelError::Bands { expected: 80, .. }
    ));
    for empty in ["(80, 0)", "(0, 80)", "(0, 0)", "(1, 80, 0)", "(0, 80, 100)"] {
        assert!(matches!(shape(empty), MelError::Empty { .. }), "{empty}");
    }
}

#[test]
fn values_that_are_not_finite_are_errors() {
    let nan = file(
        &header("<f4", false, "(2, 2)"),
        &floats([0.0, 1.0, f32::NAN, 3.0]),
    );
    let error = read_npy(
        nan.as_slice(),
        None,
        Layout::BandsFirst,
        &NpyLimits::default(),
    )
    .unwrap_err();
    assert!(matches!(
        error,
        MelError::NonFinite {
            count: 1,
            band: 1,
            frame: 0,
            ..
        }
    ));
    let data: Vec<u8> = [1e300f64, 0.0]
        .into_iter()
        .flat_map(f64::to_le_bytes)
        .collect();
    let huge = file(&header("<f8", false, "(2, 1)"), &data);
    assert!(matches!(read(&huge, 2), Err(MelError::NonFinite { .. })));
}
