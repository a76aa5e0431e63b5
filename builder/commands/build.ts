// edgekiln build PROFILE
import { relative, resolve } from 'node:path';
import { Option } from 'commander';
import { exitCode, Failure } from '../../formats/errors.ts';
import { Store } from '../artifacts/store.ts';
import { keysFolder } from '../keys/keyring.ts';
import { type Built, build } from '../pipeline/build.ts';
import { checkBuild } from '../pipeline/check.ts';
import { bytesText, jsonReporter, plainReporter, terminalReporter } from '../pipeline/reporters.ts';
import type { Reporter } from '../pipeline/runner.ts';
import { loadProfile } from '../profile/load.ts';
import type { Result, Verb } from './frame.ts';

export const verb: Verb = {
  examples: [
    'edgekiln build shop.yaml',
    'edgekiln build shop.yaml --output /srv/images --offline',
    'edgekiln build shop.yaml --check',
  ],
  register(command, act) {
    command
      .argument('<profile>', 'the site')
      .option('-o, --output <folder>', 'where images go, in one folder a site', 'output')
      .option('--offline', 'take everything from the store, fetch nothing')
      .option('--check', 'build twice from scratch and compare every byte; no image is kept')
      .addOption(
        new Option('--progress <how>', 'how to show what goes on')
          .choices(['auto', 'plain', 'json'])
          .default('auto'),
      )
      .action(
        act(async (session, file: string, given: Given) => {
          const loaded = await loadProfile(file);
          const { signal } = session;
          const reporter = reporterFor(given.progress);
          const say = given.progress === 'json' ? (line: string) => reporter.say('build', line) : session.say;
          const epoch = sourceDateEpoch(process.env['SOURCE_DATE_EPOCH']);
          const options = {
            store: new Store(),
            keysRoot: keysFolder(),
            output: resolve(given.output),
            offline: given.offline === true,
            reporter,
            signal,
            say,
            ...(epoch === undefined ? {} : { epoch }),
          };
          if (given.check) return verdict(await checkBuild(loaded, options));
          const built = await build(loaded, options);
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

interface Given {
  readonly output: string;
  readonly offline?: boolean;
  readonly check?: boolean;
  readonly progress: string;
}

function reporterFor(progress: string): Reporter {
  const write = (text: string) => process.stderr.write(text);
  if (progress === 'json') return jsonReporter(write);
  return progress === 'auto' && process.stderr.isTTY ? terminalReporter(write) : plainReporter(write);
}

/** The time that all of a build shall have, where the environment names one: https://reproducible-builds.org/specs/source-date-epoch/ */
function sourceDateEpoch(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  // The last second that 32 bits hold, in which some formats count.
  if (/^\d{1,10}$/.test(text) && Number(text) < 2 ** 32) return Number(text);
  throw new Failure('input', {
    what: `SOURCE_DATE_EPOCH is ${text}`,
    why: 'it is a number of seconds since 1970, below 4294967296',
    fix: 'unset it, or: export SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)',
  });
}

function verdict({ files, bytes, difference }: Awaited<ReturnType<typeof checkBuild>>): Result {
  const data = { version: 1, same: difference === undefined, files, bytes, difference };
  if (difference === undefined) return { text: `the same twice: ${files} files, ${bytesText(bytes)}`, data };
  const { file, offset, what, stage } = difference;
  const at = offset === undefined ? '' : ` at byte ${offset}`;
  const from = stage === undefined ? '' : `\nit begins in stage ${stage}`;
  return { text: `two builds differ: ${file}${at}: ${what}${from}`, data, exit: exitCode.bug };
}

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
  const [first] = built.images;
  if (first?.file.endsWith('.img'))
    lines.push(
      'Each image is for one device: flash it with balenaEtcher, or look at it first:',
      `  edgekiln lab up ${here(built.folder)} --router dhcp --wait 300`,
    );
  else if (first?.file.endsWith('.zip'))
    lines.push('Each image is for one device: flash it with balenaEtcher.');
  else if (first?.file.endsWith('.zst'))
    lines.push(`Each image is for one device: bmaptool copy ${here(first.file)} /dev/sdX`);
  return lines;
}

function here(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') ? path : short;
}
