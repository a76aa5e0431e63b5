// A message as bytes, without its envelope.
//
//   version u8 · kind u8 · site 8 bytes · electors 8 bytes · from u8 · to u8 (0: all) · boot u48 · sequence u32 ·
//   incarnation u48 · generation u16 · fields (tag u8, length u8, content)…
//
// All integers are big-endian. `site` is the start of SHA-256 over the site's name. Version 1 readers read any later
// version by what they know of it.
import { largestPlace, type Place } from '../../formats/roster.ts';
import { type Fields, fields } from './fields.ts';
import type { Body, Message } from './messages.ts';
import type { BootId, Incarnation, ShortHash } from './terms.ts';
import { Reader, Writer } from './wire.ts';

const version = 1;
/** In the order of their numbers. */
export const kinds = [
  'hello',
  'prepare',
  'promise',
  'accept',
  'accepted',
  'recover',
  'recovered',
  'loss',
  'claim',
  'offer',
] as const;

/** A site's name, and the 8 bytes that stand for it on the wire. */
export interface SiteTag {
  readonly name: string;
  readonly tag: ShortHash;
}

/** Why bytes did not become a message. `unknown`: a later version's kind. `foreign`: another site's. */
export type Dropped = 'malformed' | 'unknown' | 'foreign';

type Partial_ = { -readonly [K in keyof Fields]?: Fields[K] | undefined };

export function encode(message: Message, site: SiteTag): Buffer {
  const writer = new Writer(1024);
  writer.uint(version, 1).uint(kinds.indexOf(message.body.kind), 1).hex(site.tag).hex(message.electors);
  writer.uint(message.from, 1).uint(message.to, 1).uint(message.boot, 6).uint(message.sequence, 4);
  writer.uint(message.incarnation, 6).uint(message.generation, 2);
  const values = fieldsOf(message.body);
  for (const key of fieldNames) writeField(writer, key, values[key]);
  return writer.bytes();
}

export function decode(bytes: Buffer, site: SiteTag): Message | Dropped {
  const reader = new Reader(bytes);
  const theirs = reader.uint(1);
  const kind = reader.uint(1);
  const tag = reader.hex(8);
  const electors = reader.hex(8) as ShortHash | undefined;
  const from = reader.uint(1);
  const to = reader.uint(1);
  const boot = reader.uint(6) as BootId | undefined;
  const sequence = reader.uint(4);
  const incarnation = reader.uint(6) as Incarnation | undefined;
  const generation = reader.uint(2);
  if (generation === undefined || theirs === undefined || theirs < version) return 'malformed';
  if (tag !== site.tag) return 'foreign';
  const name = kinds[kind ?? -1];
  if (name === undefined) return 'unknown';
  const body = readBody(name, reader);
  if (body === undefined || electors === undefined || boot === undefined || sequence === undefined)
    return 'malformed';
  if (from === undefined || from > largestPlace || to === undefined || to > largestPlace) return 'malformed';
  if (from < 1 && name !== 'claim') return 'malformed';
  if (incarnation === undefined || generation < 1) return 'malformed';
  const head = { from: from as Place, to: to as Place | 0, site: site.name, electors, boot, sequence };
  return { ...head, incarnation, generation, body };
}

const fieldNames = Object.keys(fields) as readonly (keyof Fields)[];
const byTag = new Map(fieldNames.map((name) => [fields[name].tag, name]));

function writeField<K extends keyof Fields>(writer: Writer, key: K, value: Fields[K] | undefined): void {
  if (value !== undefined) writer.field(fields[key].tag, (content) => fields[key].write(content, value));
}

function readField<K extends keyof Fields>(into: Partial_, key: K, content: Reader): boolean {
  const value = fields[key].read(content);
  Object.assign(into, { [key]: value });
  return value !== undefined;
}

function fieldsOf(body: Body): Partial_ {
  if (body.kind !== 'loss') return body;
  return { cause: body.cause, clusterId: body.cluster, signature: body.signature };
}

function readBody(kind: Body['kind'], reader: Reader): Body | undefined {
  const found: Partial_ = {};
  while (reader.left > 0) {
    const field = reader.field();
    if (field === undefined) return undefined;
    const name = byTag.get(field.tag);
    if (name !== undefined && !readField(found, name, field.content)) return undefined;
  }
  return bodyOf(kind, found);
}

function bodyOf(kind: Body['kind'], f: Partial_): Body | undefined {
  const { ballot, challenge, echo, vector, promised, accepted, signature } = f;
  switch (kind) {
    case 'hello': {
      const { phase, canFound, epoch, roster, echoes } = f;
      if (phase === undefined || canFound === undefined || epoch === undefined || roster === undefined)
        return undefined;
      if (vector === undefined || challenge === undefined || echoes === undefined) return undefined;
      const { cluster, decided, gone, serial } = f;
      const said = { kind, phase, canFound, cluster, decided, gone, epoch, roster, serial } as const;
      return { ...said, vector, challenge, echoes };
    }
    case 'prepare':
      return ballot === undefined || challenge === undefined ? undefined : { kind, ballot, challenge };
    case 'promise':
      if (ballot === undefined || vector === undefined || echo === undefined) return undefined;
      return { kind, ballot, promised, accepted, vector, echo };
    case 'accept': {
      const { value, promisers } = f;
      if (ballot === undefined || value === undefined || promisers === undefined) return undefined;
      return challenge === undefined ? undefined : { kind, ballot, value, promisers, challenge };
    }
    case 'accepted':
      if (ballot === undefined || vector === undefined || echo === undefined) return undefined;
      return { kind, ballot, signature, promised, vector, echo };
    case 'recover':
      return challenge === undefined ? undefined : { kind, promised, challenge };
    case 'recovered':
      return vector === undefined || echo === undefined
        ? undefined
        : { kind, promised, accepted, vector, echo };
    case 'loss': {
      const { cause, clusterId } = f;
      if (cause === undefined || clusterId === undefined || signature === undefined) return undefined;
      return { kind, cause, cluster: clusterId, signature };
    }
    case 'claim': {
      const { key, class: hardware, canFound, wants, withdrew } = f;
      if (key === undefined || hardware === undefined || canFound === undefined) return undefined;
      if (challenge === undefined || withdrew === undefined) return undefined;
      return { kind, key, class: hardware, canFound, wants, echo, withdrew, challenge };
    }
    case 'offer': {
      const { key, founder, serial, listed, open, answers, cluster, decided } = f;
      if (key === undefined || founder === undefined || serial === undefined || listed === undefined)
        return undefined;
      if (open === undefined || answers === undefined || challenge === undefined) return undefined;
      return { kind, key, founder, serial, listed, open, cluster, decided, challenge, answers };
    }
  }
}
