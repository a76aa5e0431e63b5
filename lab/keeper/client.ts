// The other end of a running lab's control socket.
import { once } from 'node:events';
import net from 'node:net';
import { z } from 'zod';
import { exitCode, Failure, type FailureKind, type Problem } from '../../formats/errors.ts';
import { type MachineStatus, machineStatusSchema, type Request } from './control.ts';
import { onLines } from './lines.ts';

const problem = z.object({
  what: z.string(),
  where: z.string().optional(),
  why: z.string().optional(),
  fix: z.string().optional(),
});
const failed = z.object({ error: z.object({ kind: z.string(), problems: z.array(problem) }) });

/** Asks and gives the open connection with the answer; a failure of the lab is thrown as it was there. */
export async function request(
  control: string,
  asked: Request,
): Promise<{ result: unknown; socket: net.Socket }> {
  const socket = net.connect(control);
  try {
    await once(socket, 'connect');
  } catch (error) {
    throw new Failure('environment', { what: 'the lab does not answer', where: control }, error);
  }
  socket.write(`${JSON.stringify(asked)}\n`);
  const line = await new Promise<string>((resolve, reject) => {
    socket.on('close', () => reject(new Failure('environment', { what: 'the lab ended', where: control })));
    socket.on('error', () => socket.destroy());
    onLines(socket, (text) => {
      resolve(text);
      return 'enough';
    });
  });
  const answer: unknown = JSON.parse(line);
  throwFailure(answer);
  return { result: z.object({ result: z.unknown() }).parse(answer).result, socket };
}

/** Throws what `errorAsJson` wrote, if it is that. */
export function throwFailure(answer: unknown): void {
  const { data } = failed.safeParse(answer);
  if (data === undefined) return;
  const isKind = (kind: string): kind is FailureKind => Object.hasOwn(exitCode, kind) && kind !== 'bug';
  if (!isKind(data.error.kind)) throw new Error(data.error.problems.map((each) => each.what).join('; '));
  throw new Failure(data.error.kind, data.error.problems.map(withoutUndefined));
}

export async function machinesOf(control: string): Promise<readonly MachineStatus[]> {
  const { result, socket } = await request(control, { verb: 'status' });
  socket.destroy();
  return z.array(machineStatusSchema).parse(result);
}

function withoutUndefined(given: z.infer<typeof problem>): Problem {
  const { what, where, why, fix } = given;
  return { what, ...(where && { where }), ...(why && { why }), ...(fix && { fix }) };
}
