// What can be built and will disappoint on a device: said while it is built.
import type { SiteApp } from '../../formats/app.ts';
import { isRecord } from '../../formats/json.ts';
import { disabledAddons, pulledAlways } from '../artifacts/images/wanted.ts';
import type { Profile } from '../profile/profile.ts';

/** Lines for the person who builds. */
export function warningsOf(profile: Profile, apps: readonly SiteApp[]): string[] {
  const { k3s } = profile;
  const lines: string[] = [];
  if (k3s.kind === 'file' && k3s.images.length === 0)
    lines.push('no archive of k3s: without internet its devices start no pod (k3s.images)');
  for (const { name, objects } of apps) {
    const images = pulledAlways(objects);
    if (images.length > 0)
      lines.push(
        `app ${name}: without internet it does not start, since it pulls at every start: ${images.join(', ')} (write imagePullPolicy: IfNotPresent, or a tag other than latest)`,
      );
  }
  if (k3s.kind !== 'standIn' && disabledAddons(k3s.config).includes('local-storage'))
    lines.push(...unmetClaims(apps));
  return lines;
}

/** Claims for volumes that nothing in the image meets: k3s's own storage is off, and no app brings the class. */
function unmetClaims(apps: readonly SiteApp[]): string[] {
  const objects = apps.flatMap((app) => app.objects);
  const classes = objects.flatMap(({ kind, metadata }) => (kind === 'StorageClass' ? [metadata.name] : []));
  return apps.flatMap(({ name, objects: own }) => {
    const unmet = own.flatMap(claimsOf).filter(({ storageClass }) => {
      // A claim with an empty class takes a volume that is made by hand.
      if (storageClass === undefined) return classes.length === 0;
      return storageClass !== '' && !classes.includes(storageClass);
    });
    if (unmet.length === 0) return [];
    return [
      `app ${name}: nothing gives it the volumes that it claims (${unmet.map((claim) => claim.name).join(', ')}): local-storage is off (write k3s: {config: {disable: […]}} without it, or use a hostPath below a path of persist)`,
    ];
  });
}

interface Claim {
  readonly name: string;
  readonly storageClass: string | undefined;
}

/** A claim by itself, or those of a StatefulSet. */
function claimsOf(object: SiteApp['objects'][number]): Claim[] {
  if (object.kind === 'PersistentVolumeClaim') return [claim(object.metadata.name, object)];
  const templates = field(field(object, 'spec'), 'volumeClaimTemplates');
  if (object.kind !== 'StatefulSet' || !Array.isArray(templates)) return [];
  return templates.map((template: unknown) =>
    claim(String(field(field(template, 'metadata'), 'name')), template),
  );
}

function claim(name: string, value: unknown): Claim {
  const storageClass = field(field(value, 'spec'), 'storageClassName');
  return { name, storageClass: typeof storageClass === 'string' ? storageClass : undefined };
}

function field(value: unknown, key: string): unknown {
  return isRecord(value) ? value[key] : undefined;
}
