// A profile as the rest of the builder sees it: complete, with defaults filled in, sizes in bytes, never changed.
import type { Output } from './schema/base.ts';

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
  };
  readonly network: Networks;
  readonly users: readonly User[];
  readonly system: { readonly timezone: string; readonly locale: string };
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

export type K3s =
  | { readonly kind: 'release'; readonly release: string }
  /** `path` is absolute. */
  | { readonly kind: 'file'; readonly path: string; readonly sha256: string }
  | { readonly kind: 'standIn' };

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
}

export type Formation =
  | { readonly policy: 'first-online' | 'majority' }
  /** `founder` is the name of an eligible device. */
  | { readonly policy: 'designated'; readonly founder: string };

/** IPv4 networks as `a.b.c.d/n`. */
export interface Networks {
  readonly podCidr: string;
  readonly serviceCidr: string;
  /** A /24 within 198.18.0.0/15; left out: given out by the fleet lock. */
  readonly siteSubnet?: string;
  readonly siteInterface: 'macvlan' | 'address';
}

export interface User {
  readonly name: string;
  readonly sshKeys: readonly string[];
  /** As crypt(5) makes it. */
  readonly passwordHash?: string;
  readonly sudo: boolean;
}
