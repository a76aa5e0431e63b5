// How long the second build of a site takes, with one template changed, beside the first.
//
//   npm run bench:rebuild [-- --rounds N] [PROFILE.yaml]
//
// Without a profile: three devices with Debian 13, every output. One of your own must lie beside its lock.
// Each round runs the bundled command line twice, one right behind the other and each after a `sync`: the first build
// with all downloads in the store and the result of no stage; the second after one line was added to a template of the
// overlays. The overlays are a copy's: nothing of the repository is touched. The next round's first build makes from
// nothing what the second made with the results of the first: both must have the same digests.
// The ratio is the median over the rounds. The last line is JSON.
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { storeFolder } from '../builder/artifacts/store.ts';

const root = join(import.meta.dirname, '..');
const template = 'overlays/agent/usr/lib/systemd/journald.conf.d/10-edgekiln.conf.hbs';
const ownProfile = `apiVersion: edgekiln/v1
site: {name: bench}
board: qemu-x86_64
k3s: {standIn: true}
devices: [{name: alpha}, {name: beta}, {name: gamma}]
outputs: [image, zip, zst, bmap]
`;

/** One build as it was seen from outside. */
interface Seen {
  readonly seconds: number;
  /** Seconds of each stage that ran. */
  readonly stages: Readonly<Record<string, number>>;
  /** SHA256SUMS of what left. */
  readonly sums: string;
}

/** What `--progress=json` says of a stage's end. */
interface Event {
  readonly event: string;
  readonly stage: string;
  readonly cached: boolean;
  readonly milliseconds: number;
}

/** A copy of the installation, and a store that holds downloads. */
class Bench {
  readonly folder = mkdtempSync(join(tmpdir(), 'edgekiln-rebuild-'));
  readonly #profile: string;

  constructor(profile: string | undefined) {
    for (const name of ['dist', 'overlays', 'package.json'])
      cpSync(join(root, name), join(this.folder, name), { recursive: true });
    this.#profile = profile === undefined ? this.#writeProfile() : resolve(profile);
    this.#run(['artifacts', 'fetch', this.#profile]);
    mkdirSync(join(this.folder, 'store'));
    symlinkSync(join(storeFolder(), 'sha256'), join(this.folder, 'store/sha256'));
  }

  /** The first build: nothing is there but downloads. */
  first(): Seen {
    for (const name of ['store/results', 'output'])
      rmSync(join(this.folder, name), { recursive: true, force: true });
    return this.#build();
  }

  /** The second one, after one line was added to a template. */
  second(): Seen {
    appendFileSync(join(this.folder, template), '# one line more\n');
    return this.#build();
  }

  #writeProfile(): string {
    const lock = join(root, 'profiles/quickstart.lock.yaml');
    if (existsSync(lock)) copyFileSync(lock, join(this.folder, 'bench.lock.yaml'));
    const profile = join(this.folder, 'bench.yaml');
    writeFileSync(profile, ownProfile);
    return profile;
  }

  #build(): Seen {
    spawnSync('sync');
    const began = performance.now();
    const { stdout, stderr } = this.#run(
      ['build', this.#profile, '--output', 'output', '--offline', '--progress=json', '--json'],
      { EDGEKILN_STORE: join(this.folder, 'store') },
    );
    const seconds = (performance.now() - began) / 1000;
    const events = stderr
      .trim()
      .split('\n')
      .map((line): Event => JSON.parse(line))
      .filter(({ event, cached }) => event === 'finished' && !cached);
    const { folder }: { folder: string } = JSON.parse(stdout);
    return {
      seconds,
      stages: Object.fromEntries(events.map(({ stage, milliseconds }) => [stage, milliseconds / 1000])),
      sums: readFileSync(join(folder, 'SHA256SUMS'), 'utf8'),
    };
  }

  #run(args: readonly string[], more: NodeJS.ProcessEnv = {}): { stdout: string; stderr: string } {
    const done = spawnSync(process.execPath, ['dist/edgekiln.mjs', ...args], {
      cwd: this.folder,
      encoding: 'utf8',
      env: { ...process.env, EDGEKILN_KEYS: join(this.folder, 'keys'), ...more },
    });
    if (done.status !== 0) throw new Error(`${args.join(' ')} ended with ${done.status}\n${done.stderr}`);
    return done;
  }
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

function tell(name: string, { seconds, stages }: Seen): void {
  const parts = Object.entries(stages).map(([stage, took]) => `${stage} ${took.toFixed(2)}`);
  console.error(`${name} ${seconds.toFixed(2)} s: ${parts.join(', ')}`);
}

function main(args: readonly string[]): void {
  const at = args.indexOf('--rounds');
  const rounds = at < 0 ? 3 : Number(args[at + 1]);
  const [profile] = args.filter((_, index) => at < 0 || (index !== at && index !== at + 1));
  const bench = new Bench(profile);
  const seen: { first: Seen; second: Seen }[] = [];
  try {
    for (let round = 1; round <= rounds; round++) {
      const first = bench.first();
      tell(`round ${round}, first build: `, first);
      const before = seen.at(-1)?.second.sums;
      if (before !== undefined && before !== first.sums)
        throw new Error('a build from nothing and one with results of another gave different bytes');
      const second = bench.second();
      tell(`round ${round}, second build:`, second);
      if (second.sums === first.sums) throw new Error('the changed template changed nothing');
      seen.push({ first, second });
    }
  } finally {
    rmSync(bench.folder, { recursive: true, force: true });
  }
  const ratio = median(seen.map(({ first, second }) => second.seconds / first.seconds));
  const [first, second] = [
    median(seen.map((one) => one.first.seconds)),
    median(seen.map((one) => one.second.seconds)),
  ];
  console.log(`the second build takes ${(100 * ratio).toFixed(1)} % of the first`);
  console.log(
    JSON.stringify({
      rebuild_ratio: Number(ratio.toFixed(3)),
      first_seconds: Number(first.toFixed(1)),
      second_seconds: Number(second.toFixed(1)),
    }),
  );
}

main(process.argv.slice(2));
