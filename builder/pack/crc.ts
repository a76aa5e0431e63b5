// CRC-32 of joined pieces from the CRC-32 of each: pieces are summed by different threads, or long ago.
//
// A CRC is linear over GF(2): appending zeros multiplies it by a power of x modulo the polynomial.

const polynomial = 0xedb8_8320;

/** The CRC-32 of `first` followed by a piece with the CRC `second`; `shift` is that of the piece's length. */
export function joinCrc(first: number, second: number, shift: number): number {
  return (multiply(first, shift) ^ second) >>> 0;
}

/** What `joinCrc` wants for a piece of so many bytes: x to the power of 8 × length. */
export function crcShift(length: number): number {
  let result = 0x8000_0000; // 1: the highest bit is the constant term
  let power = 0x0080_0000; // x to the power of 8
  for (let left = length; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result = multiply(result, power);
    power = multiply(power, power);
  }
  return result >>> 0;
}

/** The product of two polynomials modulo that of CRC-32, bits reflected. */
function multiply(a: number, b: number): number {
  let product = 0;
  let factor = b;
  for (let bit = 0x8000_0000; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= factor;
    factor = factor & 1 ? (factor >>> 1) ^ polynomial : factor >>> 1;
  }
  return product >>> 0;
}
