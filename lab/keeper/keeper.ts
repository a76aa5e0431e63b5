// The background process of `lab up`: it alone holds switch, gateway and machines, and they all end with it.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorAsJson, Failure } from '../../formats/errors.ts';
import { throwFailure } from './client.ts';
import { serveControl } from './control.ts';
import { openLab } from './lab.ts';
import { type LabPlan, labPlanSchema } from './plan.ts';
import { identify, writeState } from './state.ts';

/**
 * Starts this very program again, detached, as `… lab keep PLAN`, and returns when its machines run. What goes wrong
 * there is thrown here; `signal` ends it while it starts.
 */
export async function startKeeper(plan: LabPlan, signal: AbortSignal): Promise<void> {
  mkdirSync(plan.directory, { recursive: true, mode: 0o700 });
  const file = join(plan.directory, 'plan.json');
  writeFileSync(file, `${JSON.stringify(plan, undefined, 2)}\n`);
  const log = openSync(join(plan.directory, 'keeper.log'), 'a', 0o600);
  const program = process.argv[1] ?? '';
  const child = spawn(process.execPath, [...process.execArgv, program, 'lab', 'keep', file], {
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
  });
  closeSync(log);
  const end = () => child.kill('SIGTERM');
  signal.addEventListener('abort', end);
  const message = await new Promise<unknown>((resolve) => {
    child.once('message', resolve);
    child.once('exit', () => resolve(undefined));
  });
  signal.removeEventListener('abort', end);
  if (child.connected) child.disconnect();
  child.unref();
  if (message === undefined) {
    throw new Failure('environment', {
      what: 'the background process of the lab ended before its machines ran',
      where: join(plan.directory, 'keeper.log'),
      why: readFileSync(join(plan.directory, 'keeper.log'), 'utf8')
        .trim()
        .split('\n')
        .slice(-12)
        .join('\n  '),
    });
  }
  throwFailure(message);
}

/** What `lab keep` does: keeps the lab of a plan until `signal` aborts, as SIGTERM makes it. */
export async function keepLab(planFile: string, signal: AbortSignal): Promise<void> {
  // Who started us may be gone by then.
  const tell = (message: object) => process.connected && process.send?.(message);
  try {
    const plan = labPlanSchema.parse(JSON.parse(readFileSync(planFile, 'utf8')));
    const lab = await openLab(plan);
    const asked = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve());
    });
    const control = await serveControl(lab, join(lab.sockets, 'control'));
    try {
      const keeper = identify(process.pid);
      if (keeper === undefined) throw new Error('this process is not in /proc');
      writeState(plan.directory, { version: 1, site: plan.site, keeper, sockets: lab.sockets });
      for (const place of plan.places) {
        if (signal.aborted) break;
        if ('image' in place) await lab.add(place);
        else await lab.addHost(place);
      }
      if (!signal.aborted) tell({ ready: true });
      await asked;
    } finally {
      control.close();
      await lab.stop();
    }
  } catch (error) {
    tell(errorAsJson(error));
    throw error;
  }
}
