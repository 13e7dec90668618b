// Reads a .npy file as far as a picture needs it. The server reads it by itself, and says what is wrong with it.

/** `{ bands, frames, at(band, frame) }` of a mel of `n` bands in either layout, or null for a file that is not drawn here. */
export function readMel(buffer, n) {
  const header = readHeader(buffer);
  if (!header) return null;
  const sides = header.shape.slice();
  while (sides.length > 2 && sides.includes(1)) sides.splice(sides.indexOf(1), 1);
  if (sides.length !== 2 || !sides.includes(n)) return null;
  const [rows, columns] = sides;
  const values = readValues(buffer, header, rows * columns);
  if (!values) return null;
  const bandsFirst = rows === n;
  const stride = header.fortran ? [1, rows] : [columns, 1];
  const at = (row, column) => values[row * stride[0] + column * stride[1]];
  return {
    bands: n,
    frames: bandsFirst ? columns : rows,
    at: bandsFirst ? at : (band, frame) => at(frame, band),
  };
}

function readHeader(buffer) {
  const bytes = new Uint8Array(buffer);
  const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
  if (bytes.length < 12 || magic.some((byte, index) => bytes[index] !== byte)) return null;
  const view = new DataView(buffer);
  const [length, start] = bytes[6] === 1 ? [view.getUint16(8, true), 10] : [view.getUint32(8, true), 12];
  const text = new TextDecoder("latin1").decode(bytes.subarray(start, start + length));
  const kind = /'descr':\s*'([<>=|]?)f([248])'/.exec(text);
  const shape = /'shape':\s*\(([^)]*)\)/.exec(text);
  if (!kind || !shape) return null;
  return {
    littleEndian: kind[1] !== ">",
    size: Number(kind[2]),
    fortran: /'fortran_order':\s*True/.test(text),
    shape: shape[1].split(",").map((side) => parseInt(side, 10)).filter(Number.isInteger),
    start: start + length,
  };
}

function readValues(buffer, header, count) {
  const { start, size, littleEndian } = header;
  if (buffer.byteLength < start + count * size) return null;
  const view = new DataView(buffer, start);
  const read = {
    2: (at) => half(view.getUint16(at, littleEndian)),
    4: (at) => view.getFloat32(at, littleEndian),
    8: (at) => view.getFloat64(at, littleEndian),
  }[size];
  return Float32Array.from({ length: count }, (_, index) => read(index * size));
}

/** A 16-bit float of IEEE 754. */
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
