// `npm run fuzz:codec -- [packets]`: spoilt packets until the codec throws, invents or grows. Default 10,000,000.
import fc from 'fast-check';
import { decode, encode } from '../../firstboot/protocol/codec.ts';
import { Random } from '../../lab/simulated/random.ts';
import { message, spoil, tag } from './packets.ts';

const packets = Number(process.argv[2] ?? 10_000_000);
const seed = Number(process.argv[3] ?? 1);
const random = new Random(seed);
const good = fc.sample(message, { numRuns: 400, seed }).map((one) => encode(one, tag));
const outcomes: Record<string, number> = {};
const before = process.memoryUsage().heapUsed;
for (let count = 0; count < packets; count += 1) {
  const result = decode(spoil(random.pick(good), random), tag);
  const outcome = typeof result === 'string' ? result : 'message';
  outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
}
const grown = process.memoryUsage().heapUsed - before;
process.stdout.write(
  `${JSON.stringify({ packets, seed, outcomes, heap_grown_mb: Math.round(grown / 1e6) })}\n`,
);
process.exitCode = grown > 100e6 ? 1 : 0;
