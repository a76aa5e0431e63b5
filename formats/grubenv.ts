// GRUB's environment block: a signature line, `name=value` lines, padded with `#` to its fixed size.
// Source of the format: GRUB manual, "The GRUB environment block".

const signature = '# GRUB Environment Block\n';

/** An environment block of exactly `size` bytes. Names and values must be plain: no newline, no backslash. */
export function grubEnvironment(variables: Readonly<Record<string, string>>, size: number): Buffer {
  const lines = Object.entries(variables).map(([name, value]) => {
    if (!/^[a-z_0-9]+$/.test(name) || /[\n\\\0]/.test(value))
      throw new Error(`not for a GRUB environment: ${name}`);
    return `${name}=${value}\n`;
  });
  const text = signature + lines.join('');
  if (text.length > size) throw new Error(`a GRUB environment of ${text.length} bytes does not fit ${size}`);
  return Buffer.from(text.padEnd(size, '#'), 'latin1');
}

/** The variables of a block; undefined when it does not carry the signature. */
export function readGrubEnvironment(block: Uint8Array): Map<string, string> | undefined {
  const text = Buffer.from(block.buffer, block.byteOffset, block.byteLength).toString('latin1');
  if (!text.startsWith(signature)) return undefined;
  const variables = new Map<string, string>();
  for (const line of text.slice(signature.length).split('\n')) {
    const equals = line.indexOf('=');
    if (equals > 0 && !line.startsWith('#')) variables.set(line.slice(0, equals), line.slice(equals + 1));
  }
  return variables;
}
