/**
 * Which APIs a broker offers, and its features from version 3 on.
 *
 * A broker that does not know the version answers in version 0 with UNSUPPORTED_VERSION (KIP-511).
 */
import { boolean, defineApi, int16, int32, int64, rows, string } from './schema.ts';

export const apiVersions = defineApi({
  key: 18,
  name: 'ApiVersions',
  versions: [0, 4],
  flexibleFrom: 3,
  request: {
    clientSoftwareName: string({ since: 3, whenAbsent: 'ignore' }),
    clientSoftwareVersion: string({ since: 3, whenAbsent: 'ignore' }),
  },
  response: {
    errorCode: int16(),
    apiKeys: rows({
      apiKey: int16(),
      minVersion: int16(),
      maxVersion: int16(),
    }),
    throttleTimeMs: int32({ since: 1, default: 0, whenAbsent: 'ignore' }),
    supportedFeatures: rows(
      {
        name: string(),
        minVersion: int16(),
        maxVersion: int16(),
      },
      { since: 3, tag: 0, whenAbsent: 'ignore' },
    ),
    finalizedFeaturesEpoch: int64({ since: 3, tag: 1, default: -1, whenAbsent: 'ignore' }),
    finalizedFeatures: rows(
      {
        name: string(),
        maxVersionLevel: int16(),
        minVersionLevel: int16(),
      },
      { since: 3, tag: 2, whenAbsent: 'ignore' },
    ),
    zkMigrationReady: boolean({ since: 3, tag: 3, default: false, whenAbsent: 'ignore' }),
  },
});
