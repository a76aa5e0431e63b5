// The reconciler's journal as an object of the cluster, written by compare-and-set only.
import { isRecord, parseJson } from '../../formats/json.ts';
import type { Place } from '../../formats/roster.ts';
import { Refused } from '../join/words.ts';
import { applyChange, emptyJournal, type Journal, type Operation } from '../protocol/journal.ts';
import { ApiError } from './api.ts';
import type { Serving } from './serving.ts';

const namespace = '/api/v1/namespaces/kube-system/configmaps';
const name = 'edgekiln-journal';

export interface KeptJournal {
  readonly journal: Journal;
  /** Version of the object; empty while there is none. */
  readonly version: string;
}

export class JournalStore {
  readonly #serving: Serving;

  constructor(serving: Serving) {
    this.#serving = serving;
  }

  async read(): Promise<KeptJournal> {
    const answer = await (await this.#serving.api()).ask('GET', `${namespace}/${name}`);
    if (answer.status === 404) return { journal: emptyJournal, version: '' };
    if (answer.status !== 200 || !isRecord(answer.body)) throw new ApiError('the journal', answer);
    const metadata = isRecord(answer.body['metadata']) ? answer.body['metadata'] : {};
    const data = isRecord(answer.body['data']) ? answer.body['data'] : {};
    return { journal: journalOf(data['journal']), version: String(metadata['resourceVersion']) };
  }

  /** Writes it if it still has this version; false when somebody was faster. */
  async write(journal: Journal, version: string): Promise<boolean> {
    const object = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace: 'kube-system', ...(version === '' ? {} : { resourceVersion: version }) },
      data: { journal: JSON.stringify(journal) },
    };
    const api = await this.#serving.api();
    const answer =
      version === ''
        ? await api.ask('POST', namespace, object)
        : await api.ask('PUT', `${namespace}/${name}`, object);
    if (answer.status === 409) return false;
    if (answer.status >= 300) throw new ApiError('the journal', answer);
    return true;
  }

  /** Reads, changes and writes, again where somebody was faster. */
  async change(by: (journal: Journal) => Journal): Promise<void> {
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const { journal, version } = await this.read();
      if (await this.write(by(journal), version)) return;
    }
    throw new Error('the journal is being written by others all the time');
  }

  /** Notes that a candidate starts as a server; refused unless the journal names it in this very operation. */
  starting(operation: number, place: Place): Promise<void> {
    return this.change((journal) => {
      const current = journal.operation;
      if (current?.id !== operation || !current.candidates.includes(place))
        throw new Refused('the journal does not name this device');
      return applyChange(journal, { kind: 'starting', place });
    });
  }
}

/** What is kept was written by an agent of this site; a journal that cannot be read must not be taken for an empty one. */
function journalOf(text: unknown): Journal {
  const value = parseJson(typeof text === 'string' ? text : '');
  if (!isRecord(value) || typeof value['clock'] !== 'number' || !Array.isArray(value['begun']))
    throw new Error('the journal cannot be read');
  const operation = isRecord(value['operation']) ? value['operation'] : undefined;
  return {
    ...emptyJournal,
    ...(value as Partial<Journal>),
    operation: operation === undefined ? undefined : operationOf(operation),
  };
}

/** JSON has no undefined: a field that is not there is one that was. */
function operationOf(value: object): Operation {
  return { dead: undefined, ...value } as Operation;
}
