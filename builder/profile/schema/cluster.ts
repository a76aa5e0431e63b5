// k3s and what runs on it.
import { z } from 'zod';
import { parseReference } from '../../artifacts/images/reference.ts';
import { label, path, sha256, text, url } from './fields.ts';

const setting = z.union(
  [z.string(), z.number(), z.boolean(), z.array(z.union([z.string(), z.number(), z.boolean()]))],
  'text, a number, true, false, or a list of them',
);

export const k3s = z
  .strictObject({
    release: text(/^v\d+\.\d+\.\d+\+k3s\d+$/, 'a k3s release such as v1.36.4+k3s1')
      .optional()
      .describe('A release of k3s; its files are pinned by digest.'),
    file: path('a k3s binary').optional().describe('A k3s binary of your own, with `sha256`.'),
    sha256: sha256().optional().describe('The digest of `file`.'),
    images: z
      .array(path('an archive of container images'))
      .optional()
      .describe(
        'Archives of what `file` runs itself, such as pause and coredns; all named images in them go along.',
      ),
    standIn: z
      .literal(true)
      .optional()
      .describe('The built-in imitation instead of k3s, for demonstrations: images say DEMO.'),
    config: z
      .record(
        text(
          /^(v|[a-z][a-z0-9-]+)$/,
          'an option of k3s by its long name without dashes before it, such as kubelet-arg',
        ),
        setting,
      )
      .default({})
      .describe(
        'Options of k3s, as in its config.yaml. Insecure ones and those the agent sets are refused. Where they are left out, add-ons are off: see artifacts.md.',
      ),
  })
  .meta({
    oneOf: [{ required: ['release'] }, { required: ['file', 'sha256'] }, { required: ['standIn'] }],
  })
  .describe('The k3s to install: `release`, or `file` with `sha256`, or `standIn`.');

const registryHost = text(
  /^(\*|[A-Za-z0-9.-]+(:\d+)?)$/,
  'a registry: a host name, with a port where it needs one, or *',
);
const word = z.string().min(1, 'text that is not empty');

export const registries = z
  .strictObject({
    mirrors: z
      .record(
        registryHost,
        z.strictObject({
          endpoint: z.array(url('a registry')).default([]).describe('Where to pull from instead, in order.'),
          rewrite: z
            .record(word, z.string())
            .optional()
            .describe('Patterns of image names, and what they become.'),
        }),
      )
      .default({})
      .describe('Mirrors, by the registry they stand for.'),
    configs: z
      .record(
        registryHost,
        z.strictObject({
          auth: z
            .strictObject({
              username: word.optional().describe('User name.'),
              password: word.optional().describe('Password; it is in every image of the site.'),
              token: word.optional().describe('Token in place of a password.'),
            })
            .optional()
            .describe('How to log in.'),
          tls: z
            .strictObject({
              cert_file: word.optional().describe('Client certificate, a path on the device.'),
              key_file: word.optional().describe('Its key, a path on the device.'),
              ca_file: word.optional().describe('The CA to trust, a path on the device.'),
              insecure_skip_verify: z.boolean().optional().describe('Trust any certificate.'),
            })
            .optional()
            .describe('How to speak TLS.'),
        }),
      )
      .default({})
      .describe('Log-in and TLS, by registry.'),
  })
  .optional()
  .describe('Where containers are pulled from: what becomes registries.yaml of k3s.');

const values = z.record(z.string(), z.unknown());

export const apps = z
  .array(
    z
      .strictObject({
        name: label('the name of an app').describe('Name, unique among the apps.'),
        namespace: label('a namespace').default('default').describe('The namespace it lives in.'),
        manifests: z.array(path('a manifest')).optional().describe('Kubernetes manifests, in this order.'),
        chart: z
          .strictObject({
            path: path('a Helm chart: a folder or a .tgz').describe(
              'The chart; it is rendered at build time.',
            ),
            values: values.optional().describe('Its values.'),
            valuesFrom: path('a file of values')
              .optional()
              .describe('A file of values; `values` come after it.'),
          })
          .optional()
          .describe('A Helm chart.'),
        images: z
          .array(path('an image archive, as docker save or skopeo make them'))
          .default([])
          .describe('Archives of the images it needs: a site without internet pulls none.'),
        needs: z
          .array(
            z
              .string()
              .refine(
                (name) => parseReference(name) !== undefined,
                'the name of an image, such as nginx:1.29',
              ),
          )
          .default([])
          .describe('Images that its manifests do not name, such as those an operator starts.'),
      })
      .meta({ oneOf: [{ required: ['manifests'] }, { required: ['chart'] }] }),
  )
  .default([])
  .describe('What runs on the cluster from the start.');
