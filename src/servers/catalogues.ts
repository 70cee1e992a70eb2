/**
 * One server's catalogues: a legacy server may offer more tools to clients with more capabilities, so over a network
 * each set of them has a catalogue of its own, listed on a session of those capabilities. All others share one.
 */
import { noFeatures, renderLegacyCapabilities } from "../protocol/client-features.ts";
import { type Catalogue, type CatalogueOptions, createCatalogue } from "./catalogue.ts";
import { featuresOfText } from "./features.ts";

export interface Catalogues {
  /** The catalogue for a client that declares this (source text). */
  of(clientCapabilitiesText: string): Catalogue;
  /** Whether a tool runs as a task alone, as such a client lists it; before the server's era is known all share one list. */
  needsTask(name: string, clientCapabilitiesText: string): boolean;
  invalidate(): void;
}

/** Past this many sets of capabilities the oldest is forgotten. */
const cataloguesMax = 16;

export function createCatalogues(
  options: Omit<CatalogueOptions, "clientCapabilitiesText">,
  hasSessions: () => boolean,
): Catalogues {
  const shared = createCatalogue({ ...options, clientCapabilitiesText: "{}" });
  const others = new Map<string, Catalogue>();

  function of(clientCapabilitiesText: string): Catalogue {
    const features = featuresOfText(clientCapabilitiesText);
    if (features === noFeatures || !hasSessions()) return shared;
    const key = renderLegacyCapabilities(features);
    const known = others.get(key);
    if (known !== undefined) return known;
    const [oldest] = others.size < cataloguesMax ? [] : others.keys();
    if (oldest !== undefined) others.delete(oldest);
    const made = createCatalogue({ ...options, clientCapabilitiesText: key });
    others.set(key, made);
    return made;
  }

  return {
    of,
    needsTask: (name, declared) => of(declared).needsTask(name) || shared.needsTask(name),
    invalidate() {
      shared.invalidate();
      for (const one of others.values()) one.invalidate();
    },
  };
}
