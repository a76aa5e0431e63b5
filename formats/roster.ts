// The roster: the signed list of a site's places. The builder writes it; a device verifies it and obeys the newest.
//
// A roster file is three lines: `edgekiln roster 1`, the payload as one line of JSON, and the Ed25519 signature of
// the first two lines (newlines included) by the site key, in hexadecimal. What is signed is the bytes as they are,
// so a later version may add fields that this one does not know.
import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { z } from 'zod';
import { Failure } from './errors.ts';

declare const brand: unique symbol;
/** Index of a place in its site, 1 to 253; also the host part of its address on `site0`. */
export type Place = number & { readonly [brand]: 'Place' };

/** The number as a place, or a bug: input is checked by the roster's schema. */
export function place(index: number): Place {
  if (!Number.isInteger(index) || index < 1 || index > largestPlace)
    throw new RangeError(`no place ${index}`);
  return index as Place;
}

/** A /24 has 254 hosts; .254 is left free. */
export const largestPlace = 253;
/** More electors than this would not fit a certificate, nor add safety. */
export const mostElectors = 7;

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));
const name = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);

const rosterPlace = z.object({
  place: z.number().int().min(1).max(largestPlace).transform(place),
  /** Host name and Kubernetes node name. */
  name,
  /** Raw Ed25519 public key. Absent in claimed sites: the founder's table binds keys to places. */
  key: hex(32).optional(),
  /** Whether it may ever become a server, and so found. */
  server: z.boolean(),
  /** Hardware class; the lower founds and is promoted first. */
  class: z.number().int().min(0).max(255),
  /** Failure domain (switch, room, supply): servers are spread over them. */
  domain: z.string().max(64),
  elector: z.boolean(),
});

const payload = z.object({
  site: name,
  /** Grows by one with every roster of the site. */
  epoch: z.number().int().min(1).max(0xffffffff),
  /** SHA-256 of the previous roster's signed bytes; null in the first. */
  previous: hex(32).nullable(),
  enrolment: z.enum(['stamped', 'claimed']),
  policy: z.union([z.enum(['first-online', 'majority']), z.string().regex(/^designated: [a-z0-9-]+$/)]),
  /** When a founder that held data is lost for good: `alarm` waits for a person, `refound` goes on without it. */
  onFounderLoss: z.enum(['alarm', 'refound']).default('alarm'),
  /** Site subnet of `site0`. */
  subnet: z.string().regex(/^198\.1[89]\.\d{1,3}\.0\/24$/),
  places: z.array(rosterPlace).min(1).max(largestPlace),
  /** Keys that are not heard any more. */
  denied: z.array(hex(32)),
});

export type Roster = z.output<typeof payload>;

/** A roster whose signature was verified, with the hash that names it. */
export interface VerifiedRoster {
  readonly roster: Roster;
  /** SHA-256 of the signed bytes, hexadecimal. */
  readonly hash: string;
}

const heading = 'edgekiln roster 1\n';

/** Which electors decide: the marked places in ascending order. */
export function electorsOf(roster: Roster): readonly Place[] {
  return roster.places
    .filter((entry) => entry.elector)
    .map((entry) => entry.place)
    .sort((a, b) => a - b);
}

/** The roster file, signed by the site's private key. The same roster gives the same bytes. */
export function writeRoster(roster: Roster, siteKey: KeyObject): Uint8Array {
  const problem = inconsistency(roster);
  if (problem !== undefined) throw new Failure('input', { what: `the roster is not sound: ${problem}` });
  const signed = signedBytes(roster);
  return Buffer.concat([signed, Buffer.from(`${sign(null, signed, siteKey).toString('hex')}\n`)]);
}

/** SHA-256 that names the roster, as the next one's `previous` and as devices compare it. */
export function rosterHash(roster: Roster): string {
  return createHash('sha256').update(signedBytes(roster)).digest('hex');
}

/**
 * Reads and verifies a roster file with the site's raw public key (32 bytes, hexadecimal).
 * Fails as `input` where it is malformed, not signed by that key, or contradicts itself.
 */
export function readRoster(bytes: Uint8Array, siteKey: string, where = 'roster'): VerifiedRoster {
  const refuse = (why: string): never => {
    throw new Failure('input', { what: 'the roster is not accepted', where, why });
  };
  const text = Buffer.from(bytes).toString('utf8');
  const lines = text.split('\n');
  if (!text.startsWith(heading)) refuse(`its first line is not '${heading.trim()}'`);
  if (lines.length !== 4 || lines[3] !== '') refuse('it is not three lines');
  const signed = Buffer.from(`${heading}${lines[1]}\n`);
  const signature = lines[2] ?? '';
  if (!/^[0-9a-f]{128}$/.test(signature)) refuse('its signature is not 64 bytes in hexadecimal');
  if (!verify(null, signed, publicKeyOf(siteKey), Buffer.from(signature, 'hex'))) {
    refuse('its signature is not by the key of this site');
  }
  const roster = parsePayload(lines[1] ?? '', refuse);
  const problem = inconsistency(roster);
  if (problem !== undefined) refuse(problem);
  return { roster, hash: createHash('sha256').update(signed).digest('hex') };
}

/** A raw Ed25519 public key (32 bytes, hexadecimal) as a key object. */
export function publicKeyOf(raw: string): KeyObject {
  const x = Buffer.from(raw, 'hex').toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

function parsePayload(line: string, refuse: (why: string) => never): Roster {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return refuse('its second line is not JSON');
  }
  const result = payload.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  return refuse(`${issue?.path.join('.')}: ${issue?.message}`);
}

/** Fields in a fixed order: the encoding must not depend on how the object was made. */
function signedBytes(roster: Roster): Buffer {
  const places = [...roster.places]
    .sort((a, b) => a.place - b.place)
    .map((p) => ({
      place: p.place,
      name: p.name,
      key: p.key,
      server: p.server,
      class: p.class,
      domain: p.domain,
      elector: p.elector,
    }));
  const { site, epoch, previous, enrolment, policy, onFounderLoss, subnet } = roster;
  const denied = [...roster.denied].sort();
  const ordered = { site, epoch, previous, enrolment, policy, onFounderLoss, subnet, places, denied };
  return Buffer.from(`${heading}${JSON.stringify(ordered)}\n`);
}

function inconsistency(roster: Roster): string | undefined {
  const seen = { place: new Set<number>(), name: new Set<string>(), key: new Set<string>() };
  for (const entry of roster.places) {
    if (seen.place.has(entry.place)) return `place ${entry.place} is listed twice`;
    if (seen.name.has(entry.name)) return `the name ${entry.name} is listed twice`;
    if (entry.key !== undefined && seen.key.has(entry.key))
      return `${entry.name} has the key of another place`;
    if ((entry.key === undefined) !== (roster.enrolment === 'claimed')) {
      return `${entry.name}: a place has a key if and only if the site is stamped`;
    }
    seen.place.add(entry.place);
    seen.name.add(entry.name);
    if (entry.key !== undefined) seen.key.add(entry.key);
  }
  const electors = electorsOf(roster).length;
  if (electors < 1 || electors > mostElectors)
    return `it has ${electors} electors; 1 to ${mostElectors} can decide`;
  if (!roster.places.some((entry) => entry.server)) return 'no place may become a server';
  if ((roster.epoch === 1) !== (roster.previous === null)) return 'only epoch 1 has no previous roster';
  const designated = /^designated: (.*)$/.exec(roster.policy)?.[1];
  if (designated !== undefined && !roster.places.some((e) => e.name === designated && e.server)) {
    return `the designated founder ${designated} is not a place that may become a server`;
  }
  return undefined;
}
