/**
 * Changes single settings of topics and brokers (KIP-339): 0 sets, 1 removes, 2 appends, 3 subtracts.
 */
import { boolean, defineApi, int8, int16, int32, rows, string } from './schema.ts';

export const incrementalAlterConfigs = defineApi({
  key: 44,
  name: 'IncrementalAlterConfigs',
  versions: [0, 1],
  flexibleFrom: 1,
  request: {
    resources: rows({
      resourceType: int8(),
      resourceName: string(),
      configs: rows({
        name: string(),
        configOperation: int8(),
        value: string({ nullableSince: 0 }),
      }),
    }),
    validateOnly: boolean(),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    responses: rows({
      errorCode: int16(),
      errorMessage: string({ nullableSince: 0 }),
      resourceType: int8(),
      resourceName: string(),
    }),
  },
});
