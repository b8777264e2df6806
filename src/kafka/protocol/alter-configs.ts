/**
 * Replaces all settings of topics and brokers; IncrementalAlterConfigs came after it.
 */
import { boolean, defineApi, int8, int16, int32, rows, string } from './schema.ts';

export const alterConfigs = defineApi({
  key: 33,
  name: 'AlterConfigs',
  versions: [0, 2],
  flexibleFrom: 2,
  request: {
    resources: rows({
      resourceType: int8(),
      resourceName: string(),
      configs: rows({
        name: string(),
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
