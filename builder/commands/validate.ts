// edgekiln validate FILE…
import { Failure, type Problem, renderProblem } from '../../formats/errors.ts';
import { type LoadedProfile, loadProfile } from '../profile/load.ts';
import type { Verb } from './frame.ts';

export const verb: Verb = {
  examples: ['edgekiln validate shop.yaml', 'edgekiln validate sites/*.yaml --json'],
  register(command, act) {
    command.argument('<file...>', 'profiles').action(
      act(async (session, files: string[]) => {
        const valid: LoadedProfile[] = [];
        const failures: Failure[] = [];
        for (const file of files) {
          try {
            valid.push(await loadProfile(file));
          } catch (error) {
            if (!(error instanceof Failure)) throw error;
            failures.push(error);
          }
        }
        if (failures.length > 0) throw together(failures);
        for (const problem of valid.flatMap((loaded) => loaded.unbuilt)) session.say(renderProblem(problem));
        const summaries = valid.map(({ file, profile, unbuilt }) => ({
          file,
          site: profile.site.name,
          devices: profile.devices.length,
          servers: profile.servers.count,
          unbuilt,
        }));
        return { text: summaries.map(line).join('\n'), data: { version: 1, files: summaries } };
      }),
    );
  },
};

function line(summary: { file: string; site: string; devices: number; servers: number }): string {
  const { file, site, devices, servers } = summary;
  return `${file}: valid: site ${site}, ${count(devices, 'device')}, ${count(servers, 'server')}`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

/** Problems of all files; a file that is wrong weighs more than one that cannot be read. */
function together(failures: readonly Failure[]): Failure {
  const kind = failures.some((failure) => failure.kind === 'input') ? 'input' : 'io';
  return new Failure(
    kind,
    failures.flatMap((failure): readonly Problem[] => failure.problems),
  );
}
