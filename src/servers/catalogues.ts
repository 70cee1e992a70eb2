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
  return {
    of(clientCapabilitiesText) {
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
    },
    invalidate() {
      shared.invalidate();
      for (const one of others.values()) one.invalidate();
    },
  };
}
