// The network of the shop, as a device meets it, and the address ranges of the cluster.
import { z } from 'zod';
import { wiredInterfaces } from '../../../formats/agentconfig.ts';
import { address, network, text, url } from './fields.ts';

export const networks = z
  .strictObject({
    podCidr: network({ shortest: 8, longest: 22, example: '10.42.0.0/16' })
      .default('10.42.0.0/16')
      .describe('Addresses of pods.'),
    serviceCidr: network({ shortest: 8, longest: 24, example: '10.43.0.0/16' })
      .default('10.43.0.0/16')
      .describe('Addresses of services.'),
    siteSubnet: network({ within: '198.18.0.0/15', shortest: 24, longest: 24, example: '198.18.7.0/24' })
      .optional()
      .describe('The /24 of the stable site addresses. Left out: given out by the fleet lock.'),
    siteInterface: z
      .enum(['macvlan', 'address'])
      .default('macvlan')
      .describe(
        'How a device carries its site address: a macvlan, or a second address where a port allows one MAC.',
      ),
    wireguard: network({ shortest: 16, longest: 24, example: '172.30.16.0/20' })
      .default('172.30.16.0/20')
      .describe('Addresses of the WireGuard network, the same for the whole fleet.'),
  })
  .prefault({})
  .describe('Address ranges. None may overlap another.');

const host = text(/^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/, 'a host name or an IPv4 address');

export const lan = z
  .strictObject({
    interface: text(
      /^[A-Za-z0-9_.*?-]{1,15}( [A-Za-z0-9_.*?-]{1,15})*$/,
      'names of network interfaces, parted by blanks; * and ? stand for other characters',
    )
      .default(wiredInterfaces)
      .describe('The wired interfaces that may be the LAN; the first one with a carrier is.'),
    static: z
      .strictObject({
        subnet: network({ shortest: 8, longest: 30, example: '192.168.7.0/24' }).describe(
          'The network of the LAN.',
        ),
        gateway: address('the gateway').optional().describe('The way to the internet, where there is one.'),
      })
      .optional()
      .describe('Fixed addresses: every device then names its `address`. Left out: DHCP.'),
    dns: z.array(address('a DNS server')).default([]).describe('DNS servers, before those that DHCP names.'),
    ntp: z.array(host).default([]).describe('Time servers, before those that DHCP names.'),
    proxy: z
      .strictObject({
        http: url('the proxy for http').optional().describe('Proxy for http.'),
        https: url('the proxy for https').optional().describe('Proxy for https.'),
        except: z
          .array(text(/^[^\s,]+$/, 'a host, a domain or a network'))
          .default([])
          .describe('What is reached without the proxy; the ranges of the cluster always are.'),
      })
      .optional()
      .describe('Proxy for pulling images and updates.'),
  })
  .prefault({})
  .describe('The network that the devices are plugged into.');
