// Small files of a tree, read whole: lists and configuration that a stage builds on.
import { closeSync, openSync } from 'node:fs';
import { Failure } from '../../formats/errors.ts';
import type { Bytes } from './entry.ts';
import { fill } from './fill.ts';
import type { Tree } from './tree.ts';

const largest = 16 * 1024 * 1024;

/** The bytes of the file at a path, links to it followed. Fails when there is no such file, or it is over 16 MiB. */
export function readEntry(tree: Tree, path: string): Buffer {
  const entry = resolve(tree, path);
  if (entry === undefined || entry.kind !== 'file') {
    throw new Failure('input', {
      what: `the base has no file /${path}`,
      fix: 'add the package that brings it to the base',
    });
  }
  if (entry.size > largest) throw new Error(`/${path} is too large to be read whole`);
  const content = Buffer.alloc(entry.size);
  for (const { offset, bytes } of entry.segments) readBytes(bytes).copy(content, offset);
  return content;
}

function resolve(tree: Tree, path: string, links = 0): ReturnType<Tree['get']> {
  const entry = tree.get(path);
  if (entry?.kind === 'hardlink') return resolve(tree, entry.target, links);
  if (entry?.kind !== 'symlink' || links > 10) return entry;
  const folder = entry.target.startsWith('/') ? [] : path.split('/').slice(0, -1);
  for (const part of entry.target.split('/')) {
    if (part === '..') folder.pop();
    else if (part !== '' && part !== '.') folder.push(part);
  }
  return resolve(tree, folder.join('/'), links + 1);
}

function readBytes(bytes: Bytes): Buffer {
  if (bytes.at === 'memory') return Buffer.from(bytes.bytes);
  const content = Buffer.alloc(bytes.length);
  const file = openSync(bytes.file, 'r');
  try {
    if (fill(file, content, bytes.offset) < bytes.length)
      throw new Failure('io', { what: 'a file of the store is shorter than it was', where: bytes.file });
  } finally {
    closeSync(file);
  }
  return content;
}
