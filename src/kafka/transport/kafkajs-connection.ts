/**
 * Whether what was given as `kafka` can lead to a cluster: kafkajs itself looks when it connects, and
 * a list of brokers that is none becomes addresses that do not exist.
 */
import { shownKind, unknownOptions } from '../../config/known-options.ts';

const EXAMPLE = "{ brokers: ['127.0.0.1:9092'] }";
const BROKERS = `it is called brokers: ${EXAMPLE}`;
const ELSEWHERE = {
  broker: BROKERS,
  bootstrapServers: BROKERS,
  'bootstrap.servers': BROKERS,
  servers: BROKERS,
  tls: 'it is called ssl',
};
/** What kafkajs takes as an address; of IPv6 it takes names alone. */
const ADDRESS = /^[^\s:/]+:\d{1,5}$/;

/** Every problem of the option `kafka`; `known`: the options of kafkajs. */
export function connectionProblems(
  given: unknown,
  known: Readonly<Record<string, true>>,
): readonly string[] {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    const what = given === undefined ? 'is missing' : `is ${shownKind(given)}`;
    return [`kafka ${what}: give ${EXAMPLE}, a kafkajs client, or { transport }`];
  }
  if ('transport' in given) return transportProblems(given);
  if ('consumer' in given && typeof given.consumer === 'function') return [];
  const names = unknownOptions(given, known, ELSEWHERE).map((problem) => `kafka: ${problem}`);
  return [...names, ...brokerProblems((given as { readonly brokers?: unknown }).brokers)];
}

function transportProblems(given: { readonly transport: unknown }): readonly string[] {
  const names = unknownOptions(given, { transport: true }).map((problem) => `kafka: ${problem}`);
  const { request } = (given.transport ?? {}) as { readonly request?: unknown };
  if (typeof request === 'function') return names;
  return [...names, `kafka.transport must be a transport, not ${shownKind(given.transport)}`];
}

/** A function is asked when it comes to connecting. */
function brokerProblems(brokers: unknown): readonly string[] {
  if (typeof brokers === 'function') return [];
  if (typeof brokers === 'string') return [`kafka.brokers is a list: ['${withoutUser(brokers)}']`];
  if (!Array.isArray(brokers)) {
    const what = brokers === undefined ? 'is missing' : `is a list, not ${shownKind(brokers)}`;
    return [`kafka.brokers ${what}: ${EXAMPLE}`];
  }
  if (brokers.length === 0) return [`kafka.brokers is empty: ${EXAMPLE}`];
  return brokers
    .filter((each) => typeof each !== 'string' || !ADDRESS.test(each))
    .map((each) => {
      const what = typeof each === 'string' ? `'${withoutUser(each)}'` : shownKind(each);
      return `kafka.brokers: ${what} is not 'host:port'`;
    });
}

/** No broker has a user in its address; who writes one wrote a password, too. */
function withoutUser(address: string): string {
  return address.replace(/^.*@/, '[redacted]@');
}
