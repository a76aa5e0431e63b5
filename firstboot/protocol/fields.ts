// The fields of a message's body, each with its tag. A tag never changes its meaning; what a reader does not know it
// skips, and what a field has beyond what is known is left unread: that is how later versions add to both.
import { largestPlace, type Place } from '../../formats/roster.ts';
import type { Answer, Cluster, Echo, Incarnations } from './messages.ts';
import { type Phase, phases } from './phases.ts';
import type {
  Accepted,
  Ballot,
  Challenge,
  ClusterId,
  Hash,
  Identity,
  Incarnation,
  PublicKey,
  ShortHash,
  Signature,
} from './terms.ts';
import type { Reader, Writer } from './wire.ts';

/** Every field any body may have. */
export interface Fields {
  phase: Phase;
  canFound: boolean;
  cluster: Cluster;
  decided: ClusterId;
  gone: ClusterId;
  epoch: number;
  roster: ShortHash;
  vector: Incarnations;
  promisers: Incarnations;
  challenge: Challenge;
  echo: Challenge;
  echoes: readonly Echo[];
  ballot: Ballot;
  promised: Ballot;
  accepted: Accepted;
  value: Identity;
  signature: Signature;
  cause: 'silent' | 'gone';
  clusterId: ClusterId;
  key: PublicKey;
  wants: PublicKey;
  founder: PublicKey;
  class: number;
  serial: number;
  listed: number;
  open: boolean;
  answers: readonly Answer[];
  withdrew: boolean;
}

interface Codec<T> {
  readonly tag: number;
  write(writer: Writer, value: T): void;
  /** undefined where the content is malformed. */
  read(reader: Reader): T | undefined;
}

const number = <T extends number>(tag: number, bytes: number): Codec<T> => ({
  tag,
  write: (writer, value) => writer.uint(value, bytes),
  read: (reader) => reader.uint(bytes) as T | undefined,
});

const digits = <T extends string>(tag: number, bytes: number): Codec<T> => ({
  tag,
  write: (writer, value) => writer.hex(value),
  read: (reader) => reader.hex(bytes) as T | undefined,
});

const yesOrNo = (tag: number): Codec<boolean> => ({
  tag,
  write: (writer, value) => writer.uint(value ? 1 : 0, 1),
  read: (reader) => reader.uint(1) === 1,
});

function ballotAt(tag: number): Codec<Ballot> {
  return { tag, write: writeBallot, read: readBallot };
}

function writeBallot(writer: Writer, { round, place, incarnation }: Ballot): void {
  writer.uint(round, 4).uint(place, 1).uint(incarnation, 6);
}

function readBallot(reader: Reader): Ballot | undefined {
  const round = reader.uint(4);
  const place = readPlace(reader);
  const incarnation = reader.uint(6) as Incarnation | undefined;
  if (round === undefined || place === undefined || incarnation === undefined) return undefined;
  return { round, place, incarnation };
}

function readPlace(reader: Reader): Place | undefined {
  const index = reader.uint(1);
  return index === undefined || index < 1 || index > largestPlace ? undefined : (index as Place);
}

function writeIdentity(writer: Writer, { cluster, ca, founder }: Identity): void {
  writer.hex(cluster).hex(ca).uint(founder, 1);
}

function readIdentity(reader: Reader): Identity | undefined {
  const cluster = reader.hex(6) as ClusterId | undefined;
  const ca = reader.hex(32) as Hash | undefined;
  const founder = readPlace(reader);
  if (cluster === undefined || ca === undefined || founder === undefined) return undefined;
  return { cluster, ca, founder };
}

const incarnationsAt = (tag: number): Codec<Incarnations> => ({
  tag,
  write: (writer, vector) => {
    for (const incarnation of vector) writer.uint(incarnation, 6);
  },
  read: (reader) => {
    const vector: (Incarnation | 0)[] = [];
    while (reader.left >= 6 && vector.length < 7) vector.push((reader.uint(6) ?? 0) as Incarnation | 0);
    return vector;
  },
});

const flag = { ready: 1, server: 2, data: 4 } as const;

const cluster: Codec<Cluster> = {
  tag: 3,
  write: (writer, { identity, ready, server, data, servers, members }) => {
    writeIdentity(writer, identity);
    writer.uint((ready ? flag.ready : 0) | (server ? flag.server : 0) | (data ? flag.data : 0), 1);
    writer.uint(Math.min(servers, 255), 1).uint(Math.min(members, 65_535), 2);
  },
  read: (reader) => {
    const identity = readIdentity(reader);
    const flags = reader.uint(1);
    const servers = reader.uint(1);
    const members = reader.uint(2);
    if (identity === undefined || flags === undefined || servers === undefined || members === undefined)
      return undefined;
    const has = (bit: number) => (flags & bit) !== 0;
    return {
      identity,
      ready: has(flag.ready),
      server: has(flag.server),
      data: has(flag.data),
      servers,
      members,
    };
  },
};

export const fields: { readonly [K in keyof Fields]: Codec<Fields[K]> } = {
  phase: {
    tag: 1,
    write: (writer, phase) => writer.uint(phases.indexOf(phase), 1),
    read: (reader) => phases[reader.uint(1) ?? -1],
  },
  canFound: yesOrNo(2),
  cluster,
  decided: digits(4, 6),
  gone: digits(5, 6),
  epoch: number(6, 4),
  roster: digits(7, 8),
  vector: incarnationsAt(8),
  promisers: incarnationsAt(9),
  challenge: number(10, 6),
  echo: number(11, 6),
  echoes: {
    tag: 12,
    write: (writer, echoes) => {
      for (const { place, challenge } of echoes) writer.uint(place, 1).uint(challenge, 6);
    },
    read: (reader) => {
      const echoes: Echo[] = [];
      while (reader.left >= 7) {
        const place = readPlace(reader);
        const challenge = reader.uint(6) as Challenge | undefined;
        if (place !== undefined && challenge !== undefined) echoes.push({ place, challenge });
      }
      return echoes;
    },
  },
  ballot: ballotAt(13),
  promised: ballotAt(14),
  accepted: {
    tag: 15,
    write: (writer, { ballot, value }) => {
      writeBallot(writer, ballot);
      writeIdentity(writer, value);
    },
    read: (reader) => {
      const ballot = readBallot(reader);
      const value = readIdentity(reader);
      return ballot === undefined || value === undefined ? undefined : { ballot, value };
    },
  },
  value: { tag: 16, write: writeIdentity, read: readIdentity },
  signature: digits(17, 64),
  cause: {
    tag: 18,
    write: (writer, cause) => writer.uint(cause === 'gone' ? 1 : 0, 1),
    read: (reader) => (['silent', 'gone'] as const)[reader.uint(1) ?? -1],
  },
  clusterId: digits(19, 6),
  key: digits(20, 32),
  wants: digits(21, 32),
  founder: digits(22, 32),
  class: number(23, 1),
  serial: number(24, 4),
  listed: number(25, 1),
  open: yesOrNo(26),
  answers: {
    tag: 27,
    write: (writer, answers) => {
      for (const { place, challenge } of answers) writer.uint(place, 1).uint(challenge, 6);
    },
    read: (reader) => {
      const answers: Answer[] = [];
      while (reader.left >= 7) {
        const place = (reader.uint(1) ?? 0) as Place | 0;
        const challenge = reader.uint(6) as Challenge | undefined;
        if (place <= largestPlace && challenge !== undefined) answers.push({ place, challenge });
      }
      return answers;
    },
  },
  withdrew: yesOrNo(28),
};
