// Work that is done side by side and wanted in order.
import { Failure } from '../../formats/errors.ts';

/** Starts work on items, at most `ahead` at a time, and gives what comes of it in the order of the items. */
export async function* inOrder<Item, Result>(
  items: Iterable<Item>,
  { ahead, signal }: { readonly ahead: number; readonly signal: AbortSignal },
  start: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const waiting: Promise<Result>[] = [];
  const next = async (): Promise<Result> => {
    if (signal.aborted) throw new Failure('interrupted', { what: 'interrupted' });
    const [first] = waiting.splice(0, 1);
    if (first === undefined) throw new Error('nothing was started');
    return first;
  };
  try {
    for (const item of items) {
      if (waiting.length >= ahead) yield await next();
      const work = start(item);
      work.catch(() => {}); // it is awaited in its turn; a failure before that must not end the process
      waiting.push(work);
    }
    while (waiting.length > 0) yield await next();
  } finally {
    // Whoever stops early must not leave others at work in folders that go away.
    await Promise.allSettled(waiting);
  }
}
