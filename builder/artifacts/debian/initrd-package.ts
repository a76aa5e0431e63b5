// A package without files that says "there is an initrd maker": ours, which is not run on the device.
// Debian's kernels depend on one; initramfs-tools would be installed and run, under emulation for other architectures.
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';
import { arArchive } from '../../tree/deb.ts';

/** A .deb and what an index says of it. */
export interface MadeDeb {
  readonly name: string;
  readonly file: string;
  readonly bytes: Uint8Array;
  /** Its paragraph of a Packages index. */
  readonly paragraph: string;
}

/** Makes the package; always the same bytes. */
export async function initrdPackage(): Promise<MadeDeb> {
  const name = 'edgekiln-initrd';
  const control = [
    `Package: ${name}`,
    'Version: 1',
    'Architecture: all',
    'Maintainer: edgekiln <edgekiln@localhost>',
    'Installed-Size: 1',
    'Provides: linux-initramfs-tool',
    'Section: kernel',
    'Priority: optional',
    'Multi-Arch: foreign',
    'Description: the initrd of this system is made by edgekiln',
    ' An empty package that stands for initramfs-tools, which is not needed.',
    '',
  ].join('\n');
  const bytes = arArchive([
    { name: 'debian-binary', bytes: Buffer.from('2.0\n') },
    { name: 'control.tar', bytes: await tarOf([{ name: './control', text: control }]) },
    { name: 'data.tar', bytes: await tarOf([]) },
  ]);
  const file = `${name}_1_all.deb`;
  return { name, file, bytes, paragraph: indexParagraph(control, file, bytes.length, digest(bytes)) };
}

/** A paragraph of a Packages index: a control file, and where and what the .deb is. */
export function indexParagraph(control: string, file: string, size: number, sha256: string): string {
  return `${control.trimEnd()}\nFilename: ./${file}\nSize: ${size}\nSHA256: ${sha256}\n`;
}

async function tarOf(files: readonly { name: string; text: string }[]): Promise<Buffer> {
  const tar = pack();
  const common = { mtime: new Date(0), uid: 0, gid: 0 };
  tar.entry({ ...common, name: './', type: 'directory', mode: 0o755 });
  for (const file of files) tar.entry({ ...common, name: file.name, mode: 0o644 }, file.text);
  tar.finalize();
  return buffer(tar);
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
