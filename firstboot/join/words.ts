// What is asked and answered on the channel. A connection carries one request and one answer, each a frame of JSON.
import { z } from 'zod';
import { place } from '../../formats/roster.ts';
import type { ClusterId, Dossier, Hash, Incarnation, Signature } from '../protocol/terms.ts';

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));
const number = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const aPlace = z.number().int().min(1).max(253).transform(place);
const incarnation = number.transform((value) => value as Incarnation);
const clusterId = hex(6).transform((value) => value as ClusterId);
const hash = hex(32).transform((value) => value as Hash);
const text = z.string().max(1000);
/** Tokens and addresses end up in files that k3s reads: one line of plain characters. */
const word = z.string().regex(/^[\x21-\x7e]{1,500}$/);
const setting = z.union([
  z.string(),
  z.number(),
  z.boolean(),
  z.array(z.union([z.string(), z.number(), z.boolean()])).readonly(),
]);

const identity = z.object({ cluster: clusterId, ca: hash, founder: aPlace });
const signed = z.object({
  place: aPlace,
  incarnation,
  signature: hex(64).transform((value) => value as Signature),
});
const certificate = z.object({
  generation: number,
  ballot: z.object({ round: number, place: aPlace, incarnation }),
  value: identity,
  signers: z.array(signed).max(7),
});
const proof = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('lost'), signers: z.array(signed).max(7) }),
  z.object({ kind: z.literal('gone'), signer: signed }),
]);
const dossier = z
  .object({
    generation: number,
    past: z.array(z.object({ certificate, proof })),
    decided: certificate.optional(),
  })
  .transform(({ generation, past, decided }): Dossier => ({ generation, past, decided }));

const nothing = z.object({});
const ofCluster = z.object({ cluster: clusterId });

/** What an agent needs to join. The token is its own and short-lived; whoever holds it cannot become a server. */
const admission = z.object({ ca: hash, token: word, servers: z.array(word).min(1).max(7) });

/** What a server needs to start. `critical` are the options that must be the same on all servers of a cluster. */
const promotion = z.object({
  ca: hash,
  serverToken: word,
  agentToken: word,
  servers: z.array(word).min(1).max(7),
  critical: z.record(z.string().regex(/^[a-z0-9-]{1,64}$/), setting),
});

const schemas = {
  /** The roster file that the asked device obeys. */
  roster: { request: nothing, answer: z.object({ text: z.string().max(200_000) }) },
  dossier: { request: nothing, answer: z.object({ dossier }) },
  /** Wall time, milliseconds since 1970. */
  clock: { request: nothing, answer: z.object({ now: number }) },
  /** Asked of a server by a device that wants to be its agent and has no server's store of this cluster (any more). */
  admission: {
    request: z.object({
      cluster: clusterId,
      /** k3s refused the node password: the node of this name was another life of the device. */
      rejected: z.boolean(),
      /** It was a server of this cluster, was removed, and set its store aside. */
      removed: z.boolean(),
    }),
    answer: admission,
  },
  /** Asked of a server by a device whose k3s does not work: what am I in this cluster? */
  standing: {
    request: ofCluster,
    answer: z.object({ standing: z.enum(['server', 'agent', 'none']) }),
  },
  /** Asked of a candidate by a server: could it become a server, and does it reach the asker's ports? */
  fitness: { request: ofCluster, answer: z.object({ fit: z.boolean(), why: text }) },
  /** Said to a candidate by a server: the journal names you. It comes and asks for `promotion`. */
  promote: {
    request: z.object({ cluster: clusterId, operation: number }),
    answer: z.object({ doing: text }),
  },
  /** Asked of a server by a candidate; answered only while the journal names it, and written there first. */
  promotion: { request: z.object({ cluster: clusterId, operation: number }), answer: promotion },
} as const;

export type Kind = keyof typeof schemas;

/** By kind, what is asked and what is answered. */
export type Words = {
  readonly [K in Kind]: {
    readonly request: z.output<(typeof schemas)[K]['request']>;
    readonly answer: z.output<(typeof schemas)[K]['answer']>;
  };
};

type Readers = {
  readonly [K in Kind]: {
    readonly request: z.ZodType<Words[K]['request']>;
    readonly answer: z.ZodType<Words[K]['answer']>;
  };
};

/** Checks the shape of what the other end says; fails with what is wrong. */
export const readers: Readers = schemas;

export function isKind(value: unknown): value is Kind {
  return typeof value === 'string' && Object.hasOwn(schemas, value);
}

/** The other end understood and says no. */
export class Refused extends Error {
  override readonly name = 'Refused';
}
