// What a device must still have after any power cut: data in use, files that were synced, its own machine id.
import type { Machine } from '../../lab/qemu/machine.ts';
import type { Shell } from './site.ts';

/** Files of one device, and what became of them. */
export class Kept {
  /** What was synced, and is gone or changed. */
  readonly lost: string[] = [];
  /** Files that were looked for, over all looks. */
  checked = 0;
  #written = 0;
  #machineId: string | undefined;

  /** Writes one more file, of some 30 kB, and syncs it. */
  async write(shell: Shell, patience: number): Promise<void> {
    await shell.run(this.#next(), patience);
    this.#written += 1;
  }

  /** Begins to write one more that nobody waits for, nor looks for: a cut falls while there is something on its way. */
  begin(console: Pick<Machine['console'], 'send'>): void {
    console.send(`${this.#next()}\n`);
  }

  #next(): string {
    const next = this.#written + 1;
    const path = `/var/lib/edgekiln/kept-${next}`;
    return `seq ${next} ${next + 5000} >${path} && sync ${path} /var/lib/edgekiln`;
  }

  /** Compares every byte of every file with what was written. */
  async look(shell: Shell, patience: number): Promise<void> {
    const record = await shell.run('cat /run/edgekiln/boot.json', patience);
    if (!/"state":"(mounted|created|repaired)"/.test(record)) this.lost.push(`data: ${record}`);
    else if (record.includes('could not be taken from data')) this.lost.push(`kept copies: ${record}`);
    // The agent keeps it on data, synced before it can be seen there.
    const id = await shell.run('cat /run/edgekiln/data/persist/etc/machine-id 2>/dev/null || true', patience);
    if (this.#machineId !== undefined && id !== this.#machineId) this.lost.push(`the machine id is '${id}'`);
    if (id !== '') this.#machineId = id;
    if (this.#written === 0) return;
    const check = `n=1; while [ $n -le ${this.#written} ]; do seq $n $((n + 5000)) | cmp -s - /var/lib/edgekiln/kept-$n || echo bad $n; n=$((n + 1)); done`;
    const said = await shell.run(check, patience);
    this.checked += this.#written;
    for (const [line] of said.matchAll(/bad \d+/g)) this.lost.push(`a synced file is ${line}`);
  }
}
