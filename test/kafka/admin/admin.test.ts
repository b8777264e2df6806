import { Broker } from '../../../src/broker/broker.ts';
import { brokerTransport } from '../../../src/broker/in-process.ts';
import { decodeResponse, encodeResponse } from '../../../src/kafka/protocol/codec.ts';
import { listTransactions } from '../../../src/kafka/protocol/list-transactions.ts';
import type { Transport } from '../../../src/kafka/transport/transport.ts';
import { systemPorts } from '../../../src/ports.ts';
import { adminBehaviour } from './admin-behaviour.ts';

for (const transactionVersion of [1, 2] as const) {
  adminBehaviour(`the embedded broker, transactions v${transactionVersion}`, async () => {
    const broker = new Broker({ ports: systemPorts, transactionVersion });
    let memory: 'keeps' | 'forgets' = 'keeps';
    const transport = (): Transport => {
      const inner = brokerTransport(broker);
      return {
        async request(node, request) {
          const answer = await inner.request(node, request);
          const { apiKey, apiVersion } = request;
          if (memory === 'keeps' || apiKey !== listTransactions.key) return answer;
          const told = decodeResponse(listTransactions, apiVersion, answer);
          return encodeResponse(listTransactions, apiVersion, { ...told, transactionStates: [] });
        },
        learn: (nodes) => inner.learn(nodes),
        close: () => inner.close(),
      };
    };
    return {
      transport,
      hangs: 'by-forgetful-coordinator',
      forget: () => {
        memory = 'forgets';
      },
      close: async () => broker.close(),
    };
  });
}
