// Work that uses all cores: deflating and digesting in threads. The results do not depend on how many there are.
import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { Failure, systemFailure } from '../../formats/errors.ts';
import type { Range } from '../disk/volume.ts';
import { program } from './program.ts';

/** Bytes of a file. */
export interface Stretch {
  readonly file: string;
  readonly at: number;
  readonly size: number;
}

/** Where a piece of a file is kept, deflated and ended by a sync flush: such pieces can be put one behind the other. */
export interface Deflated extends Stretch {
  /** CRC-32 of the plain bytes. */
  readonly crc: number;
}

interface DeflateJob {
  /** Left out: zeros. */
  readonly file?: string;
  readonly at: number;
  readonly length: number;
  readonly level: number;
  /** Where deflated pieces are kept, by the digest of what they were. */
  readonly folder: string;
  /** That digest: SHA-256 (hex). What is kept is taken without reading the file; anything else in the file is refused. */
  readonly name: string;
}

interface Jobs {
  readonly deflate: { readonly job: DeflateJob & { readonly temporary: string }; readonly result: Deflated };
  readonly survey: { readonly job: SurveyJob; readonly result: Surveyed };
  readonly join: {
    readonly job: JoinJob;
    readonly result: { readonly sha256: string; readonly size: number };
  };
  readonly digest: { readonly job: DigestJob; readonly result: string };
  readonly runs: {
    readonly job: { readonly file: string; readonly ranges: readonly Range[] };
    readonly result: string[];
  };
}

interface SurveyJob {
  readonly file: string;
  readonly size: number;
  /** What carries data, ascending; none reaches over the end of a chunk. */
  readonly ranges: readonly Range[];
  /** Bytes of a chunk: places of the file are told apart by multiples of it. */
  readonly chunk: number;
  /** A part of the file that gets a digest of its own: of the ranges in it, one behind the other. */
  readonly part: Range;
  /** New sparse files with the same bytes, made on the way. They are not synced. */
  readonly copies: readonly string[];
  /** One 64-bit number: the bytes of the file that are written so far. Left out: all are. See `Following`. */
  readonly written?: SharedArrayBuffer;
}

/** SHA-256 (hex) of each range, of each chunk that one touches (its holes as zeros), and of the part. */
interface Surveyed {
  readonly runs: readonly string[];
  readonly chunks: readonly (readonly [index: number, digest: string])[];
  readonly part: string;
}

export interface JoinJob {
  /** The new file; it is not synced. */
  readonly to: string;
  readonly parts: readonly (Stretch | { readonly bytes: Uint8Array })[];
}

interface DigestJob {
  readonly file: string;
  /** What carries data of how many bytes: the rest is taken as zeros and not read. Left out: every byte is read. */
  readonly only?: { readonly ranges: readonly Range[]; readonly size: number };
}

interface Waiting {
  readonly file: string;
  readonly message: { readonly kind: keyof Jobs; readonly job: object };
  resolve(value: never): void;
  reject(error: unknown): void;
}

/** Threads that take jobs in the order they come. Close them when all is done. */
export class Threads {
  readonly count: number;
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, Waiting>();
  readonly #queue: Waiting[] = [];

  /** `signal` closes them, in the middle of what they do. */
  constructor({ count = availableParallelism(), signal }: { count?: number; signal?: AbortSignal } = {}) {
    this.count = count;
    signal?.addEventListener('abort', () => void this.close(), { once: true });
  }

  /** Deflates a piece of a file, or takes it from where it is kept. */
  deflate(job: DeflateJob): Promise<Deflated> {
    return this.#do('deflate', { ...job, temporary: randomBytes(6).toString('hex') });
  }

  /** Digests of what a file carries, and copies of it, in one go; while it is written, if need be. */
  survey(job: SurveyJob): Promise<Surveyed> {
    return this.#do('survey', job);
  }

  /** Puts a file together of bytes and of pieces of others, and gives its SHA-256 (hex). */
  join(job: JoinJob): Promise<Jobs['join']['result']> {
    return this.#do('join', job);
  }

  /** SHA-256 (hex) of a file. */
  digest(file: string, only?: DigestJob['only']): Promise<string> {
    return this.#do('digest', only === undefined ? { file } : { file, only });
  }

  /** SHA-256 (hex) of each range of a file. */
  runs(file: string, ranges: readonly Range[]): Promise<string[]> {
    return this.#do('runs', { file, ranges });
  }

  /** Ends them; jobs that are not done count as interrupted. */
  async close(): Promise<void> {
    const workers = [...this.#idle.splice(0), ...this.#busy.keys()];
    const left = [...this.#busy.values(), ...this.#queue.splice(0)];
    this.#busy.clear();
    for (const { reject } of left) reject(new Failure('interrupted', { what: 'interrupted' }));
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  #do<Kind extends keyof Jobs>(kind: Kind, job: Jobs[Kind]['job']): Promise<Jobs[Kind]['result']> {
    return new Promise((resolve, reject) => {
      const file = 'to' in job ? job.to : (job.file ?? 'zeros');
      this.#queue.push({ file, message: { kind, job }, resolve, reject });
      this.#next();
    });
  }

  #next(): void {
    if (this.#queue.length === 0) return;
    const worker = this.#idle.pop() ?? (this.#busy.size < this.count ? this.#start() : undefined);
    if (worker === undefined) return;
    const waiting = this.#queue.shift();
    if (waiting === undefined) return;
    this.#busy.set(worker, waiting);
    worker.postMessage(waiting.message);
  }

  #start(): Worker {
    const worker = new Worker(program, { eval: true, execArgv: [] });
    worker.on('message', (answer: Answer) => {
      const waiting = this.#busy.get(worker);
      this.#busy.delete(worker);
      this.#idle.push(worker);
      if (answer.failed === undefined) waiting?.resolve(answer.value);
      else waiting?.reject(unreadable(waiting.file, answer.failed));
      this.#next();
    });
    worker.on('error', (error) => {
      this.#busy.get(worker)?.reject(error);
      this.#busy.delete(worker);
      this.#next();
    });
    return worker;
  }
}

/** What the program answers: a value of the job's kind, or an error. */
type Answer =
  | { readonly failed?: never; readonly value: never }
  | { readonly failed: { readonly message: string; readonly code?: string } };

function unreadable(where: string, { message, code }: { message: string; code?: string }): Failure {
  const ofTheSystem = systemFailure(Object.assign(new Error(message), { code }), where);
  const fix = 'build again, and leave the output folder alone meanwhile';
  return ofTheSystem ?? new Failure('io', { what: 'an image cannot be packed', where, why: message, fix });
}
