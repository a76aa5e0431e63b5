// Brings one file, known by its digest, from the first of its mirrors that has it into the store.
import { createWriteStream } from 'node:fs';
import { copyFile, rm, stat } from 'node:fs/promises';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import got, { type Response } from 'got';
import { Failure } from '../../formats/errors.ts';
import { claimPart } from './parts.ts';
import { agentsThrough, proxyFor } from './proxy.ts';
import type { Sha256 } from './sha256.ts';
import { digestOf, type Store, throwIfOfDisk } from './store.ts';

/** A file to be had. */
export interface Wanted {
  /** What people call it. */
  readonly name: string;
  /** Where it may be had, in the order they are tried. */
  readonly urls: readonly string[];
  readonly sha256: Sha256;
  /** Bytes, where it is known. */
  readonly size?: number;
}

/** Times in milliseconds. */
export interface Patience {
  readonly connect: number;
  /** How long nothing may come before a mirror counts as stuck. */
  readonly idle: number;
  /** How often one mirror is tried when it fails in a way that may pass. */
  readonly attempts: number;
  /** Wait before the second attempt; it doubles. */
  readonly pause: number;
}

const patient: Patience = { connect: 15_000, idle: 30_000, attempts: 4, pause: 1_000 };

export interface DownloadOptions {
  readonly store: Store;
  readonly offline?: boolean;
  readonly signal?: AbortSignal;
  /** Bytes done, of how many. */
  readonly progress?: (done: number, total: number) => void;
  readonly patience?: Patience;
  /** Bytes that a file of unknown size may have. */
  readonly largest?: number;
}

/** Several times what any file of a release has. */
const largestFile = 4 * 1024 ** 3;

/**
 * The path of the file in the store. What is there is not fetched again; a download that was cut goes on where it
 * ended, at any mirror. Nothing is kept that does not have the digest. Throws Failure('dependency') with what each
 * mirror said when none has the file.
 */
export async function download(wanted: Wanted, options: DownloadOptions): Promise<string> {
  const { store, signal } = options;
  const there = await store.find(wanted.sha256);
  if (there !== undefined) return there;
  if (options.offline) throw offlineFailure(wanted, store);
  const part = await claimPart(store, wanted.sha256);
  const said: string[] = [];
  for (const url of wanted.urls) {
    const trouble = await fromMirror(url, part, wanted, options);
    if (trouble === undefined) return store.pathOf(wanted.sha256);
    said.push(`${url}: ${trouble}`);
    if (signal?.aborted)
      throw new Failure('interrupted', { what: `the download of ${wanted.name} was stopped` });
  }
  throw new Failure('dependency', {
    what: `${wanted.name} cannot be had`,
    why: said.length === 0 ? 'no mirror is known for it' : said.join('\n  '),
    fix: `check the network and the mirrors and run it again (what has come is kept), or bring the file with sha256 ${wanted.sha256}: edgekiln artifacts import PROFILE DIR`,
  });
}

/** Tries one mirror, more than once if it makes sense; undefined when the file is in the store, else why not. */
async function fromMirror(
  url: string,
  part: string,
  wanted: Wanted,
  options: DownloadOptions,
): Promise<string | undefined> {
  if (url.startsWith('file:')) return fromFolder(new URL(url), part, wanted, options);
  const patience = options.patience ?? patient;
  const memory: Memory = { validator: undefined };
  let trouble = '';
  for (let attempt = 1; attempt <= patience.attempts; attempt++) {
    if (attempt > 1)
      await sleep(patience.pause * 2 ** (attempt - 2), undefined, { signal: options.signal }).catch(() => {});
    if (options.signal?.aborted) return 'stopped';
    const outcome = await transfer(url, part, memory, wanted, options);
    if (outcome === 'whole') return undefined;
    trouble = outcome.why;
    if (!outcome.passing) break;
  }
  return trouble;
}

/** A mirror may be a folder of this machine. */
async function fromFolder(
  url: URL,
  part: string,
  wanted: Wanted,
  { store }: DownloadOptions,
): Promise<string | undefined> {
  try {
    await copyFile(url, part);
  } catch (error) {
    throwIfOfDisk(error, part);
    return error instanceof Error ? error.message : String(error);
  }
  return settle(part, wanted, store);
}

/** Puts a finished part into the store, or throws it away and says why. */
async function settle(part: string, wanted: Wanted, store: Store): Promise<string | undefined> {
  const got = await digestOf(part);
  if (got.sha256 === wanted.sha256) {
    await store.place(part, got);
    return undefined;
  }
  await rm(part, { force: true });
  return `it gives another file: sha256 ${got.sha256}, ${got.size} bytes`;
}

/** What is remembered of a mirror between attempts: the validator its bytes came with (RFC 9110 8.8). */
interface Memory {
  validator: string | undefined;
}

interface Trouble {
  readonly why: string;
  /** Whether it may be better next time. */
  readonly passing: boolean;
}

