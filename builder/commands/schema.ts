// edgekiln schema
import { profileJsonSchema } from '../profile/schema/profile.ts';
import type { Verb } from './frame.ts';

export const verb: Verb = {
  examples: ['edgekiln schema > edgekiln.schema.json'],
  register(command, act) {
    command.action(
      act(async () => {
        const schema = profileJsonSchema();
        return { text: JSON.stringify(schema, undefined, 2), data: { version: 1, schema } };
      }),
    );
  },
};
