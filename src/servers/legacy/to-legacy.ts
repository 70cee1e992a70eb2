/**
 * A call in the words of a legacy server (reference section 4.2): no envelope, no modern params, our own progress
 * token; and a legacy server's errors in the words of the modern model. Pure.
 */
import {
  type JsonObject,
  memberText,
  objectMember,
  stringMember,
  withMembers,
} from "../../protocol/json-view.ts";
import type { McpRequest, ServerErrorBody } from "../../protocol/messages.ts";
import { isVendorKey } from "../modern.ts";
import { membersText, renderRequest, rewriteMeta } from "../outgoing.ts";
import { withTasksExtension } from "./task-messages.ts";

/** The whole message for a legacy server; `taskText` (source text) makes the call a task. */
export function renderLegacy(request: McpRequest, id: number, taskText?: string): string {
  const params = request.params && legacyParams(request.params, taskText);
  const isProgressWanted = request.envelope.progressTokenText !== undefined;
  const text = rewriteMeta(params, (meta) => metaText(meta, isProgressWanted ? id : undefined));
  return renderRequest(id, request.method, text);
}

/**
 * Codes change meaning between the eras: -32002 is -32602 now, the range the specification reserves must not come
 * from a server that does not know it (-32042 is asked in its own way before, `url-required.ts`), and -32000 to -32019
 * must be given no meaning.
 */
export function modernError(error: ServerErrorBody): ServerErrorBody {
  if (error.code === -32002) return { ...error, code: -32602 };
  if (error.code <= -32020 && error.code >= -32099) return { ...error, code: -32603 };
  if (error.code <= -32000 && error.code >= -32019) {
    const dataMember = error.dataText === undefined ? "" : `,"data":${error.dataText}`;
    return { ...error, code: -32603, dataText: `{"originalCode":${error.code}${dataMember}}` };
  }
  return error;
}

/** The session id and facts an `initialize` result states. */
export function readInitialize(result: JsonObject): {
  readonly version: string | undefined;
  readonly capabilitiesText: string;
  readonly serverInfoText: string | undefined;
  readonly instructions: string | undefined;
} {
  const capabilities = objectMember(result, "capabilities");
  return {
    version: stringMember(result, "protocolVersion"),
    capabilitiesText: capabilities === undefined ? "{}" : withTasksExtension(capabilities),
    serverInfoText:
      objectMember(result, "serverInfo") === undefined
        ? undefined
        : memberText(result, "serverInfo"),
    instructions: stringMember(result, "instructions"),
  };
}

/** No agent is offered tasks of 2025-11-25, so a `task` of its own is ignored. */
function legacyParams(params: JsonObject, taskText: string | undefined): JsonObject {
  const hasAny = params.members.some(
    ({ key }) => key === "inputResponses" || key === "requestState" || key === "task",
  );
  if (!hasAny && taskText === undefined) return params;
  return withMembers(params, {
    inputResponses: undefined,
    requestState: undefined,
    task: taskText,
  });
}

function metaText(meta: JsonObject | undefined, token: number | undefined): string | undefined {
  const vendor = meta === undefined ? "" : membersText(meta, isVendorKey);
  const progress = token === undefined ? "" : `"progressToken":${token}`;
  if (vendor === "" && progress === "") return undefined;
  return `{${progress}${vendor !== "" && progress !== "" ? "," : ""}${vendor}}`;
}
