/**
 * What is different about skills: they are asked only of a server that announces them, and their bytes are never
 * altered. Agents check each file against a digest and each entry against its file, so what redaction would change is
 * withheld whole. Asked by route and sanitize.
 */

import { createFault, type Fault } from "../errors/fault.ts";
import type { CancelSignal } from "../lib/cancellation.ts";
import type { JsonObject } from "../protocol/json-view.ts";
import { isSkillUri, readSkillsSettings } from "../protocol/skills.ts";
import { filterList } from "../route/merge.ts";
import type { Redaction } from "../sanitize/redact.ts";
import type { Servers } from "../servers/client.ts";
import type { Exchange } from "./exchange.ts";

/** True also where the server cannot be asked: forward finds out and says so. */
export async function offersSkills(
  servers: Servers,
  server: string,
  method: string,
  signal: CancelSignal,
): Promise<boolean> {
  try {
    const facts = await servers.get(server)?.facts(signal);
    if (facts === undefined) return true;
    const settings = readSkillsSettings(facts.capabilitiesText);
    if (method === "resources/directory/read") return settings?.directoryRead === true;
    return settings !== undefined;
  } catch {
    return true;
  }
}

/** Whether the result of this request holds a skill's bytes, its entry, or several entries. */
export function holdsSkills({ request, method, resolved }: Exchange): boolean {
  if (request?.method === "resources/read") return isSkillUri(resolved?.name ?? "");
  return method?.isAboutSkills === true;
}

/** The result where nothing in it is to be masked; a list without the skills in which something is. */
export function withholdSkills(
  result: JsonObject,
  redact: (result: JsonObject) => Redaction,
): { readonly result: JsonObject; readonly withheld: number } | { readonly fault: Fault } {
  if (isClean(redact(result))) return { result, withheld: 0 };
  let withheld = 0;
  const kept = filterList(result, "skills", (skill) => {
    const isKept = isClean(redact(skill));
    if (!isKept) withheld += 1;
    return isKept;
  });
  return isClean(redact(kept)) ? { result: kept, withheld } : { fault: skillWithheld };
}

function isClean(redaction: Redaction): boolean {
  return !("fault" in redaction) && redaction.masked === 0;
}

const skillWithheld = createFault(
  "upstream-invalid",
  "The skill was withheld: it holds sensitive values, or could not be checked for them, and must not be altered",
  { reason: "skill-withheld" },
);
