// edgekiln verify IMAGE|FOLDER
import { stat } from 'node:fs/promises';
import { Failure } from '../../formats/errors.ts';
import { nothingAt } from '../image/open.ts';
import { verifyFile, verifyFolder } from '../image/verify.ts';
import { Threads } from '../pack/threads.ts';
import type { Verb } from './frame.ts';

export const verb: Verb = {
  examples: ['edgekiln verify output/shop', 'edgekiln verify output/shop/shop-alpha.img'],
  register(command, act) {
    command.argument('<path>', "a site's output folder, or one file of it").action(
      act(async (session, path: string) => {
        const state = await stat(path).catch(() => undefined);
        if (state === undefined) throw nothingAt(path);
        const threads = new Threads({ signal: session.signal });
        try {
          const { good, problems } = await (state.isDirectory()
            ? verifyFolder(path, threads)
            : verifyFile(path, threads, session.signal));
          if (problems.length > 0) throw new Failure('input', problems);
          return { text: [...good, 'all is as it was built'].join('\n'), data: { version: 1, path, good } };
        } finally {
          await threads.close();
        }
      }),
    );
  },
};
