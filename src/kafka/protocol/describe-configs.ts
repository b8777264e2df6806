/**
 * Settings of topics (`resourceType` 2) and brokers (4).
 */
import { array, boolean, defineApi, int8, int16, int32, rows, string } from './schema.ts';

export const describeConfigs = defineApi({
  key: 32,
  name: 'DescribeConfigs',
  versions: [1, 4],
  flexibleFrom: 4,
  request: {
    resources: rows({
      resourceType: int8(),
      resourceName: string(),
      configurationKeys: array(string(), { nullableSince: 1 }),
    }),
    includeSynonyms: boolean({ default: false }),
    includeDocumentation: boolean({ since: 3, default: false }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    results: rows({
      errorCode: int16(),
      errorMessage: string({ nullableSince: 1 }),
      resourceType: int8(),
      resourceName: string(),
      configs: rows({
        name: string(),
        value: string({ nullableSince: 1 }),
        readOnly: boolean(),
        configSource: int8({ default: -1 }),
        isSensitive: boolean(),
        synonyms: rows({
          name: string(),
          value: string({ nullableSince: 1 }),
          source: int8(),
        }),
        configType: int8({ since: 3, default: 0, whenAbsent: 'ignore' }),
        documentation: string({ since: 3, nullableSince: 1, whenAbsent: 'ignore' }),
      }),
    }),
  },
});
