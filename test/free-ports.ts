/**
 * Ports for the servers of tests. They lie beside those that the system gives to outgoing connections:
 * one of these may be taken between the look and the start of the server, or while the server is down;
 * and a client that knocks at such a port while nobody listens may be given that very port, and is
 * connected to itself.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

const OUTGOING = '/proc/sys/net/ipv4/ip_local_port_range';
/** What Linux gives to outgoing connections when nobody changed it; others begin above. */
const OUTGOING_DEFAULT = '32768 60999';
/** Below are the ports of well-known services. */
const FIRST = 10_000;
const LAST = 65_535;
/** In fewer, two processes would meet. */
const ROOM_MIN = 2_000;
const LOOKS_MAX = 1_000;

/** Two tests of a process never get the same one. */
const given = new Set<number>();

/** The ports beside those of outgoing connections, `outgoing` as Linux tells it: the first and the last. */
export function portsBeside(outgoing: string): PortRange {
  const [first, last] = outgoing.trim().split(/\s+/).map(Number) as [number, number];
  const below = { first: FIRST, last: first - 1 };
  const above = { first: Math.max(FIRST, last + 1), last: LAST };
  const room = (range: PortRange): number => range.last - range.first + 1;
  const widest = room(below) >= room(above) ? below : above;
  // Where outgoing connections take everything, the ports are as good as any.
  return room(widest) >= ROOM_MIN ? widest : portsBeside(OUTGOING_DEFAULT);
}

/** Ports nobody listens on now, all different, and never the same again. */
export async function freePorts(count: number): Promise<number[]> {
  const { first, last } = portsBeside(outgoing());
  const found: number[] = [];
  for (let looks = 0; found.length < count; looks++) {
    if (looks === LOOKS_MAX) throw new Error(`no ${count} ports are free from ${first} to ${last}`);
    // At random, for other processes look for ports as well.
    const port = first + Math.floor(Math.random() * (last - first + 1));
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) found.push(port);
  }
  return found;
}

function outgoing(): string {
  try {
    return readFileSync(OUTGOING, 'utf8');
  } catch {
    return OUTGOING_DEFAULT;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
