/** The registry at a URL, as every billing process reaches it. */
import { confluentRegistry, type Registry } from 'escapement';

export function registryAt(url: string): Registry {
  return confluentRegistry({ host: url });
}
