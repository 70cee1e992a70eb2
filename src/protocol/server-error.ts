/**
 * A server's error under another code, where the eras disagree about codes: every other byte of what the server wrote
 * stays. Pure; both edges call it.
 */
import { objectText, readObject, withMembers } from "./json-view.ts";
import type { ServerErrorBody } from "./messages.ts";

/** `dataText`, where given, replaces the error's data as well. */
export function withCode(
  error: ServerErrorBody,
  code: number,
  dataText: string | undefined = error.dataText,
): ServerErrorBody {
  if (error.text === undefined) return { ...error, code, dataText };
  const changes = {
    code: String(code),
    ...(dataText === error.dataText ? {} : { data: dataText }),
  };
  const text = objectText(withMembers(readObject(error.text), changes));
  return { ...error, code, dataText, text };
}
