// Filling a slot in a program of its own: only so can all of its reading and writing be at idle priority, apart from
// what the agent itself must get to the disk at once.
import type { Paths } from '../boot/paths.ts';

/** Fills slot B, and settles when it is verified. Rejects with what went wrong, or when the signal aborts. */
export type Filler = (manner: {
  readonly signal: AbortSignal;
  /** After each piece the disk is left alone for so many times as long as it took. */
  readonly leisure: number;
  /** Bytes of both passes done so far, of how many. */
  progress(done: number, total: number): void;
}) => Promise<void>;

/** Runs `edgekiln-node fill` with idle priority for disk and processor. It ends when this process does. */
export function fillApart({ root }: Paths): Filler {
  return async ({ signal, leisure, progress }) => {
    // Not with the service: at rest it needs none of it.
    const { start } = await import('../../formats/programs.ts');
    const [, program = ''] = process.argv;
    const idle = ['--class', 'idle', 'nice', '-n', '19'];
    const node = [process.execPath, '--max-semi-space-size=1', '--max-old-space-size=48', program];
    let heard = '';
    const child = start('ionice', [...idle, ...node, 'fill', '--root', root, '--leisure', String(leisure)], {
      onStdout(bytes) {
        const lines = (heard + bytes.toString()).split('\n');
        heard = lines.pop() ?? '';
        const [, done, total] = /^(\d+) of (\d+)$/.exec(lines.at(-1) ?? '') ?? [];
        if (done !== undefined) progress(Number(done), Number(total));
      },
    });
    const stop = () => child.kill('SIGTERM');
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const { code, signal: killed, said } = await child.ended;
    signal.throwIfAborted();
    if (code !== 0) throw new Error(said || `filling the slot ended with ${killed ?? code}`);
  };
}