/** One request, and the check of what it brought. */
async function transfer(
  url: string,
  part: string,
  memory: Memory,
  wanted: Wanted,
  options: DownloadOptions,
): Promise<'whole' | Trouble> {
  const had = await stat(part).then(
    ({ size }) => size,
    () => 0,
  );
  if (had === 0 || had !== wanted.size) {
    const trouble = await receive(url, part, had, memory, wanted, options);
    if (trouble !== undefined) return trouble;
  }
  const why = await settle(part, wanted, options.store);
  if (why === undefined) return 'whole';
  // What was there before may be to blame: then this mirror is asked for the whole file.
  return had > 0 ? { why: 'the parts did not fit together', passing: true } : { why, passing: false };
}

/** Appends what the mirror sends to `part`; undefined when it sent all. */
async function receive(
  url: string,
  part: string,
  had: number,
  memory: Memory,
  wanted: Wanted,
  { progress, signal, patience = patient, largest = largestFile }: DownloadOptions,
): Promise<Trouble | undefined> {
  const proxy = proxyFor(new URL(url));
  const resume = had === 0 ? {} : { range: `bytes=${had}-` };
  const same = had === 0 || memory.validator === undefined ? {} : { 'if-range': memory.validator };
  const stream = got.stream(url, {
    headers: { 'accept-encoding': 'identity', 'user-agent': 'edgekiln', ...resume, ...same },
    decompress: false,
    throwHttpErrors: false,
    retry: { limit: 0 },
    timeout: {
      lookup: patience.connect,
      connect: patience.connect,
      response: patience.idle,
      socket: patience.idle,
    },
    ...(proxy === undefined ? {} : { agent: agentsThrough(proxy) }),
    ...(signal === undefined ? {} : { signal }),
  });
  try {
    const response = await new Promise<Response>((resolve, reject) => {
      stream.once('response', resolve);
      stream.once('error', reject);
    });
    const refused = await refusal(response, part, had, wanted);
    if (refused !== undefined) {
      stream.destroy();
      return refused;
    }
    memory.validator = validatorOf(response);
    const start = response.statusCode === 206 ? had : 0;
    const told = start + Number(response.headers['content-length'] ?? Number.POSITIVE_INFINITY);
    const count = counter(start, wanted.size ?? Math.min(told, largest), progress);
    await pipeline(stream, count, createWriteStream(part, { flags: start === 0 ? 'w' : 'a' }));
    return undefined;
  } catch (error) {
    stream.destroy();
    throwIfOfDisk(error, part);
    const endless = error instanceof Overflow;
    // None of it can be of the file.
    if (endless) await rm(part, { force: true });
    return { why: error instanceof Error ? error.message : String(error), passing: !endless };
  }
}

/** A mirror sends more than the file can have. */
class Overflow extends Error {}

/** Why an answer is not taken, from its head alone. */
async function refusal(
  response: Response,
  part: string,
  had: number,
  wanted: Wanted,
): Promise<Trouble | undefined> {
  const { statusCode: status, headers } = response;
  if (status === 416) {
    await rm(part, { force: true });
    return { why: 'it has less than what came before', passing: true };
  }
  if (status !== 200 && status !== 206) {
    const passing = status === 408 || status === 425 || status === 429 || status >= 500;
    return { why: `it answers ${status} ${response.statusMessage ?? ''}`.trim(), passing };
  }
  const begins = /^bytes (\d+)-/.exec(headers['content-range'] ?? '')?.[1];
  if (status === 206 && Number(begins) !== had) {
    return { why: 'it sends another part than was asked for', passing: false };
  }
  const length = headers['content-length'];
  const whole = length === undefined ? undefined : Number(length) + (status === 206 ? had : 0);
  if (whole === undefined || wanted.size === undefined || whole === wanted.size) return undefined;
  const page = /^text\/html\b/.test(headers['content-type'] ?? '');
  if (page) return { why: 'it answers with a web page instead of the file', passing: false };
  return { why: `it has ${whole} bytes, not ${wanted.size}`, passing: false };
}

/** A strong validator: only with one may a part be completed by If-Range. */
function validatorOf({ headers }: Response): string | undefined {
  const tag = headers.etag;
  return tag !== undefined && !tag.startsWith('W/') ? tag : undefined;
}

/** Tells progress, and ends a transfer that brings more than there can be. */
function counter(start: number, total: number, progress: DownloadOptions['progress']): Transform {
  let done = start;
  return new Transform({
    transform(chunk: Buffer, _encoding, next) {
      done += chunk.length;
      if (done > total) return next(new Overflow(`it sends more than ${total} bytes`));
      progress?.(done, total);
      next(null, chunk);
    },
  });
}

function offlineFailure(wanted: Wanted, store: Store): Failure {
  return new Failure('dependency', {
    what: `${wanted.name} is not in the store`,
    where: store.root,
    why: 'this run is offline',
    fix: `edgekiln artifacts fetch PROFILE where there is a network, or bring the file with sha256 ${wanted.sha256}: edgekiln artifacts import PROFILE DIR`,
  });
}
