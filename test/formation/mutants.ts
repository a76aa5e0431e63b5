// Proof that the simulator can fail: each mutant weakens one rule of the protocol, in the source, and must be caught
// within the normal seeds; what seeds reach too rarely (the rules of amnesia) recovery.test.ts holds. Run by `npm run mutants -- [NAME-PART]`; the last line is JSON.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'esbuild';
import { bundleWorker, runOnWorkers, type Worlds } from '../../lab/simulated/pool.ts';
import type { Batch } from '../../lab/simulated/summary.ts';

interface Mutant {
  readonly rule: string;
  /** File below firstboot/protocol; with a slash, from the root: the rim's part of a rule. */
  readonly file: string;
  /** Text that occurs once in it, and what takes its place. */
  readonly from: string;
  readonly to: string;
  /** Which worlds find it: sites that form, where nothing is said. */
  readonly worlds?: Worlds;
}

/** Seeds within which a mutant must be caught. */
const normalSeeds = 12_000;
/** The same for servers over days; each is worth a hundred sites. */
const serverSeeds = 500;

export const mutants: readonly Mutant[] = [
  {
    rule: 'a device speaks before its record is on disk',
    file: 'turn.ts',
    from: '    this.#persist();\n    this.effects.push(effect);',
    to: '    this.effects.push(effect);\n    this.#persist();',
  },
  {
    rule: 'a promise is not persisted',
    file: 'acceptor.ts',
    from: 'turn.write({ promised: ballot, round: Math.max(record.round, ballot.round) });',
    to: '',
  },
  {
    rule: 'an acceptance is not persisted',
    file: 'acceptor.ts',
    from: '      accepted: { ballot, value },\n',
    to: '',
  },
  {
    rule: 'a ballot is used before its round is persisted',
    file: 'proposer.ts',
    from: 'turn.write({ round: ballot.round });',
    to: '',
  },
  {
    rule: 'majority off by one',
    file: 'site.ts',
    from: 'Math.floor(electors / 2) + 1',
    to: 'Math.floor(electors / 2)',
  },
  {
    rule: 'an older acceptance is not adopted',
    file: 'proposer.ts',
    from: 'older?.value ?? proposal.value',
    to: 'proposal.value',
  },
  {
    rule: 'accepts below its promise',
    file: 'acceptor.ts',
    from: 'compareBallots(ballot, record.promised) < 0 || contradicts',
    to: 'contradicts',
  },
  {
    rule: 'incarnations are ignored',
    file: 'recovery.ts',
    from: "'vector' in message.body ? message.body.vector : undefined",
    to: 'undefined',
  },
  {
    rule: 'challenges are not compared',
    file: 'discovery.ts',
    from: 'echo.place === place && echo.challenge === challenge',
    to: 'echo.place === place',
  },
  {
    rule: 'copies are not dropped',
    file: 'discovery.ts',
    from: 'ahead <= -32 || (ahead <= 0 && (peer.seen >>> -ahead) & 1)',
    to: 'false',
  },
  {
    rule: 'no settling',
    file: 'timings.ts',
    from: 'export const settle = 10 * second;',
    to: 'export const settle = 0;',
  },
  {
    rule: 'certificates are not checked',
    file: 'certificates.ts',
    from: 'if (electors.size !== signers.length || electors.size < site.quorum) return false;\n  return',
    to: 'return true ||',
  },
  {
    rule: 'dossiers are not checked',
    file: 'generations.ts',
    from: '(newer || decides) && dossierHolds(site, signatures, dossier)',
    to: 'newer || decides',
  },
  {
    rule: 'one loss opens the next generation',
    file: 'generations.ts',
    from: 'if (state.losses.length < site.quorum) return;',
    to: '',
  },
  {
    rule: 'the emptiness test is not obeyed',
    file: 'membership.ts',
    from: '  if (empty) {\n',
    to: '  if (empty || state.phase === state.phase) {\n',
  },
  {
    rule: 'electors come from the newest roster',
    file: 'rosters.ts',
    from: 'else if (rosterElectors !== current.rosterElectors) turn',
    to: 'else if (rosterElectors === undefined) turn',
  },
  {
    rule: 'a server founds again',
    file: 'hello.ts',
    from: '    !record.wasServer &&\n',
    to: '',
  },
  {
    rule: 'majority founds without being decided',
    file: 'founding.ts',
    from: "if (state.site.policy.kind === 'first-online') {",
    to: "if (state.site.policy.kind !== 'designated') {",
  },
  {
    rule: 'anybody founds in a designated site',
    file: 'hello.ts',
    from: "if (site.policy.kind === 'designated' && site.policy.place !== place) return false;",
    to: '',
  },
  {
    rule: 'a turn is never lost',
    file: 'timings.ts',
    from: 'export const turnToFound = 90 * second;',
    to: 'export const turnToFound = 1e12 * second;',
  },
  {
    rule: 'founding counts as a cluster for ever',
    file: 'timings.ts',
    from: 'export const foundingCounts = 10 * minute;',
    to: 'export const foundingCounts = 1e9 * minute;',
  },
  {
    rule: 'an agent that keeps its data of a lost cluster keeps others from founding',
    file: 'founding.ts',
    from: '&& (hello.cluster.server || !isLeft(hello.phase))',
    to: '',
  },
  {
    rule: 'a ballot that failed is not tried again',
    file: 'proposer.ts',
    from: "turn.due('propose', now + ballotPause / 2",
    to: "turn.due('propose', 1e15",
  },
  {
    rule: 'a disk that works again is not believed',
    file: 'storage.ts',
    from: '  state.diskFailed = false;\n',
    to: '',
  },
  {
    rule: 'a full disk is not noticed',
    file: 'lab/simulated/disk.ts',
    from: 'if (this.refuses || record === undefined) return undefined;',
    to: 'if (this.refuses || record === undefined) return record;',
  },
  {
    rule: 'a place is handed out twice',
    file: 'claims.ts',
    from: '!table.entries.some((entry) => entry.place === member.place)',
    to: 'table.founder !== key',
  },
  {
    rule: 'a board that got a place does not settle anew',
    file: 'enrolment.ts',
    from: 'if (held.table.founder !== enrolment?.key) turn.settleAnew();',
    to: '',
  },
  {
    rule: 'a claimed board drops its place and keeps its cluster',
    file: 'tables.ts',
    from: "if (state.phase === 'listening') unseat(turn);",
    to: "if (state.phase === 'listening' && state.record.claim === undefined) unseat(turn);",
  },
  {
    rule: 'what failed is tried again at once',
    file: 'journal.ts',
    from: "need === 'mend' ? undone : begun.at(-1)",
    to: "need === 'mend' ? undefined : begun.at(-1)",
    worlds: 'servers',
  },
  {
    rule: 'a budget is counted by step, not by operation',
    file: 'journal.ts',
    from: '...replaced.filter((at) => clock - at < day),',
    to: '',
    worlds: 'servers',
  },
  {
    rule: 'a delete has no precondition',
    file: 'lab/simulated/servers.ts',
    from: 'deleteNode(this.#cluster, name, precondition,',
    to: 'deleteNode(this.#cluster, name, undefined,',
    worlds: 'servers',
  },
  {
    rule: 'a server that came back is removed all the same',
    file: 'roles.ts',
    from: "if (old?.ready === true) return end(view, 'undone');",
    to: '',
    worlds: 'servers',
  },
  {
    rule: 'the journal is written without comparing its version',
    file: 'lab/simulated/servers.ts',
    from: 'if (decision.version !== String(this.#version)) {',
    to: 'if (decision.version === undefined) {',
    worlds: 'servers',
  },
];

