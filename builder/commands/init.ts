// edgekiln init [PATH]
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Failure } from '../../formats/errors.ts';
import { profileJsonSchema } from '../profile/schema/profile.ts';
import { schemaFile, starterProfile } from '../profile/starter.ts';
import type { Verb } from './frame.ts';

export const verb: Verb = {
  examples: ['edgekiln init', 'edgekiln init sites/bakery.yaml'],
  register(command, act) {
    command.argument('[path]', 'a folder, which gets shop.yaml, or a .yaml file', '.').action(
      act(async (_session, path: string) => {
        const profile = (await isFile(path)) ? path : join(path, 'shop.yaml');
        const schema = join(dirname(profile), schemaFile);
        const schemaText = `${JSON.stringify(profileJsonSchema(), undefined, 2)}\n`;
        const existing = await readText(schema);
        if ((await readText(profile)) !== undefined) throw taken(profile, 'name another file');
        if (existing !== undefined && existing !== schemaText) {
          throw taken(schema, `write the newer one over it first: edgekiln schema > ${schema}`);
        }
        try {
          await mkdir(dirname(profile), { recursive: true });
          await writeFile(profile, starterProfile(siteName(profile)), { flag: 'wx' });
          if (existing === undefined) await writeFile(schema, schemaText, { flag: 'wx' });
        } catch (error) {
          const why = error instanceof Error ? error.message : String(error);
          const fix = 'name a place where you may write';
          throw new Failure('io', { what: 'cannot be written', where: profile, why, fix }, error);
        }
        const text = `${profile}\n${schema}`;
        return { text, data: { version: 1, profile, schema } };
      }),
    );
  },
};

/** Whether the path means a file: by its ending, unless it is a folder. */
async function isFile(path: string): Promise<boolean> {
  if (!/\.ya?ml$/.test(path)) return false;
  return stat(path).then(
    (stats) => !stats.isDirectory(),
    () => true,
  );
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    const why = error instanceof Error ? error.message : String(error);
    const fix = 'see that you may read it, or move it away';
    throw new Failure('io', { what: 'cannot be read', where: file, why, fix }, error);
  }
}

/** The file's name where it can be a site's, else `shop`. */
function siteName(file: string): string {
  const name = basename(file).replace(/\.ya?ml$/, '');
  return /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name) ? name : 'shop';
}

function taken(file: string, fix: string): Failure {
  return new Failure('input', { what: 'is there already, and is left as it was', where: file, fix });
}
