// boot.json: what the initrd found and did. It is written by a shell script, so every field may be missing.
import { isRecord, parseJson } from '../../formats/json.ts';

const dataStates = [
  'mounted',
  'created',
  'repaired',
  'missing',
  'full',
  'corrupt',
  'readonly',
  'foreign',
] as const;

/** How the data partition is: the first three can be written to and are this flash's own. */
export type DataState = (typeof dataStates)[number];

export interface BootRecord {
  /** The flash id the bootloader named. */
  readonly flash: string | undefined;
  readonly slot: 'a' | 'b' | undefined;
  /** Sequence number of the boot state that chose the slot, 0 to 9. */
  readonly seq: number | undefined;
  /** Device node of the whole disk. */
  readonly disk: string | undefined;
  readonly data: { readonly state: DataState; readonly detail: string };
  readonly problems: readonly string[];
}

/** Reads boot.json; what cannot be read is undefined, and data that is not spoken of is missing. */
export function parseBootRecord(text: string): BootRecord {
  const value = parseJson(text);
  const record = isRecord(value) ? value : {};
  const { flash, slot, seq, disk, problems } = record;
  const data = isRecord(record['data']) ? record['data'] : {};
  const letter = typeof slot === 'string' ? slot.toLowerCase() : undefined;
  const number = Number(seq);
  return {
    flash: nonEmpty(flash),
    slot: letter === 'a' || letter === 'b' ? letter : undefined,
    seq:
      seq !== '' && seq !== null && Number.isInteger(number) && number >= 0 && number <= 9
        ? number
        : undefined,
    disk: nonEmpty(disk),
    data: {
      state: dataStates.find((state) => state === data['state']) ?? 'missing',
      detail: nonEmpty(data['detail']) ?? '',
    },
    problems: [
      ...(isRecord(value) ? [] : ['the record of the boot cannot be read']),
      ...(Array.isArray(problems) ? problems.filter((one) => typeof one === 'string' && one !== '') : []),
    ],
  };
}

export function dataIsUsable(state: DataState): boolean {
  return state === 'mounted' || state === 'created' || state === 'repaired';
}

function nonEmpty(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
