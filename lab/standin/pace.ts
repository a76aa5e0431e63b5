// How long things take in the stand-in: the model's figures, made quicker.
import { measured } from './model.ts';

/** `EDGEKILN_STANDIN_PACE=1` takes as long as real k3s did; by default an eighth of it. */
const factor = Number(process.env['EDGEKILN_STANDIN_PACE'] ?? '0.125');

/** Milliseconds of a step of the model, as long as this process takes for it. */
export function paced(step: keyof typeof measured): number {
  return measured[step] * (Number.isFinite(factor) && factor > 0 ? factor : 0.125);
}

/** A server that works exits when it had no leader for so long: shorter would take a busy machine for a lost quorum. */
export const exitWithoutQuorum = 12_000;
/** A node renews its lease, and is said to be unknown when it did not for the grace. */
export const leaseEvery = 5_000;
export const nodeGrace = 20_000;

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
