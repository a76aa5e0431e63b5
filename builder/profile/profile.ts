// A profile as the rest of the builder sees it: complete, with defaults filled in, sizes in bytes, never changed.
import type { K3sSetting } from '../../formats/agentconfig.ts';
import type { PersistLine } from '../../formats/persist.ts';
import type { Output } from './schema/base.ts';

import type { Written } from './schema/profile.ts';

export interface Profile {
  readonly site: { readonly name: string };
  readonly base: Base;
  readonly k3s: K3s;
  /** In order of their places. */
  readonly devices: readonly Device[];
  readonly formation: Formation;
  readonly servers: {
    /** Servers to aim at; already decided from the devices where the profile says nothing. */
    readonly count: 1 | 3 | 5;
    /** Eligible devices that must be there before more than one becomes a server. */
    readonly promoteAt: 3 | 4;
    /** Seconds that a server is dead before another device takes its part. */
    readonly replaceAfter: number;
  };
  readonly lan: Lan;
  readonly network: Networks;
  /** What becomes registries.yaml of k3s, as k3s spells it. */
  readonly registries?: Registries;
  readonly apps: readonly App[];
  readonly users: readonly User[];
  readonly system: { readonly timezone: string; readonly locale: string };
  readonly files: readonly ImageFile[];
  readonly units: readonly Unit[];
  /** What lasts over a boot beside `defaultPersist`. */
  readonly persist: readonly PersistLine[];
  readonly limits: Limits;
  /** Bytes; left out: what the board is laid out for. */
  readonly slots: { readonly size?: number };
  /** Bytes; left out: what the board has. */
  readonly disk: { readonly size?: number };
  readonly outputs: readonly Output[];
}

export type Base =
  | {
      readonly kind: 'debian';
      readonly suite: 'trixie';
      readonly mirror?: string;
      readonly packages: readonly string[];
    }
  /** `path` is absolute. */
  | { readonly kind: 'tarball'; readonly path: string; readonly sha256: string };

export type K3s = {
  /** Options for config.yaml: none of them insecure, none of them the agent's. */
  readonly config: Readonly<Record<string, K3sSetting>>;
} & (
  | { readonly kind: 'release'; readonly release: string }
  /** Paths are absolute; the archives hold what this k3s runs itself. */
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly sha256: string;
      readonly images: readonly string[];
    }
  | { readonly kind: 'standIn' }
);

export interface Device {
  readonly name: string;
  /** Host and node name. */
  readonly hostname: string;
  readonly board: string;
  /** 0 to 9, higher ones become servers first; left out: that of the board. */
  readonly hardware?: number;
  /** Devices with the same one fail together. */
  readonly failureDomain: string;
  readonly eligible: boolean;
  /** Whether it has a voice in who founds; at most seven have. */
  readonly elector: boolean;
  /** IPv4 address on the LAN; every device has one where `lan.static` is there, else none. */
  readonly address?: string;
  readonly labels: Readonly<Record<string, string>>;
  /** `KEY=VALUE:EFFECT`. */
  readonly taints: readonly string[];
}

export type Formation =
  /** Whether the site founds anew without a person when its only server, with data, is lost for good. */
  | { readonly policy: 'first-online'; readonly onFounderLoss: 'alarm' | 'refound' }
  | { readonly policy: 'majority' }
  /** `founder` is the name of an eligible device. */
  | { readonly policy: 'designated'; readonly founder: string };

export interface Lan {
  /** Names of interfaces as systemd.network matches them, parted by blanks. */
  readonly interface: string;
  /** Left out: DHCP. */
  readonly static?: { readonly subnet: string; readonly gateway?: string };
  readonly dns: readonly string[];
  readonly ntp: readonly string[];
  readonly proxy?: { readonly http?: string; readonly https?: string; readonly except: readonly string[] };
}

/** IPv4 networks as `a.b.c.d/n`; no two overlap. */
export interface Networks {
  readonly podCidr: string;
  readonly serviceCidr: string;
  /** A /24 within 198.18.0.0/15; left out: given out by the fleet lock. */
  readonly siteSubnet?: string;
  readonly siteInterface: 'macvlan' | 'address';
  readonly wireguard: string;
}

export type Registries = NonNullable<Written['registries']>;

export interface App {
  readonly name: string;
  readonly namespace: string;
  readonly source: /** Absolute paths, in order. */
    | { readonly kind: 'manifests'; readonly paths: readonly string[] }
    /** `path` and `valuesFrom` are absolute; `values` come after `valuesFrom`. */
    | {
        readonly kind: 'chart';
        readonly path: string;
        readonly values: Readonly<Record<string, unknown>>;
        readonly valuesFrom?: string;
      };
  /** Image archives, absolute paths. */
  readonly images: readonly string[];
  /** Names of images that its objects do not tell of. */
  readonly needs: readonly string[];
}

export interface User {
  readonly name: string;
  readonly sshKeys: readonly string[];
  /** As crypt(5) makes it. */
  readonly passwordHash?: string;
  readonly sudo: boolean;
}

/** Contents that the profile holds, or a file on the build machine, by absolute path. */
export type Contents =
  | { readonly at: 'profile'; readonly text: string }
  | { readonly at: 'file'; readonly path: string };

export interface ImageFile {
  /** Absolute path on the device. */
  readonly path: string;
  readonly contents: Contents;
  /** Permission bits, 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface Unit {
  readonly name: string;
  readonly contents: Contents;
  readonly enable: boolean;
}

export interface Limits {
  /** Bytes. */
  readonly journal: number;
  /** Bytes of one log file, and how many a container keeps. */
  readonly containerLogs: { readonly size: number; readonly files: number };
  /** Percent of the data partition at which removing unused images starts and ends. */
  readonly images: { readonly high: number; readonly low: number };
}
