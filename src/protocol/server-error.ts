/**
 * A server's error on its way out: the bytes it was written in, but for what was decided otherwise since, as where the
 * eras disagree about codes. Pure; `errors/render.ts` calls it.
 */
import { memberText, objectText, stringMember, withMembers } from "./json-view.ts";
import type { ServerErrorBody } from "./messages.ts";

/** Source text of the error object; undefined where no server wrote it. */
export function serverErrorText(error: ServerErrorBody): string | undefined {
  const { source, code, message, dataText } = error;
  if (source === undefined) return undefined;
  const changes: Record<string, string | undefined> = {};
  if (Number(memberText(source, "code")) !== code) changes.code = String(code);
  if (stringMember(source, "message") !== message) changes.message = JSON.stringify(message);
  if (memberText(source, "data") !== dataText) changes.data = dataText;
  const isSame = Object.keys(changes).length === 0;
  return objectText(isSame ? source : withMembers(source, changes));
}
