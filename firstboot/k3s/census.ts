// Looking for what a person put into a cluster, through an API that answers.
import { readdir } from 'node:fs/promises';
import { type Api, ApiError } from './api.ts';
import { personsObject, watchedLists } from './emptiness.ts';

/** The first thing found that a person put there, in words; undefined where there is none. Fails where it cannot tell. */
export async function foundInApi(api: Api): Promise<string | undefined> {
  for (const path of watchedLists) {
    try {
      const found = personsObject(path, await api.list(path));
      if (found !== undefined) return found;
    } catch (error) {
      // A kind that this API server does not have holds nothing.
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
  }
  return undefined;
}

/** A file of a volume on this node's storage folder; undefined where there is none. */
export async function foundInStorage(folder: string): Promise<string | undefined> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names[0] === undefined ? undefined : `the storage folder holds ${names[0]}`;
}
