/**
 * The extensions that this gateway carries from end to end. Only these are announced to agents, and only of these is
 * a server told that the agent knows them.
 */
import type { JsonObject } from "./json-view.ts";
import { skillsExtension } from "./skills.ts";
import { tasksExtension } from "./tasks.ts";

const carried = new Set(["io.modelcontextprotocol/ui", skillsExtension, tasksExtension]);

/** Source text of an extensions object with only what is carried and passes `keep`; undefined where nothing does. */
export function carriedExtensions(
  extensions: JsonObject,
  keep: (id: string) => boolean,
): string | undefined {
  const kept: string[] = [];
  for (const { key, keyStart, end } of extensions.members) {
    if (carried.has(key) && keep(key)) kept.push(extensions.text.slice(keyStart, end));
  }
  return kept.length === 0 ? undefined : `{${kept.join(",")}}`;
}