const root = new URL('../../', import.meta.url);

export function sourceOf({ file }: Mutant): string {
  return fileURLToPath(new URL(file.includes('/') ? file : `firstboot/protocol/${file}`, root));
}

function mutation(mutant: Mutant): Plugin {
  const { from, to, rule } = mutant;
  const source = sourceOf(mutant);
  return {
    name: 'mutant',
    setup(build) {
      build.onLoad({ filter: new RegExp(`/${basename(source).replace('.', '\\.')}$`) }, ({ path }) => {
        if (path !== source) return undefined;
        const text = readFileSync(path, 'utf8');
        if (text.split(from).length !== 2) throw new Error(`'${rule}': its text occurs not once in ${path}`);
        return { contents: text.replace(from, () => to), loader: 'ts' };
      });
    },
  };
}

/** Which seed caught the mutant, or undefined where none did; a run that throws caught it too. */
async function caughtBy(mutant: Mutant, folder: string, seeds: number): Promise<string | undefined> {
  const script = join(folder, `${mutants.indexOf(mutant)}.mjs`);
  await bundleWorker(script, [mutation(mutant)]);
  const worlds = mutant.worlds ?? 'sites';
  const most = worlds === 'sites' ? seeds : Math.min(seeds, serverSeeds);
  const found = (batch: Batch) => batch.violations.length > 0;
  try {
    const batches = await runOnWorkers(script, 0, most, 1, found, worlds);
    const violation = batches.flatMap((batch) => batch.violations)[0];
    return violation === undefined ? undefined : `seed ${violation.seed}, '${violation.promise}'`;
  } catch (error) {
    return `a run that ended with: ${error instanceof Error ? error.message : error}`;
  }
}

export interface Caught {
  readonly rule: string;
  /** By which seed and promise; undefined where nothing noticed. */
  readonly by: string | undefined;
  readonly seconds: number;
}

/** Runs mutants, one a core, each until a seed below `seeds` catches it; `said` is called as each ends. */
export async function hunt(
  chosen: readonly Mutant[],
  seeds: number,
  said: (caught: Caught) => void = () => {},
): Promise<readonly Caught[]> {
  const folder = mkdtempSync(join(tmpdir(), 'mutants-'));
  const left = [...chosen];
  const results: Caught[] = [];
  const hunter = async () => {
    for (let mutant = left.shift(); mutant !== undefined; mutant = left.shift()) {
      const began = performance.now();
      const by = await caughtBy(mutant, folder, seeds);
      const caught = { rule: mutant.rule, by, seconds: Math.round((performance.now() - began) / 100) / 10 };
      results.push(caught);
      said(caught);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, hunter));
  rmSync(folder, { recursive: true });
  return results;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const chosen = mutants.filter((mutant) => mutant.rule.includes(process.argv[2] ?? ''));
  const results = await hunt(chosen, normalSeeds, ({ rule, by, seconds }) => {
    process.stdout.write(
      `${by === undefined ? 'MISSED' : 'caught'}: ${rule} (${by ?? 'by no seed'}, ${seconds} s)\n`,
    );
  });
  const missed = results.filter(({ by }) => by === undefined).map(({ rule }) => rule);
  process.stdout.write(
    `${JSON.stringify({ mutants: chosen.length, missed: missed.length, rules: missed })}\n`,
  );
  process.exitCode = missed.length === 0 ? 0 : 1;
}
