// A stage's workshop for tests that run one stage: it says nothing and is never interrupted.
import { Settling } from './settling.ts';
import type { Workshop } from './stage.ts';

/** `settled` ends when the result is whole. */
export function workshopIn(result: string): Workshop & { settled(): Promise<void> } {
  const settling = new Settling();
  return {
    result,
    progress() {},
    say() {},
    settles: (work) => settling.add(work),
    signal: new AbortController().signal,
    settled: () => settling.end(),
  };
}
