// edgekiln build PROFILE
import { relative, resolve } from 'node:path';
import { Store } from '../artifacts/store.ts';
import { keysFolder } from '../keys/keyring.ts';
import { type Built, build } from '../pipeline/build.ts';
import { plainReporter, terminalReporter } from '../pipeline/reporters.ts';
import { loadProfile } from '../profile/load.ts';
import type { Verb } from './frame.ts';

export const verb: Verb = {
  examples: ['edgekiln build shop.yaml', 'edgekiln build shop.yaml --output /srv/images --offline'],
  register(command, act) {
    command
      .argument('<profile>', 'the site')
      .option('-o, --output <folder>', 'where images go, in one folder a site', 'output')
      .option('--offline', 'take everything from the store, fetch nothing')
      .action(
        act(async (session, file: string, given: { output: string; offline?: boolean }) => {
          const loaded = await loadProfile(file);
          const { signal, say } = session;
          const write = (text: string) => process.stderr.write(text);
          const built = await build(loaded, {
            store: new Store(),
            keysRoot: keysFolder(),
            output: resolve(given.output),
            offline: given.offline === true,
            reporter: process.stderr.isTTY ? terminalReporter(write) : plainReporter(write),
            signal,
            say,
          });
          for (const line of whatNext(built)) say(line);
          const { folder, images, stages } = built;
          return {
            text: images.map((image) => here(image.file)).join('\n'),
            data: { version: 1, folder, images, stages, standIn: built.standIn },
          };
        }),
      );
  },
};

/** What a person does with the images now. */
function whatNext(built: Built): string[] {
  const lines: string[] = [];
  if (built.newKeys !== undefined) {
    lines.push(
      `The keys of this site were made in ${built.newKeys}.`,
      'Keep a copy in a safe place: without them every device must be flashed anew.',
    );
  }
  if (built.standIn) lines.push('DEMO: these images carry an imitation of k3s and run no workload.');
  lines.push(
    'Each image is for one device: flash it with balenaEtcher, or look at it first:',
    `  edgekiln lab up ${here(built.folder)} --router dhcp --wait 300`,
  );
  return lines;
}

function here(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') ? path : short;
}
