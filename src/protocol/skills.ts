/**
 * The skills extension of revision 2026-07-28 (SEP-2640): a server's announcement of it, and which resources hold the
 * bytes of skills. Agents need not declare it: the extension defines no declaration of theirs, and the official client
 * makes none. Pure.
 */
import { memberText, objectMember, readObject } from "./json-view.ts";

export const skillsExtension = "io.modelcontextprotocol/skills";

export interface SkillsSettings {
  /** It also answers `resources/directory/read`. */
  readonly directoryRead: boolean;
}

/** What a server's capabilities (source text) say of skills; undefined where it has none. */
export function readSkillsSettings(capabilitiesText: string): SkillsSettings | undefined {
  if (!capabilitiesText.includes(skillsExtension)) return undefined;
  const extensions = objectMember(readObject(capabilitiesText), "extensions");
  const settings = extensions && objectMember(extensions, skillsExtension);
  return settings && { directoryRead: memberText(settings, "directoryRead") === "true" };
}

/**
 * Whether a resource is surely a skill's file. A server may also serve skills under a scheme of its own: nothing in a
 * URI tells those from other resources.
 */
export function isSkillUri(uri: string): boolean {
  return /^skill:/i.test(uri);
}
